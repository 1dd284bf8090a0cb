"""Short runs in a temporary folder, for the benchmarks that need a trained one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.step import SMALL
from deepset_bench.config import experiment
from deepset_bench.training.train import train


@contextmanager
def brief_run(*overrides: str) -> Iterator[Path]:
    """The folder of a run that is gone afterwards."""
    with tempfile.TemporaryDirectory() as runs:
        wanted = experiment([*SMALL, "data.test_size=20", *overrides, f"runs_dir='{runs}'"])
        yield train([wanted])[0].folder.path
