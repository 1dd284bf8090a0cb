"""The numbers that the report prints; the only ones of this product that nothing computes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from deepset_bench.reading import read_yaml
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR

PATH = Path(__file__).with_name("published.yaml")
METRICS = ("energy", "forces")
PARTS = ("test", "val", "mean")
"""`mean` is the mean of test and val, by which the report ranks."""

Printed = dict[tuple[str, str], float]
"""(metric, part) -> mean absolute error in eV or eV/angstrom."""

_UNIT = {"energy": HARTREE, "forces": HARTREE_PER_BOHR}
_KEY = {"test": "test", "val": "val", "mean": "avg"}


@cache
def content() -> dict[str, Any]:
    """published.yaml as it is: hartree and hartree/bohr, Tables 1-7 and 10 of the report."""
    return dict(read_yaml(PATH))


def column(table: str, label: str) -> dict[str, Any]:
    """One printed column of a table of the report, `same_as` followed.

    Raises:
        KeyError: the table has no such column.
    """
    for entry in content()[table].get("columns", ()):
        if entry["label"] == label:
            if "same_as" in entry:
                return column(*entry["same_as"].split("/", 1))
            return dict(entry)
    raise KeyError(f"{table}/{label}")


def printed(label: str, table: int | None = None) -> Printed:
    """What the report prints for a run; empty where it prints nothing.

    Args:
        label: as the report calls the run.
        table: number of the table to look in first; other tables may call the run alike.

    Returns:
        Mean absolute errors in eV and eV/angstrom, Tables 1-7.
    """
    for name in sorted(content(), key=lambda name: name != f"table_{table}"):
        try:
            entry = column(name, label)
        except KeyError:
            continue
        return {
            (metric, part): entry[f"{_KEY[part]}_{metric}"] * _UNIT[metric]
            for metric in METRICS
            for part in PARTS
        }
    return {}
