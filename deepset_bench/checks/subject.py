"""What is examined: a set of frames, what its owner says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.one_molecule import Group, groups
from deepset_bench.units import Units

FEW = 30
"""Frames or pairs of frames below which no statistics are made."""


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
        read: the units that its files were read in.
    """

    frames: Frames
    name: str = ""
    labels: str = "potential"
    sheet: Mapping[str, Any] = field(default_factory=dict)
    smiles: str | None = None
    against: Frames | None = None
    source: str = "NAME"
    read: Units = field(default_factory=Units)

    @cached_property
    def in_open_space(self) -> Subject:
        """Its frames that are not periodic."""
        periodic = self.frames.periodic
        if not periodic.any():
            return self
        return replace(self, frames=self.frames.select(np.flatnonzero(~periodic)))

    @cached_property
    def with_forces(self) -> Subject:
        """Its frames that are labelled with forces, not with an energy alone."""
        there = self.frames.has_forces
        if there.all():
            return self
        return replace(self, frames=self.frames.select(np.flatnonzero(there)))

    @cached_property
    def of_molecules(self) -> Subject:
        """Its frames of more than one atom, on which alone a force tells anything."""
        several = self.frames.n_atoms > 1
        if several.all() or not several.any():
            return self
        return replace(self, frames=self.frames.select(np.flatnonzero(several)))

    @cached_property
    def groups(self) -> list[Group]:
        """Frames of one molecule, order of atoms, charge and spin; largest group first."""
        return groups(self.frames, self.labels)

    @property
    def repeated(self) -> list[Group]:
        """The groups of more than one frame."""
        return [group for group in self.groups if len(group) > 1]

    @property
    def large(self) -> list[Group]:
        """Up to ten of the groups, those with frames enough for statistics."""
        return [group for group in self.groups[:10] if len(group) >= FEW]
