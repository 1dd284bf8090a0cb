"""Conformers of a molecule with their true and predicted energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from deepset_bench.errors import UserError
from deepset_bench.figures import structures as molecules
from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Panel, Series
from deepset_bench.figures.predictions import Chosen, Predicted, chosen
from deepset_bench.figures.style import COLOURS, QUIET
from deepset_bench.figures.words import label
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.internal import check_name
from deepset_bench.units import UNITS

_BY_ENERGY = {"lowest": 0.0, "median": 0.5, "highest": 1.0}
"""Which frames in the order of their energies, where no coordinate tells conformers apart."""
_TRUE = "true"


@dataclass(frozen=True)
class Conformer:
    """One frame of a molecule.

    Attributes:
        name: what it is called.
        title: what it is and which frame.
        numbers: (n,) atomic numbers.
        positions: (n, 3) in angstrom, as they are looked at.
        bonds: (b, 2) pairs of atoms.
        energies: whose -> eV relative to the mean of the molecule's frames, the true one first.
    """

    name: str
    title: str
    numbers: IntArray
    positions: FloatArray
    bonds: IntArray
    energies: dict[str, float]


def conformers(
    asked: Asked,
    *,
    sheet: str = "",
    row: str = "",
    data: str = "",
    molecule: str = "",
    coordinate: str = "",
    at: Mapping[str, float] = {},
    within: float = 10.0,
) -> Figure:
    """Molecules and, beside them, their true and predicted energies.

    Args:
        asked: the figure.
        sheet: name of it.
        row: label of the row whose run is shown; none: the one with the least error.
        data: the set; none: the one that it was trained on.
        molecule: of the set; none: the only one.
        coordinate: which tells conformers apart, as `molecules.internal.named` takes it; none: the
            frames of lowest, median and highest energy are shown.
        at: name of a conformer -> value of the coordinate, of torsions without sign.
        within: of that value, in degrees or angstrom.
    """
    if bool(coordinate) != bool(at):
        raise asked.entry.mistake("coordinate", "a coordinate needs its values in at, and at it")
    try:
        check_name(coordinate or "torsion")
    except UserError as error:
        raise asked.entry.mistake("coordinate", str(error)) from None
    of = chosen(asked, sheet, row, data)
    unit = "degrees" if coordinate.startswith(("torsion", "angle")) else "Å"
    values = ", ".join(f"{value:g}: {name}" for name, value in at.items())
    which = (
        f"The frame of lowest energy within {within:g} {unit} of each value of the "
        f"{coordinate.replace(':', ' ')} ({values})"
        if at
        else "The frames of lowest, median and highest energy"
    )
    title, caption = asked.texts(
        "Conformers of {data} and their energies",
        f"{which} among those that no run shown was trained on. Energies relative to the mean of "
        "the molecule's frames, of labels and predictions each, in {energy}. {runs}.",
        **of.facts(molecule),
        within=f"{within:g}",
    )
    if not of.runs:
        return Figure(asked.entry.name, title, caption, of.missing)

    def found() -> tuple[list[Conformer], Panel]:
        those = _those(asked, of, molecule, coordinate, at, within)
        return those, _energies(those, asked.unit)

    return Figure(
        asked.entry.name, title, caption, of.missing, list(of.runs.values()),
        lambda: molecules.draw(*found(), asked.unit), lambda: molecules.interactive(*found()),
    )  # fmt: skip


def _those(
    asked: Asked,
    of: Chosen,
    molecule: str,
    coordinate: str,
    at: Mapping[str, float],
    within: float,
) -> list[Conformer]:
    both = {
        asked.named(condition) or "predicted": one
        for condition, one in of.predicted(molecule).items()
    }
    one = next(iter(both.values()))
    others = reduce(np.logical_and, [each.others for each in both.values()])
    energy = one.series["energy_ev"].to_numpy()
    if not others.any():
        raise UserError("every frame was used for training")
    if not at:
        ranked = np.flatnonzero(others)[np.argsort(energy[others], kind="stable")]
        places = {
            name: ranked[round(part * (len(ranked) - 1))] for name, part in _BY_ENERGY.items()
        }
        return [_conformer(both, int(place), name, name, ()) for name, place in places.items()]
    values, which = one.along(coordinate)
    values = np.abs(values) if which.kind == "torsion" else values
    found = []
    for name, value in at.items():
        place = _lowest(energy, others & (np.abs(values - value) <= within))
        unit = "°" if which.unit == "degrees" else " Å"
        if place is None:
            whole = {"°": "degrees", " Å": "angstrom"}[unit]
            raise UserError(
                f"no frame within {within:g} {whole} of {name}, but for training frames"
            )
        digits = 0 if unit == "°" else 2
        words = f"{values[place]:.{digits}f}{unit}"
        chain = which.atoms if which.kind == "torsion" else ()
        found.append(_conformer(both, place, name, words, chain))
    return found


def _lowest(energy: FloatArray, near: NDArray[np.bool_]) -> int | None:
    """The row of lowest energy among some."""
    rows = np.flatnonzero(near)
    return int(rows[energy[rows].argmin()]) if len(rows) else None


def _conformer(
    both: Mapping[str, Predicted], place: int, name: str, words: str, chain: Sequence[int]
) -> Conformer:
    one = next(iter(both.values()))
    row = one.series.iloc[place]
    group, molecule = one.whole
    within = int(np.flatnonzero(group.rows == row["row"])[0])
    positions = group.positions[within]
    energies = {_TRUE: float(row["energy_relative_ev"])} | {
        whose: _predicted(each.series, place) for whose, each in both.items()
    }
    title = f"{name}: frame {row['frame']}" + (f", {words}" if words != name else "")
    seen = _turned(positions, chain) if chain else _flat(positions)
    return Conformer(name, title, group.numbers, seen, molecule.bonds, energies)


def _predicted(series: pd.DataFrame, place: int) -> float:
    return float(series["predicted_energy_relative_ev"].iloc[place])


def _turned(positions: FloatArray, chain: Sequence[int]) -> FloatArray:
    """Seen across the bond that the chain turns about and a little from above, its middle at 0."""
    i, j, k, _ = (positions[atom] for atom in chain)
    x = (k - j) / np.linalg.norm(k - j)
    y = (i - j) - ((i - j) @ x) * x
    y /= np.linalg.norm(y)
    return _from_above((positions - (j + k) / 2) @ np.stack([x, y, np.cross(x, y)], axis=1))


def _flat(positions: FloatArray) -> FloatArray:
    """Its longest axis across, turned about it until no atom is behind another, if that goes."""
    centred = positions - positions.mean(axis=0)
    axes = np.linalg.svd(centred)[2]
    axes[2] *= np.sign(np.linalg.det(axes))  # no mirror image
    seen = []
    for angle in np.radians(range(-75, 90, 15)):
        c, s = np.cos(angle), np.sin(angle)
        turned = centred @ axes.T @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
        seen.append(_from_above(turned))
    return max(seen, key=lambda one: float(pdist(one[:, :2]).min(initial=np.inf)))


def _from_above(seen: FloatArray) -> FloatArray:
    """Turned a little, so that atoms behind others come out."""
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    turned: FloatArray = seen @ about_x.T @ about_y.T
    return turned


def _energies(those: Sequence[Conformer], unit: str) -> Panel:
    size = UNITS[unit]["energy"][0]
    whose = list(those[0].energies)
    series = []
    for place, (name, colour) in enumerate(zip(whose, (QUIET, *COLOURS), strict=False)):
        x = np.array([conformer.energies[name] for conformer in those]) / size
        y = np.arange(len(those)) + 0.18 * (place - (len(whose) - 1) / 2)
        series.append(Series(name, x, y, colour, "points"))
    names = [conformer.name for conformer in those]
    return Panel(label("relative energy", "energy", unit), "", series, names=names)
