"""Figures 16 and 18: cis, half-way and trans conformers with their energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepset_bench.errors import UserError
from deepset_bench.figures import structures as molecules
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Panel, Series
from deepset_bench.figures.predictions import Predicted, chosen, data_name, predicted
from deepset_bench.figures.style import COLOURS, QUIET
from deepset_bench.figures.words import CONDITIONS, label
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import bonds
from deepset_bench.study.collect import Where
from deepset_bench.units import UNITS

_KINDS = {"cis": 0, "half-way": 90, "trans": 180}
"""Absolute torsion of the chain about the double bond, in degrees."""
_WITHIN = 10
_COLOURS = {"true": QUIET, CONDITIONS["report"]: COLOURS[0], CONDITIONS["corrected"]: COLOURS[1]}


@dataclass(frozen=True)
class Conformer:
    """One frame of a trajectory.

    Attributes:
        title: what it is and which frame.
        numbers: (n,) atomic numbers.
        positions: (n, 3) in angstrom; the double bond along x, the chain's first bond in the plane.
        bonds: (b, 2) pairs of atoms.
        energies: whose -> eV relative to the mean of the trajectory, the true one first.
    """

    title: str
    numbers: IntArray
    positions: FloatArray
    bonds: IntArray
    energies: dict[str, float]


def conformers(
    number: int, data: str | None, conditions: Sequence[str], where: Where, unit: str
) -> Figure:
    """Three molecules and, beside them, their true and predicted energies."""
    runs, missing = chosen(conditions, where)
    name = data or data_name(where)
    caption = (
        f"The frame of lowest energy within {_WITHIN} degrees of each torsion about the double "
        "bond (0: cis, 90: half-way, 180: trans) among those that no run shown was trained on. "
        "Energies relative to the mean of the trajectory, of labels and predictions each, in "
        f"{UNITS[unit]['energy'][1]}. One run a condition."
    )
    full, title = f"figure_{number}", f"Figure {number}: Conformers of {name} and their energies"
    if not runs:
        return Figure(full, title, caption, missing)

    def found() -> tuple[list[Conformer], Panel]:
        three = _three(runs, name)
        return three, _energies(three, unit)

    return Figure(
        full, title, caption, missing, list(runs.values()),
        lambda: molecules.draw(*found(), unit), lambda: molecules.interactive(*found()),
    )  # fmt: skip


def _three(runs: Mapping[str, Path], data: str) -> list[Conformer]:
    both = {condition: predicted(folder, data) for condition, folder in runs.items()}
    one = next(iter(both.values()))
    others = reduce(np.logical_and, [each.others for each in both.values()])
    return [_conformer(one, both, others, kind) for kind in _KINDS]


def _conformer(
    one: Predicted, both: Mapping[str, Predicted], others: NDArray[np.bool_], kind: str
) -> Conformer:
    """The frame of lowest energy among those near an angle."""
    near = np.flatnonzero(others & (np.abs(one.torsion - _KINDS[kind]) <= _WITHIN))
    if not len(near):
        raise UserError(f"no frame within {_WITHIN} degrees of {kind}, but for training frames")
    place = int(near[one.series["energy_ev"].to_numpy()[near].argmin()])
    row = one.series.iloc[place]
    frames = one.analysis.selection.frames
    atoms = frames.atoms_of(int(row["row"]))
    numbers, positions = frames.numbers[atoms], frames.positions[atoms]
    energies = {"true": float(row["energy_relative_ev"])} | {
        CONDITIONS[condition]: float(each.series["predicted_energy_relative_ev"].iloc[place])
        for condition, each in both.items()
    }
    title = f"{kind}: frame {row['frame']}, {one.torsion[place]:.0f}°"
    pairs, _ = bonds(numbers, positions[None])
    return Conformer(title, numbers, _turned(positions, one.chain), pairs, energies)


def _turned(positions: FloatArray, chain: Sequence[int]) -> FloatArray:
    """Seen across the double bond and a little from above, its middle at the origin."""
    i, j, k, _ = (positions[atom] for atom in chain)
    x = (k - j) / np.linalg.norm(k - j)
    y = (i - j) - ((i - j) @ x) * x
    y /= np.linalg.norm(y)
    seen = (positions - (j + k) / 2) @ np.stack([x, y, np.cross(x, y)], axis=1)
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    turned: FloatArray = seen @ about_x.T @ about_y.T
    return turned


def _energies(three: Sequence[Conformer], unit: str) -> Panel:
    size = UNITS[unit]["energy"][0]
    whose = list(three[0].energies)
    series = []
    for place, name in enumerate(whose):
        x = np.array([conformer.energies[name] for conformer in three]) / size
        y = np.arange(len(three)) + 0.18 * (place - (len(whose) - 1) / 2)
        series.append(Series(name, x, y, _COLOURS[name], "points"))
    return Panel(label("relative energy", "energy", unit), "", series, names=list(_KINDS))
