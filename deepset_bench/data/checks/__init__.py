"""The examination of a data set: one module for each family of checks."""

from deepset_bench.data.checks.cheap import Verdict, cheap_checks
from deepset_bench.data.checks.geometry import BROKEN, CLOSER, NEW_CONTACT

__all__ = ["BROKEN", "CLOSER", "NEW_CONTACT", "Verdict", "cheap_checks"]
