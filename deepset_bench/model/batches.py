"""Frames as padded neighbour tables: built once for a data set, gathered for each batch.

Every frame of a set gets n rows (the largest molecule's) of J slots (the most neighbours any atom
has). Shapes are then the same for every batch, so nothing is rebuilt or recompiled in the loop.
Padding is masked: atomic number 0 for atoms, `pair` false for slots. Where most atoms of a frame
are neighbours the tables are dense: slot j is atom j of the frame, and J = n. Tables of periodic
frames never are: an atom may have several images of another there, each in a slot of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from deepset_bench.denormals import without_tails
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.neighbours import neighbour_pairs

DENSE = 1.5
"""Slots a row may have for each of an atom's neighbours before the tables are compact."""

PIECE = 1 << 10
"""Distances tabulated at a time."""

VECTOR = 16
"""Numbers of which a processor's vectors hold a whole fraction: what follows a multiple of them is
computed one by one, perhaps with another last bit."""


@dataclass(frozen=True)
class Batch:
    """B frames as N = B n rows of atoms with J neighbour slots each.

    Attributes:
        numbers: (N,) atomic numbers; 0 marks padding.
        positions: (N, 3) float64, angstrom.
        neighbours: (N, J) row of neighbour j.
        pair: (N, J) whether the slot holds a pair.
        reverse: (N, J) flat slot of the pair (j, i); its own for padding.
        distances: (N, J) d_ij in angstrom, the cutoff in padding.
        directions: (N, J, 3) u_ij = (r_i - r_j) / d_ij, zero in padding.
        shifts: (N, J, 3) float64, by what the image of j is away from it in angstrom, so that u_ij
            d_ij = r_i - r_j - shift; None where no frame is periodic.
        volume: (B,) angstrom^3 of the cell, infinite without one; None where no frame is periodic.
        features: (N, J, P + ...) what a fast form knows of each pair before training, or None.
        slopes: (N, J, P) derivatives of the first P by d_ij, per angstrom, or None.
        dense: whether slot j of every row is atom j of its frame.
        n_frames: B.
        kind, kind_numbers, kind_edges, expansion: see `Tables`; (N,) the first.
        edges: (E,) the flat slots that hold a pair, ascending; None where nobody has looked yet.
    """

    numbers: Tensor
    positions: Tensor
    neighbours: Tensor
    pair: Tensor
    reverse: Tensor
    distances: Tensor
    directions: Tensor
    shifts: Tensor | None
    volume: Tensor | None
    features: Tensor | None
    slopes: Tensor | None
    dense: bool
    n_frames: int
    kind: Tensor | None = None
    kind_numbers: Tensor | None = None
    kind_edges: Tensor | None = None
    expansion: Tensor | None = None
    edges: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def slots_of_edges(self) -> Tensor:
        """(E,) `edges`, looked for where they are not known."""
        return self.pair.flatten().nonzero().squeeze(1) if self.edges is None else self.edges

    def with_edges(self) -> Batch:
        """The same batch with its `edges`."""
        return self if self.edges is not None else replace(self, edges=self.slots_of_edges())

    def of_edges(self, values: Tensor) -> Tensor:
        """(N, J, ...) of the slots -> (E, ...) of the pairs alone."""
        return values.flatten(0, 1)[self.slots_of_edges()]

    def of_slots(self, values: Tensor) -> Tensor:
        """(E, ...) of the pairs -> (N, J, ...), zero in padding."""
        N, J = self.pair.shape
        none = values.new_zeros(N * J, *values.shape[1:])
        return none.index_copy(0, self.slots_of_edges(), values).unflatten(0, (N, J))

    def edge_index(self) -> Tensor:
        """(2, E) rows [j, i] of the pairs, PyG's [source, target], sorted by i, then j."""
        slots = self.slots_of_edges()
        return torch.stack([self.neighbours.flatten()[slots], slots // self.pair.shape[1]])

    def padded_edge_index(self) -> Tensor:
        """(2, N J) rows [j, i] of all slots; padding is an edge from atom N, which is none, to N.

        Of a fixed size, which a traced graph needs.
        """
        N, J = self.pair.shape
        i = torch.arange(N, device=self.pair.device)[:, None].expand(N, J)
        edges = torch.stack([self.neighbours, i])
        return torch.where(self.pair, edges, N).flatten(1)

    def of_neighbours(self, values: Tensor) -> Tensor:
        """(N, ...) of the atoms -> (N, J, ...) of the neighbours, anything in padding."""
        N, J = self.neighbours.shape
        if self.dense:
            frames = values.unflatten(0, (-1, 1, J))
            return frames.expand(-1, J, *frames.shape[2:]).flatten(0, 1)
        return values.index_select(0, self.neighbours.flatten()).unflatten(0, (N, J))

    def forces(self, by_vector: Tensor) -> Tensor:
        """(N, 3) -dE/dr from (N, J, 3) dE / d(r_i - r_j), zero in padding."""
        N, J = self.pair.shape
        if self.dense:
            reaction = by_vector.view(-1, J, J, 3).transpose(1, 2).reshape(N, J, 3)
        else:
            reaction = by_vector.flatten(0, 1)[self.reverse.flatten()].view(N, J, 3)
        return (reaction - by_vector).sum(1)

    def stress(self, by_vector: Tensor) -> Tensor | None:
        """(B, 3, 3) dE/dstrain over the volume, of the same; None where no frame is periodic.

        A strain changes every vector v of a pair by strain @ v.
        """
        if self.volume is None:
            return None
        vectors = self.directions * self.distances[..., None]
        by_strain = by_vector.flatten(0, 1).unflatten(0, (self.n_frames, -1)).mT @ (
            vectors.flatten(0, 1).unflatten(0, (self.n_frames, -1))
        )
        return by_strain / self.volume[:, None, None]

    def per_frame(self, values: Tensor) -> Tensor:
        """(N,) per-atom values -> (B,) sums over the atoms of each frame, padding left out."""
        return torch.where(self.numbers > 0, values, 0.0).view(self.n_frames, -1).sum(-1)


class Shape(NamedTuple):
    """Rows of atoms a frame, slots a row, and whether slot j is atom j of the frame."""

    rows: int
    slots: int
    dense: bool

    @classmethod
    def of(cls, n_atoms: int, most: int, *, periodic: bool = False) -> Shape:
        """For frames of so many atoms at most, each with so many neighbours at most."""
        most = max(most, 1)
        if n_atoms <= DENSE * most and not periodic:
            return cls(n_atoms, n_atoms, dense=True)
        # As many slots as rows would be taken for dense tables where sizes are left open.
        return cls(n_atoms, most + (most == n_atoms), dense=False)


@dataclass(frozen=True)
class Tables:
    """M frames, ready to be gathered; the arrays of `Batch` with a leading frame axis.

    Attributes:
        rank: (M, n, J) number of the undirected pair within its frame, for `every_second`.
        n_pairs: (M,) undirected pairs of each frame.
        every_second: keep only every second directed edge of a batch, as the report's code did for
            its GNN and RBF variants (findings on the report's data, number 15): the edge list is
            [all pairs i > j of the batch ; all transposes] and odd entries vanish.
        kind: (M, n) the kind of each atom, or None; see `deepset_bench.model.atom_kinds`.
        kind_numbers: (C,) the atomic number of each kind.
        kind_edges: (2, ...) rows [j, i]: the kinds j of an atom's neighbours where it is of kind i.
        expansion: (P', P) or None; with it the first P' features and the slopes stand for the P
            functions of the distance that the product with it gives.
    """

    numbers: Tensor
    positions: Tensor
    neighbours: Tensor
    pair: Tensor
    reverse: Tensor
    distances: Tensor
    directions: Tensor
    rank: Tensor
    n_pairs: Tensor
    every_second: bool
    dense: bool
    shifts: Tensor | None = None
    volume: Tensor | None = None
    features: Tensor | None = None
    slopes: Tensor | None = None
    kind: Tensor | None = None
    kind_numbers: Tensor | None = None
    kind_edges: Tensor | None = None
    expansion: Tensor | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def build(
        cls,
        frames: Frames,
        cutoff: float,
        *,
        shape: Shape | None = None,
        dtype: torch.dtype = torch.float32,
        every_second: bool = False,
        periodic: bool = False,
    ) -> Tables:
        """Find the neighbours of every atom once; distances in float64, then rounded to `dtype`.

        `shape` is that of a set which holds these frames; without it, their own. `periodic` where
        any frame of that set is.
        """
        found = neighbour_pairs(frames, cutoff)
        i, j = found.i, found.j
        periodic = periodic or bool(frames.pbc.any())
        if periodic and every_second:
            raise UserError(
                "every second edge is left out of molecules in open space alone, as in the report; "
                "periodic frames take condition.edges=all"
            )
        most = int(np.bincount(i).max(initial=0))
        n, J, dense = shape or Shape.of(int(frames.n_atoms.max()), most, periodic=periodic)
        M = len(frames)
        frame = frames.frame_of_atom
        row = frame * n + np.arange(len(frame)) - frames.offsets[frame]  # padded row of each atom
        slot = row[j] - frame[i] * n if dense else _position_in_run(i)
        flat = row[i] * J + slot

        # (j, i, -S) sorted like (i, j, S) gives, at each pair's place, where its transpose stands.
        S = -found.images.T[::-1] if periodic else ()
        transpose = np.lexsort((*S, i, j))
        reverse = np.arange(M * n * J)
        reverse[flat] = flat[transpose]

        vectors = found.vectors(frames.positions)
        d = np.linalg.norm(vectors, axis=-1)
        if (d == 0).any():
            where = frames.called(frame[i[np.argmin(d)]])
            raise UserError(f"{where}: two atoms at one place")
        lower = np.arange(len(i)) > transpose
        n_pairs = np.bincount(frame[i[lower]], minlength=M)
        rank = np.empty(len(i), dtype=np.int64)
        first = np.concatenate([[0], np.cumsum(n_pairs)])[:-1]
        rank[lower] = np.arange(int(lower.sum())) - first[frame[i[lower]]]
        rank[~lower] = rank[transpose][~lower]

        def pairs(values: np.ndarray, fill: float) -> Tensor:
            table = np.full((M * n * J, *values.shape[1:]), fill, dtype=values.dtype)
            table[flat] = values
            return torch.from_numpy(table.reshape(M, n, J, *values.shape[1:]))

        def atoms(values: np.ndarray) -> Tensor:
            table = np.zeros((M * n, *values.shape[1:]), dtype=values.dtype)
            table[row] = values
            return torch.from_numpy(table.reshape(M, n, *values.shape[1:]))

        return cls(
            numbers=atoms(frames.numbers),
            positions=atoms(frames.positions),
            neighbours=pairs(row[j] - frame[i] * n, 0),
            pair=pairs(np.ones(len(i), dtype=bool), False),
            reverse=torch.from_numpy(reverse.reshape(M, n, J))
            - (torch.arange(M) * n * J)[:, None, None],
            distances=pairs(d, cutoff).to(dtype),
            directions=without_tails(pairs(vectors / d[:, None], 0.0)).to(dtype),
            rank=pairs(rank, 0),
            n_pairs=torch.from_numpy(n_pairs),
            every_second=every_second,
            dense=dense,
            shifts=pairs(found.shifts, 0.0) if periodic else None,
            volume=torch.from_numpy(_volumes(frames)).to(dtype) if periodic else None,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Tables]) -> Tables:
        """Selections of the same tables, one after another.

        What each finds for itself, kinds and an expansion, is left out, and what is made of it.
        """
        parts = [part.as_found() for part in parts]
        joined: dict[str, Any] = {
            name: torch.cat([getattr(part, name) for part in parts])
            for name in parts[0]._tensor_fields()
        }
        return replace(parts[0], **joined)

    def to(self, device: torch.device) -> Tables:
        """The same tables on another device."""
        moved: dict[str, Any] = {}
        for name in self._tensor_fields():
            value: Tensor = getattr(self, name)
            # MPS has no float64; only the reference form reads float64 positions.
            single = device.type == "mps" and value.dtype == torch.float64
            moved[name] = value.to(device, torch.float32 if single else value.dtype)
        return replace(self, **moved)

    def _tensor_fields(self) -> list[str]:
        return [f.name for f in fields(self) if isinstance(getattr(self, f.name), Tensor)]

    def as_found(self) -> Tables:
        """The same tables without what was found in them to save work, to be prepared again."""
        if self.kind is None and self.expansion is None:
            return self
        plain = replace(self, kind=None, kind_numbers=None, kind_edges=None, expansion=None)
        if self.features is None or self.slopes is None or self.expansion is not None:
            return replace(plain, features=None, slopes=None)
        return replace(plain, features=self.features[..., : self.slopes.shape[-1]])

    @property
    def shape(self) -> Shape:
        """Of each frame."""
        _, rows, slots = self.neighbours.shape
        return Shape(rows, slots, self.dense)

    def gather(self, frames: Tensor, among: tuple[Tensor, Tensor] | None = None) -> Batch:
        """The batch of the given frames, or the part of a batch that they are.

        Args:
            frames: (B,) int64 on the tables' device.
            among: (B,) undirected pairs that come before each of these frames in the whole batch,
                and () how many it has; these frames are the whole batch if it is not given.
        """
        B = len(frames)
        n, J = self.neighbours.shape[1:]
        number = torch.arange(B, device=frames.device)[:, None, None]

        def of(table: Tensor) -> Tensor:
            return table.index_select(0, frames)  # several times faster than table[frames]

        def rows(table: Tensor) -> Tensor:
            return of(table).flatten(0, 1)

        pair = self._halved(frames, among) if self.every_second else of(self.pair)
        return Batch(
            numbers=rows(self.numbers),
            positions=rows(self.positions),
            neighbours=(of(self.neighbours) + number * n).flatten(0, 1),
            pair=pair.flatten(0, 1),
            reverse=(of(self.reverse) + number * (n * J)).flatten(0, 1),
            distances=rows(self.distances),
            directions=rows(self.directions),
            shifts=None if self.shifts is None else rows(self.shifts),
            volume=None if self.volume is None else of(self.volume),
            features=None if self.features is None else rows(self.features),
            slopes=None if self.slopes is None else rows(self.slopes),
            dense=self.dense,
            n_frames=B,
            kind=None if self.kind is None else rows(self.kind),
            kind_numbers=self.kind_numbers,
            kind_edges=self.kind_edges,
            expansion=self.expansion,
        )

    def _halved(self, frames: Tensor, among: tuple[Tensor, Tensor] | None) -> Tensor:
        """(B, n, J) the pairs left when every second entry of the batch's edge list is taken."""
        if among is None:
            counts = self.n_pairs[frames]
            among = counts.cumsum(0) - counts, counts.sum()
        before, total = among
        entry = self.rank[frames] + before[:, None, None]
        n = self.numbers.shape[1]
        lower = torch.arange(n, device=frames.device)[:, None] > self.neighbours[frames]
        entry = torch.where(lower, entry, entry + total)
        return self.pair[frames] & (entry % 2 == 0)


def with_slope(function: Callable[[Tensor], Tensor], d: Tensor) -> tuple[Tensor, Tensor]:
    """f(d) and df/dd of an analytic function of each distance by itself, (...) -> (..., P).

    f(d + ih) = f(d) + ih f'(d) + O(h^2): no difference is taken, so none cancels (Squire and Trapp
    1998). Autograd's forward mode says the same and imports a third of a compiler first.
    """
    h = 1e-30
    both = function(torch.complex(d, torch.full_like(d, h)))
    return both.real, both.imag / h


def tabulate(function: Callable[[Tensor], Tensor], d: Tensor) -> tuple[Tensor, Tensor]:
    """`with_slope` in float64, its tails cut, in the type of d; of each distance once.

    A pair is there in both directions, and padding is of one distance; in pieces that fit the
    cache. What comes of a distance is the same whichever others are there.
    """
    distinct, place = torch.unique(d, return_inverse=True)
    distinct = torch.cat([distinct, distinct[-1:].expand(-len(distinct) % VECTOR)])
    pieces = [with_slope(function, piece.double()) for piece in distinct.split(PIECE)]
    values, slopes = (
        torch.cat([without_tails(part).to(d.dtype) for part in parts])
        for parts in zip(*pieces, strict=True)
    )
    rows = place.flatten()
    values, slopes = (t.index_select(0, rows) for t in (values, slopes))
    return values.view(*d.shape, -1), slopes.view(*d.shape, -1)


def _volumes(frames: Frames) -> FloatArray:
    """(M,) of cells, infinite in frames that are not periodic or lack a vector of the three."""
    return np.where(frames.periodic & (frames.volume > 0), frames.volume, np.inf)


def _position_in_run(sorted_values: IntArray) -> IntArray:
    """0, 1, 2, ... within each run of equal values: the slot of each pair in its atom's row."""
    counts = np.bincount(sorted_values)
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
    return np.arange(len(sorted_values)) - starts[sorted_values]
