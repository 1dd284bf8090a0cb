"""Pairs of atoms within a cutoff; the work grows as A log A with the number of atoms."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from deepset_bench.molecules.frames import Frames, IntArray

AT_ONCE = 20_000
"""Atoms whose pairs are in memory where only their number is asked for."""


def neighbour_pairs(frames: Frames, cutoff: float) -> tuple[IntArray, IntArray]:
    """All directed pairs of atoms of one frame, i != j, |r_i - r_j| < cutoff, in open space.

    Args:
        frames: M frames with A atoms in all.
        cutoff: in angstrom.

    Returns:
        i and j, each (E,), counted over all A atoms, sorted by i, then j.
    """
    # One tree for all frames, kept apart along a fourth axis: within a frame it adds exactly 0 to a
    # distance, and the positions stay as they are.
    fourth = 2.0 * cutoff * frames.frame_of_atom
    tree = cKDTree(np.column_stack([frames.positions, fourth]))
    # The tree may round a distance differently; what counts is the length that the model sees.
    found = tree.query_pairs(cutoff * (1.0 + 1e-9), output_type="ndarray").astype(np.int64)
    vectors = frames.positions[found[:, 0]] - frames.positions[found[:, 1]]
    found = found[np.linalg.norm(vectors, axis=-1) < cutoff]
    i, j = np.concatenate([found, found[:, ::-1]]).T
    order = np.lexsort((j, i))
    return i[order], j[order]


def neighbour_counts(frames: Frames, cutoff: float) -> IntArray:
    """(M,) the most neighbours that any atom of each frame has; arguments as above."""
    most, offsets, start = np.zeros(len(frames), dtype=np.int64), frames.offsets, 0
    while start < len(frames):
        within = np.searchsorted(offsets, offsets[start] + AT_ONCE, side="right") - 1
        stop = max(int(within), start + 1)
        piece = frames.select(slice(start, stop))
        i, _ = neighbour_pairs(piece, cutoff)
        counts = np.bincount(i, minlength=len(piece.numbers))
        most[start:stop] = np.maximum.reduceat(counts, piece.offsets[:-1])
        start = stop
    return most
