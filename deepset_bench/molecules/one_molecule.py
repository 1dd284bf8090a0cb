"""Frames that are alike: those of one molecule with its atoms in one order, charge and spin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deepset_bench.molecules.alike import alike
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.geometry import bonds, fragments, stretched


@dataclass(frozen=True, eq=False)
class Group:
    """The m frames of one molecule with its n atoms in one order.

    Attributes:
        molecule: their name.
        rows: (m,) where they are in the set.
        index: (m,) their numbers in the source, from 0.
        atoms: (m, n) where their atoms are in the set.
        numbers: (n,) atomic numbers.
        positions: (m, n, 3) in angstrom.
        energy: (m,) in eV.
        forces: (m, n, 3) in eV/angstrom, as labelled.
        charge, spin: of all of them, as `Frames` has them.
    """

    molecule: str
    rows: IntArray
    index: IntArray
    atoms: IntArray
    numbers: IntArray
    positions: FloatArray
    energy: FloatArray
    forces: FloatArray
    charge: int = 0
    spin: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, chosen: IntArray | NDArray[np.bool_]) -> Group:
        """Some of its frames; `chosen` counts within the group, or is a mask."""
        return Group(
            self.molecule,
            self.rows[chosen],
            self.index[chosen],
            self.atoms[chosen],
            self.numbers,
            self.positions[chosen],
            self.energy[chosen],
            self.forces[chosen],
            self.charge,
            self.spin,
        )

    @cached_property
    def bonds(self) -> tuple[IntArray, FloatArray]:
        """Its bonds, (b, 2), and a geometry (n, 3) in which they have their usual lengths."""
        return bonds(self.numbers, self.positions)

    @cached_property
    def pieces(self) -> int:
        """How many molecules each frame is of: 2 for a dimer."""
        i, j = self.bonds[0].T
        return int(fragments(len(self.numbers), i, j, np.ones((1, len(i)), dtype=bool))[0])

    @cached_property
    def whole(self) -> Group:
        """Its frames with no broken bond."""
        torn = stretched(self.numbers, self.positions, *self.bonds)[1]
        return self.select(~np.asarray(torn.any(axis=1)))

    def thinned(self, most: int) -> Group:
        """At most `most` of its frames, evenly spaced."""
        if len(self) <= most:
            return self
        return self.select(np.linspace(0, len(self) - 1, most).round().astype(np.int64))


def groups(frames: Frames, labels: str = "potential") -> list[Group]:
    """Frames of one molecule, order of atoms, charge and spin; largest group first.

    The forces are those of `labels`, as `Frames.labelled_forces` has them.
    """
    offsets = frames.offsets
    members: dict[tuple[str, bytes, int, int], list[int]] = {}
    for m, name in enumerate(frames.molecule.tolist()):
        numbers = np.sort(frames.numbers[offsets[m] : offsets[m + 1]])
        charge, spin = int(frames.charge[m]), int(frames.spin[m])
        members.setdefault((name, numbers.tobytes(), charge, spin), []).append(m)
    forces = frames.labelled_forces(labels)
    found = []
    for (name, _, charge, spin), same in members.items():
        every = np.array(same)
        atoms = offsets[every, None] + np.arange(frames.n_atoms[every[0]])
        for chosen, order in alike(frames.numbers[atoms], frames.positions[atoms]):
            rows, own = every[chosen], np.take_along_axis(atoms[chosen], order, axis=1)
            found.append(
                Group(
                    name,
                    rows,
                    frames.index[rows],
                    own,
                    frames.numbers[own[0]],
                    frames.positions[own],
                    frames.energy[rows],
                    forces[own],
                    charge,
                    spin,
                )
            )
    return sorted(found, key=len, reverse=True)
