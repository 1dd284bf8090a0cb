"""Errors along a coordinate of the molecule: any torsion, angle or distance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from deepset_bench.errors import UserError
from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Array, Panel, Series, Sheet
from deepset_bench.figures.predictions import Chosen, Predicted, chosen
from deepset_bench.figures.style import COLOURS, WIDE
from deepset_bench.figures.words import label
from deepset_bench.molecules.internal import check_name
from deepset_bench.study.published import METRICS
from deepset_bench.units import UNITS

_BIN = 10
"""Degrees, of a torsion."""
_LEAST, _MOST, _FRAMES = 5, 18, 25
"""Bins of any other coordinate, at least and at most, and how many frames each is to hold."""


def error_along(
    asked: Asked,
    *,
    coordinate: str,
    sheet: str = "",
    row: str = "",
    data: str = "",
    molecule: str = "",
) -> Figure:
    """Mean errors in bins of a coordinate.

    Args:
        asked: the figure.
        coordinate: as `molecules.internal.named` takes it; torsions without their sign.
        sheet: name of it.
        row: label of the row whose run is shown; none: the one with the least error.
        data: the set; none: the one that it was trained on.
        molecule: of the set; none: the only one.
    """
    try:
        check_name(coordinate)
    except UserError as error:
        raise asked.entry.mistake("coordinate", str(error)) from None
    of = chosen(asked, sheet, row, data)
    is_torsion = coordinate.startswith("torsion")
    bins = f"{_BIN}-degree bins of the absolute" if is_torsion else "bins of as many frames of the"
    return of.figure(
        asked,
        f"Error along {coordinate.replace(':', ' ')}",
        f"Mean absolute errors in {bins} {coordinate.replace(':', ' ')} (atoms are counted from "
        "0), in {energy} and {forces}; energies relative to the mean of the molecule's frames. "
        "Lines: frames not trained on; dashed: training frames. {runs}.",
        partial(_sheet, asked, of, coordinate, molecule),
        molecule=molecule,
    )


def _sheet(asked: Asked, of: Chosen, coordinate: str, molecule: str) -> Sheet:
    both = of.predicted(molecule)
    names = [asked.named(condition) for condition in both]
    panels = [_panel(list(both.values()), names, coordinate, m, asked.unit) for m in METRICS]
    return Sheet([panels], WIDE, 2.5)


def _panel(
    runs: Sequence[Predicted], names: Sequence[str], coordinate: str, metric: str, unit: str
) -> Panel:
    found = [one.along(coordinate) for one in runs]
    which = found[0][1]
    values = [np.abs(x) if which.kind == "torsion" else x for x, _ in found]
    edges = _edges(which.kind, values)
    series = []
    for colour, name, one, x in zip(COLOURS, names, runs, values, strict=False):
        wrong = _frame_errors(one, metric) / UNITS[unit][metric][0]
        for part, mask in (("frames not trained on", one.others), ("training frames", ~one.others)):
            dashed, mask = part == "training frames", mask & ~np.isnan(x)
            if mask.any():
                middles, means = _binned(x[mask], wrong[mask], edges)
                quiet = dashed and bool(name)
                series.append(Series(name or part, middles, means, colour, dashed=dashed,
                                     quiet=quiet))  # fmt: skip
    text = f"|{which.words}|" if which.kind == "torsion" else which.words
    return Panel(
        f"{text} / {'degrees' if which.unit == 'degrees' else 'Å'}",
        label(f"{metric} MAE", metric, unit),
        series,
        scales=("linear", "log"),
        ticks=range(0, 181, 45) if which.kind == "torsion" else (),
    )


def _frame_errors(one: Predicted, metric: str) -> Array:
    """(M,) of each frame, in eV or eV/angstrom."""
    if metric == "energy":
        return np.abs(one.series["energy_error_relative_ev"].to_numpy())
    return np.asarray(one.series["forces_mae_ev_per_angstrom"])


def _edges(kind: str, values: Sequence[Array]) -> Array:
    """Of bins: every ten degrees of a torsion, else such that as many frames are in each."""
    if kind == "torsion":
        return np.arange(0.0, 180.0 + _BIN, _BIN)
    bins = int(np.clip(len(values[0]) // _FRAMES, _LEAST, _MOST))
    return np.unique(np.nanquantile(np.concatenate(values), np.linspace(0, 1, bins + 1)))


def _binned(x: Array, value: Array, edges: Array) -> tuple[Array, Array]:
    """Middles of the bins that hold anything, and the means in them."""
    n = len(edges) - 1
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, n - 1)
    count = np.bincount(place, minlength=n)
    there = count > 0
    mean = np.bincount(place, value, n)[there] / count[there]
    return ((edges[1:] + edges[:-1]) / 2)[there], mean
