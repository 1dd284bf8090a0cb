"""True and predicted energy along a trajectory, of one run a condition."""

from __future__ import annotations

from functools import partial

import numpy as np

from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.predictions import Chosen, Predicted, chosen
from deepset_bench.figures.style import COLOURS, QUIET, width
from deepset_bench.figures.words import amount, label
from deepset_bench.units import UNITS

_WINDOW = 100
"""Frames shown one by one, from the middle of the trajectory."""
_PARTS = (("other frames", COLOURS[0]), ("training frames", COLOURS[1]))


def trajectory(
    asked: Asked, *, sheet: str = "", row: str = "", data: str = "", molecule: str = ""
) -> Figure:
    """A window of the trajectory, and the errors along all of it; a column for each condition.

    Args:
        asked: the figure.
        sheet: name of it.
        row: label of the row whose run is shown; none: the one with the least error.
        data: the set; none: the one that it was trained on.
        molecule: of the set; none: the only one.
    """
    of = chosen(asked, sheet, row, data)
    return of.figure(
        asked,
        "Energy along the trajectory, {data}",
        f"Above: true energy (line) and predicted (points), {_WINDOW} frames from the middle; "
        "below: absolute errors of all frames. Energies relative to their mean over the "
        "trajectory, of labels and predictions each, so that the offset between the two means "
        "(over the panels) is no error here; in {energy}. {runs}.",
        partial(_sheet, asked, of, molecule),
        molecule=molecule,
    )


def _sheet(asked: Asked, of: Chosen, molecule: str) -> Sheet:
    both = of.predicted(molecule)
    for one in both.values():
        _ = one.whole  # of one molecule, or refused
    above = [_window(one, asked.named(c), asked.unit) for c, one in both.items()]
    size = UNITS[asked.unit]["energy"][0]
    wrong = np.concatenate([one.series["energy_error_relative_ev"].abs() for one in both.values()])
    limits = float(np.quantile(wrong, 0.005)) / size, 1.3 * float(wrong.max()) / size
    below = [_errors(one, asked.unit, limits) for one in both.values()]  # errors go through zero
    return Sheet([above, below], width(len(both)), 3.9, joined=True)


def _window(one: Predicted, name: str, unit: str) -> Panel:
    size = UNITS[unit]["energy"][0]
    time, axis = one.time
    start = max((len(time) - _WINDOW) // 2, 0)
    part = slice(start, start + _WINDOW)
    true = one.series["energy_relative_ev"].to_numpy()[part] / size
    ours = one.series["predicted_energy_relative_ev"].to_numpy()[part] / size
    series = [Series("true", time[part], true, QUIET)]
    for (label_, colour), mask in zip(_PARTS, (one.others[part], ~one.others[part]), strict=True):
        if mask.any():
            series.append(Series(label_, time[part][mask], ours[mask], colour, "points"))
    offset = f"offset {amount(one.series['energy_error_ev'].mean(), 'energy', unit)}"
    title = f"{name}: {offset}" if name else offset
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
