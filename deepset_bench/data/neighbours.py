"""Pairs of atoms within a cutoff; the work grows linearly with the number of atoms."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from vesin import NeighborList

from deepset_bench.data.frames import FloatArray, Frames, IntArray

MANY_CELLS = 1e4
"""vesin divides the box around the atoms into cells as large as the cutoff; above 1e5 of them it
may divide by zero, which ends the process. A tree searches atoms that far apart instead."""


def neighbour_pairs(frames: Frames, cutoff: float) -> tuple[IntArray, IntArray]:
    """All directed pairs of atoms of one frame, i != j, |r_i - r_j| < cutoff, in open space.

    Args:
        frames: M frames with A atoms in all.
        cutoff: in angstrom.

    Returns:
        i and j, each (E,), counted over all A atoms, sorted by i, then j.
    """
    search = NeighborList(cutoff=cutoff, full_list=True)
    open_space = np.zeros((3, 3))
    pairs = []
    for start, stop in zip(frames.offsets[:-1], frames.offsets[1:], strict=True):
        positions = frames.positions[start:stop]
        if np.prod(np.ptp(positions, axis=0) / cutoff + 1.0) > MANY_CELLS:
            found = _tree_pairs(positions, cutoff)
        else:
            (found,) = search.compute(positions, open_space, False, "P")
        pairs.append(found.astype(np.int64) + start)
    i, j = np.concatenate(pairs).T if pairs else np.empty((2, 0), dtype=np.int64)
    order = np.lexsort((j, i))
    return i[order], j[order]


def _tree_pairs(positions: FloatArray, cutoff: float) -> IntArray:
    """(E, 2) the same pairs, in any order."""
    pairs = cKDTree(positions).query_pairs(cutoff, output_type="ndarray").astype(np.int64)
    vectors = positions[pairs[:, 0]] - positions[pairs[:, 1]]
    pairs = pairs[(vectors**2).sum(axis=1) < cutoff**2]
    return np.concatenate([pairs, pairs[:, ::-1]])
