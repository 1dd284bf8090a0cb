"""Pairs of atoms within a cutoff; the work grows linearly with the number of atoms."""

from __future__ import annotations

import numpy as np
from vesin import NeighborList

from deepset_bench.data.frames import Frames, IntArray


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
        found = search.compute(frames.positions[start:stop], open_space, False, "P")
        pairs.append(found[0].astype(np.int64) + start)
    i, j = np.concatenate(pairs).T if pairs else np.empty((2, 0), dtype=np.int64)
    order = np.lexsort((j, i))
    return i[order], j[order]
