"""Parity plots, and errors against the torsion angle, of one run a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from deepset_bench.figures.figure import Figure, of_sheet
from deepset_bench.figures.panels import Array, Panel, Series, Sheet
from deepset_bench.figures.predictions import Predicted, chosen, data_name, predicted
from deepset_bench.figures.style import COLOURS, QUIET, WIDE, width
from deepset_bench.figures.words import CONDITIONS, amount, label
from deepset_bench.study.collect import Where
from deepset_bench.study.published import METRICS
from deepset_bench.units import UNITS

_MOST = 4000
"""Points of a parity plot; more hide each other."""
_BIN = 10
"""Degrees."""


def parity(conditions: Sequence[str], where: Where, unit: str) -> Figure:
    """Predicted against true energies and force components of frames not trained on."""
    runs, missing = chosen(conditions, where)
    caption = (
        "Energies relative to the mean of the trajectory and force components of frames that the "
        f"run was not trained on, {_units(unit)}; at most {_MOST:,} points each. True: the labels "
        "that the run was trained on."
    )
    return of_sheet(
        "parity", "Predicted against true energies and forces", caption, missing,
        list(runs.values()), partial(_parity, runs, data_name(where), unit),
    )  # fmt: skip


def against_torsion(conditions: Sequence[str], where: Where, unit: str) -> Figure:
    """Errors where the double bond is cis, half-way and trans."""
    runs, missing = chosen(conditions, where)
    caption = (
        f"Mean absolute errors in {_BIN}-degree bins of the absolute torsion of the chain about "
        f"the double bond (0: cis, 180: trans), {_units(unit)}; energies relative to the mean of "
        "the trajectory. Lines: frames not trained on; dashed: training frames."
    )
    return of_sheet(
        "torsion", "Error against torsion angle", caption, missing, list(runs.values()),
        partial(_torsion, runs, data_name(where), unit),
    )  # fmt: skip


def _units(unit: str) -> str:
    return f"in {UNITS[unit]['energy'][1]} and {UNITS[unit]['forces'][1]}"


def _parity(runs: Mapping[str, Path], data: str, unit: str) -> Sheet:
    both = {condition: predicted(folder, data) for condition, folder in runs.items()}
    rows = [
        [_pairs(one, metric, condition, unit) for condition, one in both.items()]
        for metric in METRICS
    ]
    return Sheet(rows, width(len(both)), 5.2)


def _pairs(one: Predicted, metric: str, condition: str, unit: str) -> Panel:
    size = UNITS[unit][metric][0]
    if metric == "energy":
        table = one.series[one.others]
        true, ours = (table[f"{name}energy_relative_ev"].to_numpy() for name in ("", "predicted_"))
    else:
        rows = np.sort(one.series["row"].to_numpy()[one.others])
        atoms = np.isin(one.analysis.selection.frames.frame_of_atom, rows)
        true = one.analysis.forces[atoms].ravel()
        ours = one.analysis.predictions.forces[atoms].ravel()
    mae = float(np.abs(ours - true).mean())
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
        f"{CONDITIONS[condition]}: MAE {amount(mae, metric, unit)}",
    )  # fmt: skip


def _torsion(runs: Mapping[str, Path], data: str, unit: str) -> Sheet:
    panels = []
    for metric in METRICS:
        series = []
        for colour, (condition, folder) in zip(COLOURS, runs.items(), strict=False):
            one = predicted(folder, data)
            wrong = _frame_errors(one, metric) / UNITS[unit][metric][0]
            for mask, dashed in ((one.others, False), (~one.others, True)):
                if mask.any():
                    x, y = _binned(one.torsion[mask], wrong[mask])
                    name = CONDITIONS[condition]
                    series.append(Series(name, x, y, colour, dashed=dashed, quiet=dashed))
        panels.append(
            Panel(
                "|torsion| / degrees",
                label(f"{metric} MAE", metric, unit),
                series,
                scales=("linear", "log"),
                ticks=range(0, 181, 45),
            )
        )
    return Sheet([panels], WIDE, 2.5)


def _frame_errors(one: Predicted, metric: str) -> Array:
    """(M,) of each frame, in eV or eV/angstrom."""
    if metric == "energy":
        return np.abs(one.series["energy_error_relative_ev"].to_numpy())
    return np.asarray(one.series["forces_mae_ev_per_angstrom"])


def _binned(angle: Array, value: Array) -> tuple[Array, Array]:
    """Middles of the bins that hold anything, and the means in them."""
    place = np.minimum(angle // _BIN, 180 // _BIN - 1).astype(int)
    count = np.bincount(place, minlength=180 // _BIN)
    there = count > 0
    mean = np.bincount(place, value, 180 // _BIN)[there] / count[there]
    return (np.arange(180 // _BIN)[there] + 0.5) * _BIN, mean
