"""Energy and force along a path of geometries: a torsion, a bond, an angle, two molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from deepset_bench.data import catalogue
from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.evaluation import paths
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.evaluation.scans import GFN1, followed, gfn1_along
from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure, Gap
from deepset_bench.figures.panels import Array, Panel, Series, Sheet
from deepset_bench.figures.predictions import best, chosen, of_one
from deepset_bench.figures.style import QUIET, WIDE, colours
from deepset_bench.figures.words import and_, label
from deepset_bench.molecules.internal import named
from deepset_bench.surroundings import require
from deepset_bench.units import UNITS

_POINTS = 181
"""At most, of the path's own grid."""


def scan(
    asked: Asked,
    *,
    path: str,
    sheet: str = "",
    rows: Sequence[str] = (),
    data: str = "",
    molecule: str = "",
    gfn1: bool = True,
) -> Figure:
    """Energy, and the force along the path, of one run of each row and condition.

    Args:
        asked: the figure.
        path: as `evaluation.paths.path` takes it.
        sheet: name of it.
        rows: labels of those to draw; none: the one with the least error.
        data: the set whose molecule is taken; none: the one that the rows are trained on.
        molecule: of the set; none: the only one.
        gfn1: whether GFN1-xTB is drawn beside them where it is installed.
    """
    labels = list(rows) or [best(asked, asked.sheet(sheet)).label]
    those = [chosen(asked, sheet, row, data) for row in labels]
    found = {
        (of.row.label, condition): folder for of in those for condition, folder in of.runs.items()
    }
    missing: list[Gap] = [gap for of in those for gap in of.missing]
    if gfn1 and (lacking := _not_installed()):
        missing.append((f"no {GFN1} beside it: {lacking}", ""))
        gfn1 = False
    where = those[0].data
    return asked.figure(
        f"Energy and force along {path.replace(':', ' ')}",
        f"Energy, and the force along the path, of the {path.replace(':', ' ')} (atoms are counted "
        "from 0), from the geometry of lowest energy in the data, in {energy} and {force}; one run "
        "each (n = 1)." + (f" Grey: {GFN1}." if gfn1 else ""),
        missing,
        list(found.values()),
        partial(_sheet, asked, found, where, molecule, path, gfn1),
        data=f"{molecule} of {where}" if molecule else where,
        force=_force_unit(asked.unit, path),
        rows=and_(labels),
    )


def _not_installed() -> str:
    """What keeps GFN1-xTB away; empty for nothing."""
    try:
        require("tblite.interface", "generate")
    except NotInstalled as error:
        return str(error)
    return ""


def _force_unit(unit: str, path: str) -> str:
    energy = UNITS[unit]["energy"][1]
    return f"{energy}/{'degree' if path.startswith(('torsion', 'angle')) else 'Å'}"


def _sheet(
    asked: Asked,
    runs: Mapping[tuple[str, str], Path],
    data: str,
    molecule: str,
    path: str,
    beside: bool,
) -> Sheet:
    _, start = of_one(catalogue.load(data), molecule)
    ensembles = {key: Ensemble([folder], "cpu", "float64") for key, folder in runs.items()}
    cutoff = max(e.members[0].config.cutoff for e in ensembles.values())
    along = paths.path(path, start, cutoff)
    along = replace(along, grid=along.grid[:: max((len(along.grid) - 1) // (_POINTS - 1), 1)])
    size = UNITS[asked.unit]["energy"][0]
    energies, forces = [], []

    def add(name: str, colour: str, energy: Array, slope: Array, dashed: bool) -> None:
        relative = energy - (energy[-1] if along.from_end else energy.min())
        energies.append(Series(name, along.grid, relative / size, colour, dashed=dashed))
        forces.append(Series(name, along.grid, -slope / size, colour, dashed=dashed))

    if beside and (known := _reference(data, along)) is not None:
        add(GFN1, QUIET, *known, False)
    rows = list(dict.fromkeys(row for row, _ in runs))
    colour_of = dict(zip(rows, colours(len(rows)), strict=True))
    for (row, condition), ensemble in ensembles.items():
        name = ", ".join(word for word in (row, asked.named(condition)) if word)
        point = followed(ensemble, along, along.grid)
        dashed = len(asked.conditions) > 1 and condition == asked.conditions[0]
        add(name, colour_of[row], point.energy, point.slope, dashed)
    is_pair = path.startswith("pair")
    x = "distance between centres" if is_pair else named(path, start).words
    x += f" / {'degrees' if along.unit == 'degrees' else 'Å'}"
    ticks = range(-180, 181, 60) if path.startswith("torsion") else ()
    force = _force_unit(asked.unit, path)
    of = "relative to the last" if along.from_end else "relative to the lowest"
    return Sheet(
        [[
            Panel(x, label("energy", "energy", asked.unit), energies, of, ticks=ticks),
            Panel(x, f"force / ({force})", forces, ticks=ticks),
        ]],
        WIDE, 2.6,
    )  # fmt: skip


def _reference(data: str, along: paths.Path) -> tuple[Array, Array] | None:
    """Energies and slopes of GFN1-xTB; None where it does not converge."""
    temperature = catalogue.datasheet(data).get("electronic_temperature_kelvin", 300.0)
    try:
        point = gfn1_along(along, float(temperature))(along.grid)
    except UserError:
        return None
    return point.energy, point.slope
