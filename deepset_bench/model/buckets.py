"""Frames of many sizes in tables of few shapes, so that a water is not padded to a cluster.

Frames of one size, or nearly, are in one table. Others are sorted into buckets, each of sizes near
each other; which frames make a batch stays as it is, and a batch is computed a bucket at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from deepset_bench.model.batches import Batch, Shape, Tables
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.neighbours import most_neighbours
from deepset_bench.molecules.selected import Selected

ROW = 32
"""What an atom costs beside its neighbours, in slots of neighbours. Measured."""

CALL = {"cpu": 3_400, "cuda": 100_000}
"""What a batch costs before it has any atom, in slots; other devices as `cuda`.

Measured on a CPU. A GPU waits for launches: the number is an estimate, on the side of one table."""

WORTHWHILE = 1.5
"""How many times longer one shape takes than the best buckets before there are buckets."""


class Part(NamedTuple):
    """The frames of a batch that one bucket holds.

    Attributes:
        bucket: its number.
        frames: (k,) which they are in the set.
        rows: (k,) and in the bucket's tables.
        batch: of them alone.
        share: (2,) their share of the whole batch's frames and atoms; None of a set in one table,
            where it is the whole batch.
    """

    bucket: int
    frames: Tensor
    rows: Tensor
    batch: Batch
    share: Tensor | None


@dataclass(frozen=True)
class Buckets:
    """M frames with A atoms in all in tables of one shape each, from small frames to large.

    Attributes:
        tables: one or more, none empty.
        members: (M_b,) the frames of each table, ascending.
        atoms: (A_b,) the atoms of each table among those of all frames.
        bucket: (M,) the table of each frame.
        row: (M,) its row there.
        n_atoms: (M,) its atoms.
        n_pairs: (M,) its undirected pairs.
        several: whether the part of the set that they are of has more tables than one.
    """

    tables: tuple[Tables, ...]
    members: tuple[Tensor, ...]
    atoms: tuple[Tensor, ...]
    bucket: Tensor
    row: Tensor
    n_atoms: Tensor
    n_pairs: Tensor
    several: bool

    def __len__(self) -> int:
        return len(self.bucket)

    @classmethod
    def build(
        cls,
        frames: Frames,
        cutoff: float,
        shapes: Sequence[Shape],
        *,
        dtype: torch.dtype = torch.float32,
        every_second: bool = False,
        periodic: bool = False,
        several: bool = False,
    ) -> Buckets:
        """Each frame in the first of `shapes` with enough rows; see `Tables.build`.

        `several` where other frames of the same part are in tables of other shapes.
        """
        kind = np.searchsorted([shape.rows for shape in shapes], frames.n_atoms)
        used, bucket = np.unique(kind, return_inverse=True)
        row = np.empty(len(frames), dtype=np.int64)
        tables, members = [], []
        for number, shape in enumerate(used):
            own = np.flatnonzero(bucket == number)
            row[own] = np.arange(len(own))
            members.append(torch.from_numpy(own))
            tables.append(
                Tables.build(
                    frames if len(used) == 1 else frames.select(own),
                    cutoff,
                    shape=shapes[shape],
                    dtype=dtype,
                    every_second=every_second,
                    periodic=periodic,
                )
            )
        of_atom = bucket[frames.frame_of_atom]
        atoms = [torch.from_numpy(np.flatnonzero(of_atom == number)) for number in range(len(used))]
        n_pairs = torch.empty(len(frames), dtype=torch.int64)
        for table, own_frames in zip(tables, members, strict=True):
            n_pairs[own_frames] = table.n_pairs
        return cls(
            tables=tuple(tables),
            members=tuple(members),
            atoms=tuple(atoms),
            bucket=torch.from_numpy(bucket),
            row=torch.from_numpy(row),
            n_atoms=torch.from_numpy(frames.n_atoms.copy()),
            n_pairs=n_pairs,
            several=several or len(used) > 1,
        )

    def change(self, function: Callable[[Tables], Tables]) -> Buckets:
        """The same frames in tables that a function gives."""
        return replace(self, tables=tuple(map(function, self.tables)))

    def to(self, device: torch.device) -> Buckets:
        """The same on another device."""
        return Buckets(
            tables=tuple(table.to(device) for table in self.tables),
            members=tuple(t.to(device) for t in self.members),
            atoms=tuple(t.to(device) for t in self.atoms),
            bucket=self.bucket.to(device),
            row=self.row.to(device),
            n_atoms=self.n_atoms.to(device),
            n_pairs=self.n_pairs.to(device),
            several=self.several,
        )

    def gather(self, frames: Tensor) -> list[Part]:
        """The batch of the given frames, (B,) int64 on the tables' device, bucket by bucket."""
        if not self.several:
            return [Part(0, frames, frames, self.tables[0].gather(frames), None)]
        bucket, n_atoms, n_pairs = self.bucket[frames], self.n_atoms[frames], self.n_pairs[frames]
        before = n_pairs.cumsum(0) - n_pairs
        parts = []
        for number, tables in enumerate(self.tables):
            own = (bucket == number).nonzero().squeeze(1)
            if not len(own):
                continue
            rows = self.row[frames[own]]
            batch = tables.gather(rows, (before[own], n_pairs.sum()))
            atoms = n_atoms[own].sum() / n_atoms.sum()
            share = torch.stack([torch.full_like(atoms, len(own) / len(frames)), atoms])
            parts.append(Part(number, frames[own], rows, batch, share))
        return parts

    def by_row(self, values: Tensor) -> tuple[Tensor, ...]:
        """(A, ...) in the order of the frames -> (M_b, n_b, ...) in each table's, 0 in padding."""
        found = []
        for atoms, tables in zip(self.atoms, self.tables, strict=True):
            of_table = values.new_zeros(*tables.numbers.shape, *values.shape[1:])
            of_table[tables.numbers > 0] = values[atoms]
            found.append(of_table)
        return tuple(found)

    def by_frame(self, values: Sequence[Tensor]) -> Tensor:
        """(M_b, ...) in the rows of each table -> (M, ...) in the order of the frames."""
        found = values[0].new_empty(len(self), *values[0].shape[1:])
        for members, of_table in zip(self.members, values, strict=True):
            found[members] = of_table
        return found

    def by_atom(self, values: Sequence[Tensor]) -> Tensor:
        """(M_b, n_b, ...) in the rows of each table -> (A, ...) in the order of the frames."""
        found = values[0].new_empty(sum(map(len, self.atoms)), *values[0].shape[2:])
        for atoms, tables, of_table in zip(self.atoms, self.tables, values, strict=True):
            found[atoms] = of_table[tables.numbers > 0]
        return found


def table_shapes(
    frames: Frames | Selected, cutoff: float, batch_size: int, device: str = "cpu"
) -> tuple[Shape, ...]:
    """Shapes of tables that hold any of these frames: one, unless several save a third of the time.

    Args:
        frames: the set.
        cutoff: in angstrom.
        batch_size: frames drawn at once; each bucket among them is a call of its own.
        device: a key of CALL.
    """
    sizes, most = most_neighbours(frames, cutoff)
    count = np.unique(frames.n_atoms, return_counts=True)[1]
    periodic = bool(frames.pbc.any())
    call = CALL.get(device, CALL["cuda"])

    def of(start: int, stop: int) -> tuple[Shape, float]:
        """The shape for sizes[start:stop], and what it costs in a batch on average."""
        n, J = int(sizes[stop - 1]), int(most[start:stop].max())
        shape = Shape.of(n, J, periodic=periodic)
        share = count[start:stop].sum() / len(frames)
        met = 1 - (1 - share) ** batch_size
        return shape, met * call + batch_size * share * n * (shape.slots + ROW)

    # The best buckets for sizes[:stop] are the best for sizes[:start] and one more.
    best: list[tuple[float, tuple[Shape, ...]]] = [(0.0, ())]
    for stop in range(1, len(sizes) + 1):
        ways = []
        for start in range(stop):
            shape, cost = of(start, stop)
            ways.append((best[start][0] + cost, (*best[start][1], shape)))
        best.append(min(ways, key=lambda way: way[0]))
    one, cost = of(0, len(sizes))
    return (one,) if cost <= WORTHWHILE * best[-1][0] else best[-1][1]
