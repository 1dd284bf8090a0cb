"""Pairs of atoms within a cutoff; the work grows as A log A with the number of atoms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from deepset_bench.molecules.frames import FloatArray, Frames, IntArray, runs
from deepset_bench.molecules.selected import Selected

AT_ONCE = 20_000
"""Atoms whose pairs are in memory where only their number is asked for."""

FEW = 30
"""Atoms of a frame up to which it is faster to look at all pairs than to search."""

_ROUNDING = 1e-9
"""By how much further a search looks; what counts is the length that the model sees."""


class Pairs(NamedTuple):
    """Directed pairs of an atom and an image of an atom, sorted by i, then j, then image.

    Each occurs in both directions, (i, j, S) and (j, i, -S), with exactly opposite vectors. In a
    cell smaller than the cutoff an atom has several images of another, and some of its own.

    Attributes:
        i, j: (E,) atoms, counted over all frames.
        images: (E, 3) S, by how many lattice vectors the image is away from atom j.
        shifts: (E, 3) S times the cell in angstrom; the pair's vector is r_i - r_j - shift.
    """

    i: IntArray
    j: IntArray
    images: IntArray
    shifts: FloatArray

    def vectors(self, positions: FloatArray) -> FloatArray:
        """(E, 3) from the image of j to i, of (A, 3) positions."""
        found: FloatArray = positions[self.i] - positions[self.j] - self.shifts
        return found


def neighbour_pairs(frames: Frames, cutoff: float) -> Pairs:
    """All directed pairs of one frame with |r_i - r_j - shift| < cutoff, no atom with itself.

    Args:
        frames: M frames with A atoms in all, periodic or not; atoms need not be within the cell.
        cutoff: in angstrom, of any length.
    """
    if frames.pbc.any():
        return _periodic_pairs(frames, cutoff)
    n = int(frames.n_atoms.max(initial=0))
    if n <= FEW and (frames.n_atoms == n).all():
        return _of_all_pairs(frames, n, cutoff)
    # One tree for all frames, kept apart along a fourth axis: within a frame it adds exactly 0 to a
    # distance, and the positions stay as they are.
    fourth = 2.0 * cutoff * frames.frame_of_atom
    tree = cKDTree(np.column_stack([frames.positions, fourth]))
    found = tree.query_pairs(cutoff * (1.0 + _ROUNDING), output_type="ndarray").astype(np.int64)
    vectors = frames.positions[found[:, 0]] - frames.positions[found[:, 1]]
    found = found[np.linalg.norm(vectors, axis=-1) < cutoff]
    i, j = np.concatenate([found, found[:, ::-1]]).T
    order = np.lexsort((j, i))
    return _open(i[order], j[order])


def _open(i: IntArray, j: IntArray) -> Pairs:
    nowhere = np.broadcast_to(np.zeros((), dtype=np.int64), (len(i), 3))
    return Pairs(i, j, nowhere, np.broadcast_to(0.0, (len(i), 3)))


def _of_all_pairs(frames: Frames, n: int, cutoff: float) -> Pairs:
    """The same of frames of n atoms each, few enough that all pairs are looked at."""
    one, other = np.nonzero(~np.eye(n, dtype=bool))
    i, j = (frames.offsets[:-1, None] + atom for atom in (one, other))
    i, j = i.ravel(), j.ravel()
    near = np.linalg.norm(frames.positions[i] - frames.positions[j], axis=-1) < cutoff
    return _open(i[near], j[near])


def _periodic_pairs(frames: Frames, cutoff: float) -> Pairs:
    """The same where any frame is periodic: of each atom with the images that are near its cell."""
    frame = frames.frame_of_atom
    far = cutoff * (1.0 + _ROUNDING)
    # Coordinates along the lattice vectors that are repeated, 0 along others; within the span of
    # the repeated ones alone, so that what the others are does not matter.
    cell = frames.cell * frames.pbc[..., None]
    reciprocal = np.linalg.pinv(cell) * frames.pbc[:, None]  # (M, 3, 3)
    along = np.einsum("ax,axk->ak", frames.positions, reciprocal[frame])
    home = np.floor(along).astype(np.int64)  # the cell that an atom is in
    margin = far * np.linalg.norm(reciprocal, axis=1)[frame] + _ROUNDING

    # Images of every atom whose coordinates are within the margin of the home cell, axis by axis.
    atom = np.arange(len(frame))
    images = np.zeros((len(frame), 3), dtype=np.int64)
    for axis in range(3):
        within = (along - home)[atom, axis]
        first = np.ceil(-margin[atom, axis] - within).astype(np.int64)
        last = np.floor(1.0 + margin[atom, axis] - within).astype(np.int64)
        repeated = frames.pbc[frame[atom], axis]
        count = np.where(repeated, last - first + 1, 1)
        step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        step += np.repeat(np.where(repeated, first, 0), count)
        atom, images = np.repeat(atom, count), np.repeat(images, count, axis=0)
        images[:, axis] = step

    def moved(by: IntArray, atoms: IntArray) -> FloatArray:
        found: FloatArray = np.einsum("ek,ekx->ex", by, cell[frame[atoms]])
        return found

    fourth = 2.0 * cutoff * frame[:, None]
    home_positions = frames.positions - moved(home, np.arange(len(frame)))
    tree = cKDTree(np.hstack([home_positions, fourth]))
    of_images = cKDTree(np.hstack([home_positions[atom] + moved(images, atom), fourth[atom]]))
    found = tree.sparse_distance_matrix(of_images, far, output_type="ndarray")
    i, image = found["i"].astype(np.int64), found["j"].astype(np.int64)
    j = atom[image]
    S = images[image] + home[i] - home[j]
    pairs = Pairs(i, j, S, moved(S, i))
    length = np.linalg.norm(pairs.vectors(frames.positions), axis=-1)
    kept = np.flatnonzero((length < cutoff) & ((i != j) | S.any(axis=1)))
    order = kept[np.lexsort((*S[kept].T[::-1], j[kept], i[kept]))]
    return Pairs(i[order], j[order], S[order], pairs.shifts[order])


def most_neighbours(frames: Frames | Selected, cutoff: float) -> tuple[IntArray, IntArray]:
    """Sizes that frames have, (s,) ascending, and the most neighbours of any atom in each.

    Frames of a size of which one has every atom next to every other are not looked at any more.
    """
    sizes, kind = np.unique(frames.n_atoms, return_inverse=True)
    most = np.zeros(len(sizes), dtype=np.int64)
    periodic = np.asarray(frames.pbc.any(axis=1))
    for run in runs(frames.n_atoms, AT_ONCE):
        left = (most < sizes - 1)[kind[run]] | periodic[run]
        rows = np.arange(run.start, run.stop)[left]
        if not len(rows):
            continue
        piece = frames.select(rows)
        counts = _counts(piece, cutoff)
        np.maximum.at(most, kind[rows], np.maximum.reduceat(counts, piece.offsets[:-1]))
    return sizes, most


def _counts(frames: Frames, cutoff: float) -> IntArray:
    """(A,) neighbours of each atom: all pairs are looked at where no frame is large."""
    if frames.pbc.any() or frames.n_atoms.max() > FEW:
        return np.bincount(neighbour_pairs(frames, cutoff).i, minlength=len(frames.numbers))
    counts = np.empty(len(frames.numbers), dtype=np.int64)
    for n in np.unique(frames.n_atoms):
        atoms = frames.offsets[np.flatnonzero(frames.n_atoms == n), None] + np.arange(n)
        positions = frames.positions[atoms]
        d = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)
        counts[atoms] = (d < cutoff).sum(axis=-1) - 1
    return counts
