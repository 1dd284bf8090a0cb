"""Frames of the same atoms parted by molecule, and their atoms brought into one order."""

from __future__ import annotations

import numpy as np

from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import bonds, distances, near_pairs, reach, stretched
from deepset_bench.molecules.graphs import graphs

LARGEST = 200
"""Atoms of the largest molecules whose bonds are compared as graphs."""
_FEW = 30  # frames in an order of their own that may keep it
_LOOSE, _EXPLAINED = 0.2, 0.8  # of the frames
_SOME = 200  # of them, that tell whether it is so


def alike(numbers: IntArray, positions: FloatArray) -> list[tuple[IntArray, IntArray]]:
    """Groups of frames that have the same atoms in the same order, bonded alike.

    Frames are as they are, by the order of their elements, where most of them are whole in that
    order. Where they are not, but are whole by themselves, the set holds several molecules, or one
    whose atoms are in another order in each frame: then molecules are parted, and atoms reordered.
    Frames that are broken stay with the molecule they were.

    Args:
        numbers: (m, n) atomic numbers, the same ones in each frame.
        positions: (m, n, 3) in angstrom.

    Returns:
        For each group its frames (g,) and their atoms (g, n), in the order of the first of them.
    """
    orders: dict[bytes, list[int]] = {}
    for row, order in enumerate(numbers):
        orders.setdefault(order.tobytes(), []).append(row)
    by_order = [np.array(rows) for rows in sorted(orders.values(), key=len, reverse=True)]
    m, n = numbers.shape
    as_they_are = [(rows, np.tile(np.arange(n), (len(rows), 1))) for rows in by_order]
    if m == 1 or n > LARGEST:
        return as_they_are
    fits = sum(
        _share_alike(numbers[rows[0]], positions[rows]) * len(rows)
        for rows in by_order
        if rows is by_order[0] or len(rows) >= _FEW
    )
    if fits >= (1 - _LOOSE) * m:
        return as_they_are
    found = graphs(numbers, positions)
    if not found.clear.any():
        return as_they_are
    known = found.clear & (found.pieces <= found.pieces[found.clear].min())
    if known.mean() < _EXPLAINED:
        return as_they_are
    kinds: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(known).tolist():
        kinds.setdefault(found.keys[row], []).append(row)
    groups = [_in_order(np.array(rows), numbers, positions, found.order) for rows in kinds.values()]
    for rows, atoms in as_they_are:
        rest = ~known[rows]
        if rest.any():
            groups.append((rows[rest], atoms[rest]))
    return groups


def _share_alike(numbers: IntArray, positions: FloatArray) -> float:
    """Share of some of the frames (m, n, 3) that have the usual bonds, and no other ones."""
    some = positions[np.unique(np.linspace(0, len(positions) - 1, _SOME).astype(int))]
    bonded, reference = bonds(numbers, some)
    n, (i, j) = len(numbers), near_pairs(numbers, some)
    free = ~np.isin(i * n + j, bonded[:, 0] * n + bonded[:, 1])
    i, j = i[free], j[free]
    other = (distances(some, i, j) < reach(numbers, i, j, tight=True)).any(axis=1)
    torn = stretched(numbers, some, bonded, reference)[1].any(axis=1)
    return float((~np.asarray(torn | other)).mean())


def _in_order(
    rows: IntArray, numbers: IntArray, positions: FloatArray, canonical: IntArray
) -> tuple[IntArray, IntArray]:
    """Frames of one molecule with their atoms in the order of the first of them.

    Those that have its bonds as they are stay so: like atoms keep their places along a trajectory.
    """
    first = rows[0]
    atoms = canonical[rows][:, np.argsort(canonical[first])]
    bonded, reference = bonds(numbers[first], positions[first][None])
    torn = stretched(numbers[first], positions[rows], bonded, reference)[1].any(axis=1)
    fits = (numbers[rows] == numbers[first]).all(axis=1) & ~torn
    atoms[fits] = np.arange(numbers.shape[1])
    return rows, atoms
