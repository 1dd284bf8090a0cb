"""Which of the arrays in a file are its energies and forces, and which frames have none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepset_bench.errors import UserError, nearest
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray, lowest_multiplicity
from deepset_bench.molecules.mapped import Passing
from deepset_bench.readers.arrays import (
    Arrays,
    join,
    kinds_of,
    name_molecules,
    names_of,
    numbers_array,
)
from deepset_bench.readers.lattices import Lattice, cell_of
from deepset_bench.readers.methods import GRADIENTS, check_methods
from deepset_bench.readers.one_unit import Where, check_one_unit
from deepset_bench.readers.options import Options, Reading, StatedLaterError
from deepset_bench.readers.plausible import check_plausible
from deepset_bench.readers.states import check_electrons, stated
from deepset_bench.readers.xyz import shown
from deepset_bench.units import Units

BIAS_KEY = "bias_forces"
SPILL = 500_000
"""Atoms that are in memory while a file is read: some 100 MB, with what they are made of."""
_INFINITE = 1e100
_MANY = 30  # names in one message


@dataclass(frozen=True)
class Layout:
    """What a format calls labels, and its units where nothing else is said.

    Attributes:
        energy_keys, forces_keys: the first that a file has is meant.
        energy_unit, length_unit, force_unit: as in `Units`.
        convention: whose units they are, if the format has no others; else they are assumed.
        gaps: whether NaN says that a label was not computed, which is no mistake then.
        gradients: whether what it calls forces are gradients of the energy, of the other sign.
    """

    energy_keys: tuple[str, ...] = ("energy",)
    forces_keys: tuple[str, ...] = ("forces",)
    energy_unit: str = "eV"
    length_unit: str = "angstrom"
    force_unit: str = ""
    convention: str = ""
    gaps: bool = False
    gradients: bool = False


@dataclass(frozen=True, eq=False)
class Found:
    """m geometries of one molecule of n atoms, as a file stores them.

    Attributes:
        numbers: (n,) atomic numbers.
        positions: (m, n, 3), of which messages speak as `positions_key`.
        stored: labels by name, along the first axis one for each frame.
        index: (m,) numbers of the frames in the file.
        where: says where a row is.
        where_forces: the same of forces, where they are in another file.
        about: what may state charge and spin, by name.
        gap: what is said of a number that is not finite, where the reader knows the line.
        energy_hint: what to do where there is no energy, if the reader knows better.
        cell: of all m, if they are periodic.
    """

    numbers: IntArray
    positions: Any
    stored: Mapping[str, Any]
    index: IntArray
    where: Where
    about: Mapping[str, Any] = field(default_factory=dict)
    where_forces: Where | None = None
    gap: UserError | None = None
    energy_hint: str = ""
    positions_key: str = "positions"
    cell: Lattice | None = None


class Collector:
    """Gathers what a reader finds, frame after frame or molecule after molecule.

    Args:
        path: for messages.
        name: what to call the set.
        layout: of the format.
        options: what the command line says.
        unlabelled: frames may lack labels, because others will be computed; where one does, all
            are zero.
    """

    def __init__(
        self, path: Path, name: str, layout: Layout, options: Options, unlabelled: bool = False
    ) -> None:
        self._path, self._name, self._layout, self._options = path, name, layout, options
        self._unlabelled = unlabelled
        self._labelled = True
        self._total = 0
        self._left_out: dict[str, int] = {}
        self._reason = UserError(f"{path}: holds no frames")  # why nothing is left, if so
        self._blocks: list[Arrays] = []
        self._where_forces: Where | None = None
        self._places: list[tuple[Where, int]] = []
        self._energies = False  # whether any energy is not 0
        self._states: set[str] = set()  # of charge and spin what any frame states
        self._silent: set[str] = set()  # and what any frame was taken without
        self._impossible: UserError | None = None  # unless a later frame states what was asked for
        self._forced = 0  # frames in blocks with any force that is not 0
        self._biased: set[bool] = set()  # whether blocks have a bias
        self._stress: dict[tuple[str, str], Lattice] = {}  # one for each way of reading it
        self._atoms = 0  # in memory
        self._spilled: Passing | None = None
        self._spilled_in: Units | None = None
        self._nearest: list[FloatArray] = []  # as `check_plausible` returns, of what is spilled

    @property
    def keeps(self) -> bool:
        """Whether all that is taken stays in memory."""
        return self._unlabelled

    def keys(self, names: Collection[str]) -> tuple[str, str]:
        """The names of energy and forces among those that are there."""
        forces_keys = self._layout.forces_keys
        if self._options.gradients:
            forces_keys = (*GRADIENTS, *forces_keys)
        return (
            self._options.energy_key or _first(self._layout.energy_keys, names),
            self._options.forces_key or _first(forces_keys, names),
        )

    def add(self, found: Found) -> None:
        """Take m geometries.

        Raises:
            UserError: a label is missing, of another shape or not finite, energy and forces are of
                two methods, or charge or spin is impossible or contradicts itself.
            StatedLaterError: see there.
        """
        m, n = len(found.index), len(found.numbers)
        self._where_forces = found.where_forces
        self._total += m
        kept = np.ones(m, dtype=bool)
        charge = self._state("charge", found, kept)
        protons = int(found.numbers.sum())
        spin = self._state("spin", found, kept, lowest_multiplicity(protons - charge))
        rows = np.flatnonzero(kept).tolist()
        try:
            check_electrons(protons, charge[kept], spin[kept], lambda k: found.where(rows[k], None))
        except UserError as error:
            if not any(getattr(self._options, quantity) for quantity in self._silent):
                raise
            self._impossible = self._impossible or error
            return

        keys = self.keys(found.stored)
        if n == 1 and found.cell is None and keys[1] not in found.stored:
            # Nothing pulls at an atom that is alone.
            found = replace(found, stored={**found.stored, keys[1]: np.zeros((m, 1, 3))})
        shapes: list[tuple[str, tuple[int, ...]]] = [(keys[0], (m,)), (keys[1], (m, n, 3))]
        if BIAS_KEY in found.stored:
            shapes.append((BIAS_KEY, (m, n, 3)))
        labels = [
            numbers_array(found.stored[key], key, shape, found.where)
            if key in found.stored
            else np.full(shape, np.nan)
            for key, shape in shapes
        ]
        positions = numbers_array(found.positions, found.positions_key, (m, n, 3), found.where)
        optional = (keys[1], BIAS_KEY) if self._options.energies_only else ()
        absent = [key for key in keys if key not in found.stored and key not in optional]
        if not absent and not self._unlabelled and keys[1] in found.stored:
            check_methods(found.where(0, None), keys, found.stored, self._options)

        labelled = np.logical_and.reduce(
            [
                _finite(label) | (_nothing(label) & (key in optional))
                for label, (key, _) in zip(labels, shapes, strict=True)
            ]
        )
        whole = _finite(positions) & (labelled | self._unlabelled)
        self._labelled &= not self._unlabelled or bool(labelled[kept].all())
        incomplete = np.flatnonzero(kept & ~whole)
        if len(incomplete):
            row = int(incomplete[0])
            named = {found.positions_key: positions}
            named |= {key: label for (key, _), label in zip(shapes, labels, strict=True)}
            problem = found.gap or _not_finite(found, row, named)
            if absent and not self._unlabelled:
                problem = _no_label(found, absent[0], absent[0] == keys[0])
            gaps = self._layout.gaps and not absent
            gaps = gaps and not any(np.isinf(a[kept]).any() for a in (positions, *labels))
            if not (gaps or self._options.skip_incomplete):
                raise problem
            if gaps:
                problem = UserError(f"{self._path}: holds no labelled geometries")
            self._leave_out(kept, whole, "have no labels", problem)
        if kept.any():
            sign = -1.0 if self._gradients(keys[1]) else 1.0
            energy, forces, *bias = (label[kept] for label in labels)
            self._energies |= bool(energy.any())
            self._forced += len(energy) * bool(np.nan_to_num(forces).any())
            self._biased.add(bool(bias))
            self._atoms += len(energy) * n
            self._blocks.append(
                Arrays(
                    found.numbers,
                    positions[kept],
                    energy,
                    sign * forces,
                    bias[0] if bias else None,
                    found.index[kept],
                    charge[kept],
                    spin[kept],
                    found.cell,
                )
            )
            self._places += [(found.where, int(row)) for row in np.flatnonzero(kept)]

    def cell(
        self, place: str, found: Mapping[str, Any], labels: Mapping[str, Any]
    ) -> Lattice | None:
        """See `cell_of`; the stress is left out where labels are to be computed."""
        labels = {} if self._unlabelled else labels
        cell = cell_of(place, found, labels, self.keys(labels)[0], self._options.stress_unit)
        if cell is not None and cell.has_stress:
            self._stress.setdefault((cell.unit, cell.source), cell)
        return cell

    def spill(self, units: Callable[[], tuple[Units, object]]) -> None:
        """Put what was taken into files where it is much, so that memory holds no more of it.

        Args:
            units: of the file, as far as it was read, and how they were chosen.

        Raises:
            UserError: see `check_plausible`.
        """
        if self._atoms >= SPILL and not self.keeps:
            self._put_aside(units()[0])

    def _put_aside(self, units: Units) -> None:
        if self._spilled_in not in (None, units):
            raise UserError(
                f"{self._path}: states units after frames without; give them with --energy-unit, "
                "--length-unit and --force-unit"
            )
        self._spilled, self._spilled_in = self._spilled or Passing(), units
        piece = join(self._blocks, self._name, units)
        self._nearest.append(check_plausible(name_molecules(piece, self._name), self._place))
        self._spilled.add(piece, *kinds_of(piece))
        self._blocks, self._places, self._atoms = [], [], 0

    def _place(self, frame: int, atom: int | None) -> str:
        where, row = self._places[frame]
        return where(row, atom)

    def reading(
        self,
        units: Units,
        notes: Mapping[str, Any],
        hint: str = "",
    ) -> Reading:
        """All of them as one set; mapped, where some were put aside.

        Args:
            units: of the file.
            notes: how they were chosen.
            hint: see `check_plausible`.

        Raises:
            UserError: nothing is left; see `check_plausible`.
        """
        if self._impossible is not None:
            raise self._impossible
        blocks = self._blocks
        if not blocks and self._spilled is None:
            raise self._reason
        if len(self._biased) > 1:
            raise UserError(
                f"{self._path}: only some frames have {BIAS_KEY}; write it for all or none"
            )
        if not self._unlabelled and not self._energies and self._forced > 1:
            raise UserError(  # what some program wrote in the place of energies it did not know
                f"{self._path}: every energy is 0, but the forces are not: no energies were "
                "written; compute energies and forces with --relabel gfn1"
            )
        if not self._labelled:
            blocks = [
                replace(b, energy=np.zeros(len(b.index)), forces=np.zeros_like(b.forces), bias=None)
                for b in blocks
            ]

        where_forces = self._where_forces

        def of_forces(frame: int, atom: int | None) -> str:
            assert where_forces is not None
            return where_forces(self._places[frame][1], atom)

        if self._spilled is not None:
            read = self._put_together(self._spilled, units)
        else:
            read = name_molecules(join(blocks, self._name, units), self._name)
            check_plausible(read, self._place, where_forces and of_forces, hint)
        left_out = [
            f"{n:,} of {self._total:,} geometries {what}" for what, n in self._left_out.items()
        ]
        stress = " and ".join(cell.note(units) for cell in self._stress.values())
        all_units = dict(notes) | ({"stress": stress} if stress else {})
        said = {"left_out": left_out, "states": sorted(self._states)}
        return Reading(
            read, {"units": all_units} | {key: text for key, text in said.items() if text}
        )

    def _put_together(self, spilled: Passing, units: Units) -> Frames:
        if self._blocks:
            self._put_aside(units)
        read, kind = spilled.frames(lambda kinds: names_of(kinds, self._name))

        def where(frame: int, atom: int | None) -> str:
            return f"{self._path}: frame {read.index[frame] + 1}"

        check_one_unit(read, kind, np.concatenate(self._nearest), where)
        return read

    def _state(
        self, quantity: str, found: Found, kept: NDArray[np.bool_], lowest: IntArray | int = 0
    ) -> IntArray:
        """(m,) charges or spins; frames of another one than was asked for are no longer kept.

        Where some frames state it, those that do not are of the lowest: `--charge 1` is no
        statement about them.
        """
        m = len(found.index)
        asked = getattr(self._options, quantity)
        said = stated(quantity, found.about, m, lambda row: found.where(row, None))
        if said is not None and (quantity == "charge" or said.any()):
            if asked is not None and quantity in self._silent:
                raise StatedLaterError(quantity)
            self._states.add(quantity)
        elif asked is None or quantity not in {*self._states, *self._options.states}:
            self._silent.add(quantity)
            return np.full(m, asked or 0)
        if asked is None:
            return np.zeros(m, dtype=np.int64) if said is None else said
        said = np.zeros(m, dtype=np.int64) if said is None else said
        if quantity == "spin":
            said = np.where(said == 0, lowest, said)
        other = np.unique(said[kept & (said != asked)])
        if len(other):
            problem = UserError(
                f"{self._path}: no geometry has the {quantity} {asked}, but {other[0]}; leave "
                f"--{quantity} out, or correct the file"
            )
            self._leave_out(kept, said == asked, f"have another {quantity}", problem)
        return said

    def _gradients(self, key: str) -> bool:
        """Whether what is stored under this name is of the other sign."""
        usual = self._layout.gradients and key in self._layout.forces_keys
        return usual or self._options.gradients

    def _leave_out(
        self, kept: NDArray[np.bool_], good: NDArray[np.bool_], what: str, problem: UserError
    ) -> None:
        self._left_out[what] = self._left_out.get(what, 0) + int((kept & ~good).sum())
        self._reason = problem
        kept &= good


def _no_label(found: Found, key: str, energy: bool) -> UserError:
    """One line for a label that is not there, with what is."""
    gradients = [name for name in found.stored if name.lower() in GRADIENTS]
    if gradients and not energy:
        hint = f"'{gradients[0]}' is there: --gradients takes it, with its sign turned"
    else:
        option = "--energy-key" if energy else "--forces-key"
        names = [name for name in found.stored if not energy or _one_number(found, name)]
        near = nearest(key, [shown(name) for name in names[:_MANY]])
        hint = (
            "compute energies and forces with --relabel gfn1, or leave such frames out with "
            "--skip-incomplete"
        )
        if not energy:
            hint += "; --energies-only takes such frames, to score them"
        if names:
            hint = f"{near} (choose with {option}, {hint})"
        if energy and found.energy_hint:
            hint = found.energy_hint
    return UserError(f"{found.where(0, None)}: has no '{key}'; {hint}")


def _not_finite(found: Found, row: int, named: Mapping[str, FloatArray]) -> UserError:
    """One line for the first number of a frame that is none, or beyond all measure."""
    key = next(key for key, array in named.items() if not _finite(array[row : row + 1]))
    numbers = named[key][row]
    wrong = np.argwhere(~(np.abs(numbers) < _INFINITE))[0]
    gone = np.isnan(numbers).all()  # a whole label, and no atom's
    value = numbers[tuple(wrong)]
    what = f"of {value:.3g} is beyond any molecule" if np.isfinite(value) else "is not finite"
    of_forces = found.where_forces if list(named).index(key) > 1 else None
    place = (of_forces or found.where)(row, None if gone or not wrong.size else int(wrong[0]))
    return UserError(f"{place}: '{key}' {what} (--skip-incomplete leaves such frames out)")


def _finite(array: FloatArray) -> NDArray[np.bool_]:
    """(m,) whether all numbers of a frame are finite, in whatever unit."""
    return np.asarray((np.abs(array) < _INFINITE).reshape(len(array), -1).all(axis=1))


def _one_number(found: Found, name: str) -> bool:
    """Whether something may be an energy: one number for each frame, as far as is known."""
    try:
        value = found.stored[name]
    except UserError:  # what is no array of numbers
        return False
    array = np.asarray(value)
    return value is None or (array.dtype.kind in "iuf" and array.size == len(found.index))


def _nothing(array: FloatArray) -> NDArray[np.bool_]:
    """(m,) whether a frame has no number at all."""
    return np.asarray(np.isnan(array).reshape(len(array), -1).all(axis=1))


def _first(keys: tuple[str, ...], names: Collection[str]) -> str:
    return next((key for key in keys if key in names), keys[0])
