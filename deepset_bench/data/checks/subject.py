"""What is examined: a set of frames, what its owner says about it, and frames that are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepset_bench.data.checks.geometry import whole
from deepset_bench.data.frames import FloatArray, Frames, IntArray

FEW = 30
"""Frames or pairs of frames below which no statistics are made."""


@dataclass(frozen=True, eq=False)
class Group:
    """The m frames of one molecule with its n atoms in one order.

    Attributes:
        molecule: their name.
        rows: (m,) where they are in the set.
        index: (m,) their numbers in the source, from 0.
        numbers: (n,) atomic numbers.
        positions: (m, n, 3) in angstrom.
        energy: (m,) in eV.
        forces: (m, n, 3) in eV/angstrom, as labelled.
        charge, spin: of all of them, as `Frames` has them.
    """

    molecule: str
    rows: IntArray
    index: IntArray
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
            self.numbers,
            self.positions[chosen],
            self.energy[chosen],
            self.forces[chosen],
            self.charge,
            self.spin,
        )

    @cached_property
    def whole(self) -> Group:
        """Its frames with no broken bond."""
        return self.select(whole(self.numbers, self.positions))

    def thinned(self, most: int) -> Group:
        """At most `most` of its frames, evenly spaced."""
        if len(self) <= most:
            return self
        return self.select(np.linspace(0, len(self) - 1, most).round().astype(np.int64))


@dataclass(frozen=True, eq=False)
class Subject:
    """A set to be examined.

    Attributes:
        frames: the set.
        name: what it is called.
        labels: `potential` or `biased`, the forces that a model would be trained on.
        sheet: its datasheet, as far as there is one.
        smiles: what its owner takes the molecule for, a SMILES string or a name.
        against: another set that a model of this one is meant for.
        source: the words that name it on the command line.
    """

    frames: Frames
    name: str = ""
    labels: str = "potential"
    sheet: Mapping[str, Any] = field(default_factory=dict)
    smiles: str | None = None
    against: Frames | None = None
    source: str = "NAME"

    @cached_property
    def groups(self) -> list[Group]:
        """Frames of one molecule, order of atoms, charge and spin; largest group first."""
        frames, offsets = self.frames, self.frames.offsets
        members: dict[tuple[str, bytes, int, int], list[int]] = {}
        for m, name in enumerate(frames.molecule.tolist()):
            numbers = frames.numbers[offsets[m] : offsets[m + 1]]
            charge, spin = int(frames.charge[m]), int(frames.spin[m])
            members.setdefault((name, numbers.tobytes(), charge, spin), []).append(m)
        forces = frames.labelled_forces(self.labels)
        groups = []
        for (name, _, charge, spin), rows in members.items():
            first, n = np.array(rows), int(frames.n_atoms[rows[0]])
            atoms = offsets[first, None] + np.arange(n)
            groups.append(
                Group(
                    name,
                    first,
                    frames.index[first],
                    frames.numbers[atoms[0]],
                    frames.positions[atoms],
                    frames.energy[first],
                    forces[atoms],
                    charge,
                    spin,
                )
            )
        return sorted(groups, key=len, reverse=True)

    @property
    def repeated(self) -> list[Group]:
        """The groups of more than one frame."""
        return [group for group in self.groups if len(group) > 1]

    @property
    def large(self) -> list[Group]:
        """Up to ten of the groups, those with frames enough for statistics."""
        return [group for group in self.groups[:10] if len(group) >= FEW]
