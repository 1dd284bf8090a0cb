"""Geometries as graphs of bonded atoms: the same molecule whatever the order of its atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import reach

_UNCLEAR = (0.95, 1.1)  # times `reach`: a bond, or none?
_ROUNDS = 32  # a change at one end of a molecule has reached the other
_Colours = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Graphs:
    """The bonds of m geometries with n atoms each.

    Attributes:
        order: (m, n) the atoms of each, such that two geometries of one molecule have the same
            elements and the same bonds in this order.
        keys: (m,) equal for equal molecules: elements and bonds in that order. Stereochemistry is
            left out, as are bond orders and charges, which follow from the rest but for these.
        clear: (m,) no distance lies between that of a bond and that of none.
        pieces: (m,) connected parts.
    """

    order: IntArray
    keys: list[bytes]
    clear: NDArray[np.bool_]
    pieces: IntArray


def graphs(numbers: IntArray, positions: FloatArray) -> Graphs:
    """Read off geometries: atomic numbers (m, n) and positions (m, n, 3) in angstrom."""
    m, n = numbers.shape
    frame = np.repeat(np.arange(m), n)
    kinds = np.unique(numbers)
    i, j = np.triu_indices(len(kinds))
    furthest = max(1.0, _UNCLEAR[1] * float(reach(kinds, i, j).max()))
    # One tree for all geometries, kept apart along a fourth axis.
    fourth = 2.0 * furthest * frame
    points = np.column_stack([positions.reshape(-1, 3), fourth])
    near = cKDTree(points).query_pairs(furthest, output_type="ndarray").astype(np.int64)
    i, j = near.T
    flat = numbers.ravel()
    length, limit = np.linalg.norm(points[i] - points[j], axis=1), reach(flat, i, j)
    unsure = (length > _UNCLEAR[0] * limit) & (length < _UNCLEAR[1] * limit)
    clear = np.bincount(frame[i[unsure]], minlength=m) == 0
    return from_bonds(flat, frame, near[length < limit], clear)


def from_bonds(
    numbers: IntArray, frame: IntArray, bonded: IntArray, clear: NDArray[np.bool_] | None = None
) -> Graphs:
    """Of the bonds (b, 2) between the atoms (A,) of m graphs with n atoms each."""
    m = int(frame[-1]) + 1
    n = len(numbers) // m
    i, j = bonded.T
    both = (np.concatenate([i, j]), np.concatenate([j, i]))
    shape = (len(numbers), len(numbers))
    graph = coo_array((np.ones(len(both[0]), dtype=np.uint64), both), shape=shape).tocsr()
    _, part = connected_components(graph, directed=False)
    pieces = np.bincount(frame[np.unique(part, return_index=True)[1]], minlength=m)
    sizes = np.bincount(part)[part]
    order = _canonical(graph, frame, _mixed((numbers * 4096 + sizes).astype(np.uint64)))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    ends = np.sort(np.stack([place[i], place[j]], axis=1), axis=1)
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    of = ends[:, 0] // n
    starts = np.searchsorted(of, np.arange(m + 1))
    within = (ends - of[:, None] * n).astype(np.int32)
    elements = numbers[order].reshape(m, n).astype(np.int32)
    keys = [elements[k].tobytes() + within[starts[k] : starts[k + 1]].tobytes() for k in range(m)]
    known = np.ones(m, dtype=bool) if clear is None else clear
    return Graphs(order.reshape(m, n) - np.arange(m)[:, None] * n, keys, known, pieces)


def _canonical(graph: csr_array, frame: IntArray, colour: _Colours) -> IntArray:
    """(A,) atoms, graph by graph, in an order that depends on the graph alone.

    Colours are refined by those of the neighbours (Weisfeiler and Leman, 1968); of atoms that are
    alike the first is given a colour of its own, and so on. Atoms that look alike so are alike in
    molecules, and where they are not, keys of equal graphs differ; keys of different graphs never
    agree. What one graph gets does not depend on those beside it.
    """
    rounds = min(_ROUNDS, int(np.bincount(frame).max()))
    colour = _refined(graph, colour, rounds)
    while True:
        order = np.lexsort((colour, frame))
        alike = (np.diff(colour[order]) == 0) & (np.diff(frame[order]) == 0)
        tied = order[:-1][alike]
        if not len(tied):
            return order
        open_ones, first = np.unique(frame[tied], return_index=True)
        split = colour.copy()
        split[tied[first]] = _mixed(split[tied[first]] + np.uint64(1))
        still = np.isin(frame, open_ones)
        colour = np.where(still, _refined(graph, split, rounds), colour)


def _refined(graph: csr_array, colour: _Colours, rounds: int) -> _Colours:
    for _ in range(rounds):
        colour = _mixed(colour + _mixed(graph @ _mixed(colour)))
    return colour


def _mixed(values: _Colours) -> _Colours:
    """Bits of integers scattered: the finaliser of SplitMix64 (Steele et al., OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
