"""Words that several figures share."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from deepset_bench import replicate
from deepset_bench.scoring.table import Metric, with_unit
from deepset_bench.study.columns import Column
from deepset_bench.study.shared import shared
from deepset_bench.units import UNITS


def quantity(metric: Metric) -> str:
    """`energy`, `forces`, or what else the name of a metric begins with."""
    return metric.name.split("_")[0]


def axis(column: Column, unit: str) -> str:
    """Of an axis: `energy MAE / Ha`, `forces MAE by element: C / (Ha/bohr)`."""
    return with_unit(column.words, column.metric.shown(unit)[1])


def in_unit(metric: Metric, unit: str) -> str:
    """In a sentence: `energy MAE in Ha`; of what has no unit the name."""
    return " in ".join(filter(None, (metric.words, metric.shown(unit)[1])))


def and_(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = words or ["—"]
    return f"{', '.join(first)} and {last}" if first else last


def label(what: str, metric: str, unit: str) -> str:
    """Of an axis: `energy MAE / Ha`, `forces MAE / (Ha/bohr)`.

    Args:
        what: is drawn.
        metric: `energy` or `forces`, whose unit it has.
        unit: `hartree` or `mev`.
    """
    return with_unit(what, UNITS[unit][metric][1])


def amount(value: float, metric: str, unit: str) -> str:
    """A value in eV or eV/angstrom as text with its unit."""
    size, name, digits = UNITS[unit][metric]
    return f"{value / size:z.{digits}f} {name}".replace("-", "−")


def seeds(runs: pd.DataFrame) -> str:
    """How many seeds the variants of a figure have: `n = 3`, `n = 1 to 3`."""
    if runs.empty:
        return "no run"
    counts = sorted(set(runs.groupby(["label", "condition"]).size()))
    return f"n = {' to '.join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))}"


def comparable(runs: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Runs whose errors a figure may show beside each other, and their seeds in words.

    Those of the seeds that all variants share, which are on the same frames; where none is shared,
    all of them, which the words say.
    """
    found = shared(runs)
    if found.empty and len(runs):
        return runs, f"{seeds(runs)}, of different seeds, so that heights do not compare"
    numbers = set(found.replicate)
    alone = f"n = 1, {replicate.words(numbers)} alone"
    return found, alone if len(numbers) == 1 else seeds(found)
