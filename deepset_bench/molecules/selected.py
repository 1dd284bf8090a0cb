"""Frames of a set that are too many to be copied out of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deepset_bench.molecules.frames import PIECE, FloatArray, Frames, IntArray, runs
from deepset_bench.molecules.mapped import LARGE


@dataclass(frozen=True, eq=False)
class Selected:
    """Rows (M,) of a set: what is known of a frame as of `Frames`, and atoms in pieces."""

    frames: Frames
    rows: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def energy(self) -> FloatArray:
        """(M,) eV."""
        return self.frames.energy[self.rows]

    @property
    def n_atoms(self) -> IntArray:
        """(M,) atoms in each frame."""
        return self.frames.n_atoms[self.rows]

    @property
    def charge(self) -> IntArray:
        """(M,) in units of e."""
        return self.frames.charge[self.rows]

    @property
    def pbc(self) -> NDArray[np.bool_]:
        """(M, 3) along which vectors a frame is repeated."""
        return self.frames.pbc[self.rows]

    def labelled_stress(self) -> FloatArray:
        """See `Frames`."""
        stress = self.frames.stress
        return np.full((len(self), 3, 3), np.nan) if stress is None else stress[self.rows]

    @property
    def multiplicity(self) -> IntArray:
        """(M,) 2S + 1."""
        return self.frames.multiplicity[self.rows]

    @cached_property
    def species(self) -> IntArray:
        """Atomic numbers that occur, ascending."""
        whole = self.frames.species
        return whole[self.composition(whole).any(axis=0)]

    def composition(self, species: Sequence[int] | IntArray) -> FloatArray:
        """(M, len(species)) number of atoms of each element in each frame."""
        return self.frames.composition(species)[self.rows]

    def select(self, frames: Sequence[int] | IntArray | slice) -> Frames:
        """A new set of the given ones of them, in the given order."""
        return self.frames.select(self.rows[frames])

    def labelled_pieces(self, labels: str) -> Iterator[FloatArray]:
        """See `Frames`."""
        for frames in runs(self.n_atoms, PIECE):
            atoms = self.frames.atoms_in(self.rows[frames])
            yield self.frames.labelled_forces(labels, atoms)

    def pieces(self) -> Iterator[Frames]:
        """All of them in their order, PIECE atoms (or one frame) at a time."""
        for frames in runs(self.n_atoms, PIECE):
            yield self.select(frames)


def part(frames: Frames, rows: IntArray) -> Frames | Selected:
    """These rows of a set, as a set of their own where they are not too many."""
    many = int(frames.n_atoms[rows].sum()) > LARGE
    return Selected(frames, rows) if many else frames.select(rows)
