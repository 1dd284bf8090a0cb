"""Frames as a potential takes them, with what they are labelled with.

The tables of geometry are many times larger than the frames that they are made of. Those of a part
that is not large are made once and kept; of a large one they are made for each batch, from frames
that may be mapped from a file. What a batch holds is the same to the last bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from deepset_bench.denormals import unflushed
from deepset_bench.model.batches import Shape
from deepset_bench.model.buckets import Buckets
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.selected import Selected

KEPT = {"cpu": 3_000_000, "cuda": 20_000_000}
"""Slots of neighbours in tables that are kept, by device: about 1 GB, and 6 GB; others as `cpu`."""


@dataclass(frozen=True)
class LabelledTables:
    """A prepared part of a data set with its labels, in the rows of its tables.

    Attributes:
        tables: M frames.
        energy: (M,) eV, relative to the energy reference.
        forces: (M_b, n_b, 3) eV/angstrom of each table, zero in padding.
        stress: (M, 3, 3) eV/angstrom^3, NaN in frames without it; None where there is none to
            learn.
    """

    tables: Buckets
    energy: Tensor
    forces: tuple[Tensor, ...]
    stress: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tables)

    @property
    def counts(self) -> dict[Shape, int]:
        """How many frames are in tables of each shape."""
        return {table.shape: len(table) for table in self.tables.tables}

    def of(self, frames: Tensor) -> tuple[LabelledTables, Tensor]:
        """Tables that hold these frames (B,), and which of theirs they are."""
        return self, frames

    def ahead(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same batches, as they are asked for."""
        yield from batches

    def parts(self, size: int) -> Iterator[LabelledTables]:
        """All frames in their order, as so many at a time as there are tables of."""
        yield self

    def to(self, device: torch.device) -> LabelledTables:
        """The same on another device."""
        forces = tuple(of_table.to(device) for of_table in self.forces)
        stress = None if self.stress is None else self.stress.to(device)
        return LabelledTables(self.tables.to(device), self.energy.to(device), forces, stress)


@dataclass(frozen=True)
class LabelledFrames:
    """The same of a part that is too large for its tables to be kept: made for each batch.

    Attributes:
        frames: M of them.
        energy: (M,) eV, relative to the energy reference, on the device.
        make: tables of some of the frames, and their forces (A, 3), on a device.
        counts: how many frames tables of each shape would hold.
        stress: see `LabelledTables`.
        begun: batches that are being made, by the identity of their frames.
    """

    frames: Frames | Selected
    energy: Tensor
    make: Callable[[Frames, torch.device], tuple[Buckets, Tensor]]
    counts: Mapping[Shape, int]
    stress: Tensor | None = None
    begun: dict[int, Future[LabelledTables]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frames)

    def of(self, frames: Tensor) -> tuple[LabelledTables, Tensor]:
        """See `LabelledTables`."""
        begun = self.begun.pop(id(frames), None)
        made = begun.result() if begun else self._made(frames)
        return made, torch.arange(len(frames), device=frames.device)

    def _made(self, frames: Tensor) -> LabelledTables:
        with unflushed():  # the search for neighbours needs denormal numbers
            tables, forces = self.make(self.frames.select(frames.cpu().numpy()), frames.device)
            stress = None if self.stress is None else self.stress[frames]
            return LabelledTables(tables, self.energy[frames], tables.by_row(forces), stress)

    def ahead(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same batches: each is made on a thread of its own while that before is computed."""
        waiting = deque[Tensor]()
        with ThreadPoolExecutor(1) as thread:
            try:
                for frames in batches:
                    self.begun[id(frames)] = thread.submit(self._made, frames)
                    waiting.append(frames)
                    if len(waiting) > 1:
                        yield waiting.popleft()
                yield from waiting
            finally:
                self.begun.clear()

    def parts(self, size: int) -> Iterator[LabelledTables]:
        """See `LabelledTables`."""
        every = torch.arange(len(self), device=self.energy.device)
        for frames in self.ahead(every.split(size)):
            yield self.of(frames)[0]

    def to(self, device: torch.device) -> LabelledFrames:
        """The same on another device."""
        stress = None if self.stress is None else self.stress.to(device)
        return LabelledFrames(self.frames, self.energy.to(device), self.make, self.counts, stress)


Labelled = LabelledTables | LabelledFrames


def counts_of(frames: Frames | Selected, shapes: tuple[Shape, ...]) -> dict[Shape, int]:
    """How many frames go into tables of each shape that any goes into; see `Buckets.build`."""
    kind = np.searchsorted([shape.rows for shape in shapes], frames.n_atoms)
    used, counts = np.unique(kind, return_counts=True)
    return {shapes[k]: n for k, n in zip(used.tolist(), counts.tolist(), strict=True)}


def are_kept(counts: Mapping[Shape, int], device: str) -> bool:
    """Whether tables of so many frames are made once and kept."""
    slots = sum(n * shape.rows * shape.slots for shape, n in counts.items())
    return slots <= KEPT.get(device, KEPT["cpu"])
