"""The one container of labelled geometries: eV, angstrom, eV/angstrom, float64 as read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepset_bench import bounds
from deepset_bench.errors import UserError, chosen
from deepset_bench.files import atomic_write
from deepset_bench.surroundings import of_file

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PIECE = 2_000_000
"""Atoms of a large set that are worked on at a time: some 100 MB of a set."""


@dataclass(frozen=True, eq=False)
class Frames:
    """M labelled geometries with A atoms in all; molecules of different size live in one set.

    Atoms of all frames lie one after another; frame m owns `n_atoms[m]` of them. Arrays are
    read-only. Units are eV, angstrom and eV/angstrom. Arrays that are mapped from a file (see
    `mapped`) stay there: they are neither copied nor checked again.

    Attributes:
        numbers: (A,) atomic numbers.
        positions: (A, 3) in angstrom.
        n_atoms: (M,) atoms in each frame.
        energy: (M,) potential energy in eV.
        forces: (A, 3) in eV/angstrom. The negative gradient of `energy` where `bias_forces` is
            present; otherwise the labels as they were read. NaN in frames that have none.
        bias_forces: (A, 3) in eV/angstrom, what an enhanced-sampling method added to `forces`
            during the simulation; None where it is unknown.
        molecule: (M,) name of the molecule or set of each frame.
        index: (M,) number of the frame in its source, from 0.
        charge: (M,) total charge in units of e; zeros unless given.
        spin: (M,) spin multiplicity 2S + 1, or 0 where it is not known, which means the lowest
            that the number of electrons allows; zeros unless given.
        cell: (M, 3, 3) lattice vectors as rows, in angstrom; zeros unless given.
        pbc: (M, 3) whether a frame is repeated along each of them; false unless given, which is
            open space.
        stress: (M, 3, 3) in eV/angstrom^3, the derivative of the energy by the strain over the
            volume of the cell: ASE's, positive under tension; the virial is -volume * stress. NaN
            in frames without it, None where no frame has it.

    Raises:
        UserError: shapes disagree, an energy, position, force, cell or stress is not finite, a
            molecule of that charge has no such multiplicity, or a frame is periodic along vectors
            that span nothing.
    """

    numbers: IntArray
    positions: FloatArray
    n_atoms: IntArray
    energy: FloatArray
    forces: FloatArray
    bias_forces: FloatArray | None
    molecule: NDArray[np.str_]
    index: IntArray
    charge: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    spin: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    cell: FloatArray = field(default_factory=lambda: np.zeros(0))
    pbc: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    stress: FloatArray | None = None

    def __post_init__(self) -> None:
        M, A = len(self.n_atoms), int(np.sum(self.n_atoms))
        for name, dtype in _DTYPES.items():
            value = getattr(self, name)
            if value is None or isinstance(value, np.memmap):
                continue
            array: NDArray[Any] = np.array(value, dtype=dtype)
            if name in _NEUTRAL and not array.any() and array.shape in ((0,), _shape(name, M, A)):
                # One zero for all: what a set does not have takes no memory.
                array = np.broadcast_to(np.zeros((), dtype=dtype), _shape(name, M, A))
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        for name in _DTYPES:
            value, shape = getattr(self, name), _shape(name, M, A)
            if value is not None and value.shape != shape:
                raise UserError(f"{name} has shape {value.shape}, expected {shape} for {M} frames")
        stress = self.stress
        if not isinstance(stress, np.memmap | None) and np.isnan(stress).all():
            object.__setattr__(self, "stress", None)
        for name in ("energy", "positions", "forces", "bias_forces", "cell", "stress"):
            value = getattr(self, name)
            if value is None or isinstance(value, np.memmap):
                continue
            wrong = ~np.isfinite(value)
            if name == "stress":
                wrong &= ~np.isnan(value).all(axis=(1, 2), keepdims=True)
            if name in ("forces", "bias_forces") and wrong.any():
                wrong &= ~self._without(value)[self.frame_of_atom, None]
            if wrong.any():
                row = int(np.argwhere(wrong)[0][0])
                frame = int(self.frame_of_atom[row]) if _SHAPES[name][0] == "A" else row
                raise UserError(f"{name} of {self.called(frame)} is not finite")
        self._check_electrons()
        self._check_cells()

    def _check_electrons(self) -> None:
        """Raise where `spin` is no multiplicity of a molecule with that many electrons."""
        if isinstance(self.spin, np.memmap) or not self.spin.any():
            return
        electrons = self.electrons
        wrong = impossible_spins(electrons, self.spin)
        if wrong.any():
            m = int(np.argmax(wrong))
            raise UserError(
                f"{self.called(m)}: {electrons[m]} electrons (charge "
                f"{self.charge[m]:+d}) have no spin multiplicity of {self.spin[m]}; give the "
                "multiplicity 2S + 1: odd where the number of electrons is even"
            )

    def _check_cells(self) -> None:
        """Raise where a frame is periodic along vectors that are zero or lie in one plane."""
        if isinstance(self.cell, np.memmap):
            return
        rows = np.flatnonzero(self.pbc.any(axis=1))
        flat = spans_nothing(self.cell[rows], self.pbc[rows])
        if flat.any():
            m = int(rows[np.argmax(flat)])
            along = " and ".join(np.array(["a", "b", "c"])[self.pbc[m]])
            raise UserError(
                f"{self.called(m)}: is periodic along {along}, but the "
                "cell has no volume: its vectors are zero or in one plane"
            )

    def __len__(self) -> int:
        return len(self.n_atoms)

    def called(self, m: int) -> str:
        """What messages call a frame."""
        return f"{self.molecule[m]} frame {self.index[m]} (counted from 0)"

    @property
    def periodic(self) -> NDArray[np.bool_]:
        """(M,) whether a frame is repeated along any vector."""
        return np.asarray(self.pbc.any(axis=1))

    def check_open(self, what: str) -> None:
        """Raise a UserError where any frame is periodic, and `what` is of molecules alone."""
        periodic = self.periodic
        if periodic.any():
            m = int(np.argmax(periodic))
            raise UserError(f"{self.called(m)} is periodic, but {what} of molecules in open space")

    @property
    def has_forces(self) -> NDArray[np.bool_]:
        """(M,) whether a frame is labelled with forces, not with its energy alone."""
        return ~self._without(self.forces)

    def _without(self, of_atoms: FloatArray) -> NDArray[np.bool_]:
        """(M,) whether no atom of a frame has a number in (A, 3)."""
        lacks = np.isnan(of_atoms).all(axis=1)
        if not lacks.any():
            return np.zeros(len(self), dtype=bool)
        return np.asarray(np.bincount(self.frame_of_atom, lacks, len(self)) == self.n_atoms)

    @property
    def volume(self) -> FloatArray:
        """(M,) of the cell in angstrom^3; 0 without one."""
        return np.abs(np.linalg.det(self.cell))

    @property
    def lone_atoms(self) -> NDArray[np.bool_]:
        """(M,) whether a frame is one neutral atom, whose energy is a reference for molecules."""
        return np.asarray((self.n_atoms == 1) & (self.charge == 0) & ~self.periodic)

    @property
    def electrons(self) -> IntArray:
        """(M,) electrons of each frame."""
        parts = [_sums(part.numbers, part.offsets) for part in self.pieces()]
        return np.concatenate(parts) - self.charge

    @property
    def multiplicity(self) -> IntArray:
        """(M,) `spin`, or the lowest that the electrons allow where it is not known."""
        return np.where(self.spin == 0, lowest_multiplicity(self.electrons), self.spin)

    @cached_property
    def offsets(self) -> IntArray:
        """(M + 1,) first atom of each frame, and A."""
        offsets = np.concatenate([[0], np.cumsum(self.n_atoms)]).astype(np.int64)
        offsets.flags.writeable = False
        return offsets

    @property
    def frame_of_atom(self) -> IntArray:
        """(A,) the frame that owns each atom."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    def atoms_of(self, frame: int) -> slice:
        """Where the atoms of one frame lie."""
        return slice(int(self.offsets[frame]), int(self.offsets[frame + 1]))

    def atoms_in(self, frames: IntArray) -> IntArray:
        """Where the atoms of these frames lie, one frame after another."""
        n_atoms = self.n_atoms[frames]
        first = self.offsets[frames] - (np.cumsum(n_atoms) - n_atoms)
        return np.repeat(first, n_atoms) + np.arange(n_atoms.sum())

    def pieces(self) -> Iterator[Frames]:
        """The same frames in their order, PIECE atoms (or one frame) at a time; once at least."""
        if len(self.numbers) <= PIECE:
            yield self
            return
        for frames in runs(self.n_atoms, PIECE):
            yield self.select(frames)

    def select(self, frames: Sequence[int] | IntArray | slice) -> Frames:
        """A new set of the given frames, in the given order; of a range that is mapped, mapped."""
        chosen: IntArray | slice
        atoms: IntArray | slice
        if isinstance(frames, slice) and frames.step in (None, 1):
            start, stop, _ = frames.indices(len(self))
            chosen = slice(start, max(start, stop))
            atoms = slice(self.offsets[start], self.offsets[chosen.stop])
        else:
            chosen = _whole_numbers(frames, len(self))
            atoms = self.atoms_in(chosen)
        return Frames(
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            n_atoms=self.n_atoms[chosen],
            energy=self.energy[chosen],
            forces=self.forces[atoms],
            bias_forces=None if self.bias_forces is None else self.bias_forces[atoms],
            molecule=self.molecule[chosen],
            index=self.index[chosen],
            charge=self.charge[chosen],
            spin=self.spin[chosen],
            cell=self.cell[chosen],
            pbc=self.pbc[chosen],
            stress=None if self.stress is None else self.stress[chosen],
        )

    def labelled_forces(self, labels: str, atoms: IntArray | slice = slice(None)) -> FloatArray:
        """(A, 3) the forces to train on: `potential`, or `biased` as the report's were."""
        biased = {"potential": False, "biased": self.bias_forces is not None}
        if chosen("condition.labels", labels, biased):
            assert self.bias_forces is not None
            return self.forces[atoms] + self.bias_forces[atoms]
        return self.forces[atoms]

    def labelled_pieces(self, labels: str) -> Iterator[FloatArray]:
        """The same in pieces, as `pieces` has them."""
        for part in self.pieces():
            yield part.labelled_forces(labels)

    def labelled_stress(self) -> FloatArray:
        """(M, 3, 3) `stress`, NaN where there is none."""
        return np.full((len(self), 3, 3), np.nan) if self.stress is None else self.stress

    def composition(self, species: Sequence[int] | IntArray) -> FloatArray:
        """(M, len(species)) number of atoms of each element in each frame."""
        counts = np.zeros((len(self), len(species)))
        first = 0
        for part in self.pieces():
            frames = slice(first, first := first + len(part))
            for column, number in enumerate(species):
                counts[frames, column] = _sums(part.numbers == number, part.offsets)
        return counts

    @cached_property
    def species(self) -> IntArray:
        """Atomic numbers that occur, ascending."""
        found = np.unique(np.concatenate([np.unique(part.numbers) for part in self.pieces()]))
        found.flags.writeable = False
        return found

    def save(self, path: Path) -> None:
        """Write a compressed npz that keeps every float64 exactly.

        Charges, spins and cells that are all zero are left out, so that such a set has the bytes
        that it had before there were any.
        """
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in _NEUTRAL:
            if not arrays[name].any():
                del arrays[name]
        with atomic_write(path) as stream:
            np.savez_compressed(stream, **{k: v for k, v in arrays.items() if v is not None})

    @classmethod
    def load(cls, path: Path) -> Frames:
        """Read what `save` wrote."""
        try:
            arrays: dict[str, Any] = {**bounds.arrays(path)}
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except Exception as error:
            said = of_file(path, error)
            raise UserError(f"{path}: not a readable frames file ({said})") from None
        names = {f.name for f in fields(cls)}
        missing = names - set(arrays) - {"bias_forces", "stress", *_NEUTRAL}
        if missing:
            raise UserError(f"{path}: lacks {', '.join(sorted(missing))}; not a frames file")
        optional: dict[str, Any] = {"bias_forces": None, **arrays}
        return cls(**{name: value for name, value in optional.items() if name in names})

    @classmethod
    def unlabelled(cls, name: str, numbers: IntArray, positions: FloatArray) -> Frames:
        """Geometries (M, n, 3) of one molecule with (n,) atoms; energies and forces are zero."""
        M, n = positions.shape[:2]
        return cls(
            numbers=np.tile(numbers, M),
            positions=positions.reshape(-1, 3),
            n_atoms=np.full(M, n),
            energy=np.zeros(M),
            forces=np.zeros((M * n, 3)),
            bias_forces=None,
            molecule=np.full(M, name),
            index=np.arange(M),
        )

    @classmethod
    def concatenate(cls, sets: Iterable[Frames]) -> Frames:
        """One set of several; bias forces are kept only if every set has them, stress if any."""
        parts = list(sets)
        biased = all(part.bias_forces is not None for part in parts)
        arrays: dict[str, Any] = {
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(cls)
            if f.name != "stress" and (f.name != "bias_forces" or biased)
        }
        if any(part.stress is not None for part in parts):
            arrays["stress"] = np.concatenate([part.labelled_stress() for part in parts])
        return cls(**{"bias_forces": None, **arrays})


def runs(n_atoms: IntArray, most: int) -> Iterator[slice]:
    """Frames one after another of at most `most` atoms together, or one frame, until all were."""
    ends, start, before = np.cumsum(n_atoms), 0, 0
    while start < len(ends):
        stop = max(int(np.searchsorted(ends, before + most, side="right")), start + 1)
        yield slice(start, stop)
        start, before = stop, int(ends[stop - 1])


def _whole_numbers(rows: Sequence[int] | NDArray[Any] | slice, count: int) -> IntArray:
    """Rows of `count` as an array of numbers, not negative; as little work as there are of them."""
    if isinstance(rows, slice):
        return np.arange(count)[rows]
    found = np.asarray(rows) if len(rows) else np.zeros(0, dtype=np.int64)
    if found.dtype == np.bool_ or found.min(initial=0) < 0:
        return np.arange(count)[found]
    return found


def _sums(values: NDArray[Any], offsets: IntArray) -> IntArray:
    """(M,) sums of (A,) whole numbers over the atoms of each frame."""
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return np.asarray(total[offsets[1:]] - total[offsets[:-1]])


def lowest_multiplicity(electrons: IntArray) -> IntArray:
    """The lowest multiplicity of molecules of so many electrons."""
    return np.asarray(1 + electrons % 2)


def impossible_spins(electrons: IntArray | int, spin: IntArray) -> NDArray[np.bool_]:
    """Which multiplicities molecules of so many electrons cannot have; 0 is any."""
    unpaired = spin - 1
    odd = (electrons - unpaired) % 2 == 1
    return np.asarray((spin != 0) & (odd | (spin < 0) | (unpaired > electrons)))


def spans_nothing(cell: FloatArray, pbc: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(M,) whether the vectors (M, 3, 3) of cells that are repeated (M, 3) are not independent."""
    lengths = np.linalg.norm(cell, axis=2)
    units = cell / np.where(lengths > 0, lengths, 1.0)[..., None]
    # Their Gram matrix, with vectors at right angles in the place of those that do not count.
    both = pbc[:, :, None] & pbc[:, None, :]
    gram = np.where(both, units @ units.transpose(0, 2, 1), np.eye(3))
    return np.asarray(np.linalg.det(gram) < _FLAT)


def _shape(name: str, M: int, A: int) -> tuple[int, ...]:
    sizes = {"M": M, "A": A}
    return tuple(sizes.get(str(size), 3) for size in _SHAPES[name])


_FLAT = 1e-12
"""Squared volume of a cell whose vectors have length 1 below which it has none."""
_SHAPES = {
    "numbers": "A",
    "positions": "A3",
    "n_atoms": "M",
    "energy": "M",
    "forces": "A3",
    "bias_forces": "A3",
    "molecule": "M",
    "index": "M",
    "charge": "M",
    "spin": "M",
    "cell": "M33",
    "pbc": "M3",
    "stress": "M33",
}
_DTYPES: dict[str, type] = {
    **dict.fromkeys(_SHAPES, np.float64),
    **dict.fromkeys(("numbers", "n_atoms", "index", "charge", "spin"), np.int64),
    "molecule": np.str_,
    "pbc": np.bool_,
}
_NEUTRAL = ("charge", "spin", "cell", "pbc")
