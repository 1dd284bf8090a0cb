"""What a run says of each atom: mean and spread of the atomic energies."""

from __future__ import annotations

from functools import partial

import numpy as np
from ase.data import chemical_symbols

from deepset_bench.errors import UserError
from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.predictions import Chosen, Predicted, chosen
from deepset_bench.figures.style import WIDE, colours
from deepset_bench.figures.words import label
from deepset_bench.units import UNITS

_MOST = 60
"""Atoms that fit beside each other."""
_EACH = 20
"""Atoms whose numbers do."""


def atomic_energies(
    asked: Asked, *, sheet: str = "", row: str = "", data: str = "", molecule: str = ""
) -> Figure:
    """The energy of each atom about the mean of its element, over the frames not trained on.

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
        "Atomic energies, {data}",
        "Predicted energy of each atom about the mean of its element, mean and standard deviation "
        "over the frames that the run was not trained on, in {energy}; atoms are counted from 0. "
        "Only the molecular sum is a label; atomic energies are not unique, do not interpret them. "
        "{runs}.",
        partial(_sheet, asked, of, molecule),
        molecule=molecule,
    )


def _sheet(asked: Asked, of: Chosen, molecule: str) -> Sheet:
    both = of.predicted(molecule)
    panels = [_panel(one, asked.named(c), asked.unit) for c, one in both.items()]
    return Sheet([panels], WIDE, 2.5, joined=True)


def _panel(one: Predicted, name: str, unit: str) -> Panel:
    group, _ = one.whole
    if len(group.numbers) > _MOST:
        raise UserError(
            f"{len(group.numbers)} atoms are too many beside each other: {_MOST} at most"
        )
    others = set(one.series["row"].to_numpy()[one.others].tolist())
    atoms = group.atoms[[row in others for row in group.rows.tolist()]]
    energies = one.analysis.predictions.atomic_energies[atoms] / UNITS[unit]["energy"][0]
    elements = list(dict.fromkeys(group.numbers.tolist()))
    series = []
    for colour, number in zip(colours(len(elements)), elements, strict=True):
        own = np.flatnonzero(group.numbers == number)
        about = energies[:, own] - energies[:, own].mean()
        mean, spread = about.mean(axis=0), about.std(axis=0)
        ends = (mean - spread, mean + spread)
        series.append(Series(chemical_symbols[number], own, mean, colour, "points", ends=ends))
    n = len(group.numbers)
    ticks = range(n) if n <= _EACH else ()
    return Panel("atom", label("atomic energy", "energy", unit), series, name, ticks=ticks)
