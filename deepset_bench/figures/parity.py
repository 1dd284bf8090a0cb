"""Predictions against labels, of one run a condition."""

from __future__ import annotations

from functools import partial

import numpy as np

from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.predictions import Chosen, Predicted, chosen
from deepset_bench.figures.style import COLOURS, QUIET, width
from deepset_bench.figures.words import amount, label
from deepset_bench.study.published import METRICS
from deepset_bench.units import UNITS

_MOST = 4000
"""Points of a parity plot; more hide each other."""


def parity(asked: Asked, *, sheet: str = "", row: str = "", data: str = "") -> Figure:
    """Predicted against labelled energies and force components of frames not trained on.

    Args:
        asked: the figure.
        sheet: name of it.
        row: label of the row whose run is shown; none: the one with the least error.
        data: the set; none: the one that it was trained on.
    """
    of = chosen(asked, sheet, row, data)
    return of.figure(
        asked,
        "Predicted against true energies and forces",
        "Energies relative to the mean of each molecule's frames and force components of frames "
        "that the run was not trained on, in {energy} and {forces}; at most "
        f"{_MOST:,} points each. True: the labels that the run was trained on. {{runs}}.",
        partial(_sheet, asked, of),
    )


def _sheet(asked: Asked, of: Chosen) -> Sheet:
    both = of.predicted()
    rows = [
        [_pairs(one, metric, asked.named(condition), asked.unit) for condition, one in both.items()]
        for metric in METRICS
    ]
    if len(both) == 1:  # energies and forces side by side
        return Sheet([[panel for (panel,) in rows]], width(2), 3.0)
    return Sheet(rows, width(len(both)), 5.2)


def _pairs(one: Predicted, metric: str, name: str, unit: str) -> Panel:
    size = UNITS[unit][metric][0]
    if metric == "energy":
        table = one.series[one.others]
        true, ours = (
            table[f"{whose}energy_relative_ev"].to_numpy() for whose in ("", "predicted_")
        )
    else:
        rows = np.sort(one.series["row"].to_numpy()[one.others])
        atoms = np.isin(one.analysis.selection.frames.frame_of_atom, rows) & one.analysis.labelled
        true = one.analysis.forces[atoms].ravel()
        ours = one.analysis.predictions.forces[atoms].ravel()
    mae = amount(float(np.abs(ours - true).mean()), metric, unit)
    kept = np.unique(np.linspace(0, len(true) - 1, min(len(true), _MOST)).astype(int))
    true, ours = true[kept] / size, ours[kept] / size
    ends = np.array([min(true.min(), ours.min()), max(true.max(), ours.max())])
    quantity = "relative energy" if metric == "energy" else "force component"
    return Panel(
        label(f"true {quantity}", metric, unit),
        label(f"predicted {quantity}", metric, unit),
        [
            Series("predicted = true", ends, ends, QUIET, dashed=True),
            Series("frames not trained on", true, ours, COLOURS[0],
                   "dots"),
        ],
        f"{name}: MAE {mae}" if name else f"MAE {mae}",
    )  # fmt: skip
