"""Figures 15 and 17: true and predicted energy along a trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from deepset_bench.figures.figure import Figure, of_sheet
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.predictions import Predicted, chosen, data_name, predicted
from deepset_bench.figures.style import COLOURS, QUIET, width
from deepset_bench.figures.words import CONDITIONS, amount, label
from deepset_bench.study.collect import Where
from deepset_bench.units import UNITS

_WINDOW = 100
"""Frames shown one by one, from the middle of the trajectory."""
_PARTS = (("other frames", COLOURS[0]), ("training frames", COLOURS[1]))


def trajectory(
    number: int, data: str | None, conditions: Sequence[str], where: Where, unit: str
) -> Figure:
    """A window of the trajectory, and the errors along all of it; a column for each condition."""
    runs, missing = chosen(conditions, where)
    caption = (
        f"Above: true energy (line) and predicted (points), {_WINDOW} frames from the middle; "
        "below: absolute errors of all frames. Energies relative to their mean over the "
        "trajectory, of labels and predictions each, so that the offset between the two means "
        f"(over the panels) is no error here; in {UNITS[unit]['energy'][1]}. One run a condition."
    )
    name = data or data_name(where)
    return of_sheet(
        f"figure_{number}", f"Figure {number}: Energy along the trajectory, {name}", caption,
        missing, list(runs.values()), partial(_sheet, runs, name, unit),
    )  # fmt: skip


def _sheet(runs: Mapping[str, Path], data: str, unit: str) -> Sheet:
    both = {condition: predicted(folder, data) for condition, folder in runs.items()}
    above = [_window(one, condition, unit) for condition, one in both.items()]
    size = UNITS[unit]["energy"][0]
    wrong = np.concatenate([one.series["energy_error_relative_ev"].abs() for one in both.values()])
    limits = float(np.quantile(wrong, 0.005)) / size, 1.3 * float(wrong.max()) / size
    below = [_errors(one, unit, limits) for one in both.values()]  # errors go through zero
    return Sheet([above, below], width(len(both)), 3.9, joined=True)


def _window(one: Predicted, condition: str, unit: str) -> Panel:
    size = UNITS[unit]["energy"][0]
    time, axis = one.time
    start = max((len(time) - _WINDOW) // 2, 0)
    part = slice(start, start + _WINDOW)
    true = one.series["energy_relative_ev"].to_numpy()[part] / size
    ours = one.series["predicted_energy_relative_ev"].to_numpy()[part] / size
    series = [Series("true", time[part], true, QUIET)]
    for (name, colour), mask in zip(_PARTS, (one.others[part], ~one.others[part]), strict=True):
        if mask.any():
            series.append(Series(name, time[part][mask], ours[mask], colour, "points"))
    offset = one.series["energy_error_ev"].mean()
    title = f"{CONDITIONS[condition]}: offset {amount(offset, 'energy', unit)}"
    return Panel(axis, label("relative energy", "energy", unit), series, title)


def _errors(one: Predicted, unit: str, limits: tuple[float, float]) -> Panel:
    size = UNITS[unit]["energy"][0]
    time, axis = one.time
    wrong = np.abs(one.series["energy_error_relative_ev"].to_numpy())
    series = [
        Series(name, time[mask], wrong[mask] / size, colour, "dots", quiet=True)
        for (name, colour), mask in zip(_PARTS, (one.others, ~one.others), strict=True)
        if mask.any()
    ]
    title = f"MAE {amount(wrong[one.others].mean(), 'energy', unit)}"
    if not one.others.all():
        title += f"; training frames {amount(wrong[~one.others].mean(), 'energy', unit)}"
    return Panel(
        axis, label("absolute error", "energy", unit), series, title, scales=("linear", "log"),
        limits=(None, limits),
    )  # fmt: skip
