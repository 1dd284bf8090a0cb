"""Frames as a potential takes them, with what they are labelled with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deepset_bench.model.buckets import Buckets


@dataclass(frozen=True)
class LabelledTables:
    """A prepared part of a data set with its labels, in the rows of its tables.

    Attributes:
        tables: M frames.
        energy: (M,) eV, relative to the energy reference.
        forces: (M_b, n_b, 3) eV/angstrom of each table, zero in padding.
    """

    tables: Buckets
    energy: Tensor
    forces: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.tables)

    def to(self, device: torch.device) -> LabelledTables:
        """The same on another device."""
        forces = tuple(of_table.to(device) for of_table in self.forces)
        return LabelledTables(self.tables.to(device), self.energy.to(device), forces)
