"""Words that several figures share."""

from __future__ import annotations

import pandas as pd

from deepset_bench.units import UNITS

CONDITIONS = {"report": "as in the report", "corrected": "corrected"}
"""Titles of panels."""


def label(quantity: str, metric: str, unit: str) -> str:
    """Of an axis: `energy MAE / Ha`, `forces MAE / (Ha/bohr)`.

    Args:
        quantity: what is drawn.
        metric: `energy` or `forces`, whose unit it has.
        unit: `hartree` or `mev`.
    """
    name = UNITS[unit][metric][1]
    return f"{quantity} / {f'({name})' if '/' in name else name}"


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
