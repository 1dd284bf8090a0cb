"""Homes, terminals, rights and disks that are not the developer's: X1 to X6."""

from tests.cases.case import Case

CASES: list[Case] = []
