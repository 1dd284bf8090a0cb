"""Distances, bonds and fragments of the geometries of one molecule."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from deepset_bench.molecules.frames import FloatArray, IntArray

BROKEN = 1.6
"""A bond stretched beyond this multiple of its usual length is broken."""
NEW_CONTACT = 1.2
"""Two atoms not bonded before are, below this multiple of the sum of their covalent radii and"""
CLOSER = 0.8
"""below this multiple of their usual distance."""
HETERO = frozenset({7, 8, 9, 15, 16, 17, 34, 35, 53})
"""Elements between which a proton may move: a hydrogen bond, or chemistry, but no damage."""
_LOOSE, _TIGHT = (
    (1.25, 0.35),
    (1.15, 0.25),
)  # times the sum of covalent radii, or angstrom beyond it
_ALKALI = (3, 11, 19, 37, 55)
_SOME = 200  # frames that bonds are taken from
_NUMBERS = 2_000_000  # that are in memory at a time
_FEW_ATOMS = 100  # below, all pairs are looked at


def pairs(n_atoms: int) -> tuple[IntArray, IntArray]:
    """i < j of every pair of n atoms."""
    i, j = np.triu_indices(n_atoms, k=1)
    return i.astype(np.int64), j.astype(np.int64)


def distances(positions: FloatArray, i: IntArray, j: IntArray) -> FloatArray:
    """(m, n, 3) positions -> (m, p) distances of the pairs i, j in angstrom."""
    found = np.empty((len(positions), len(i)))
    chunk = max(1, min(256, _NUMBERS // max(1, 3 * len(i))))  # in parts that stay in the cache
    for start in range(0, len(positions), chunk):
        part = slice(start, start + chunk)
        vectors = positions[part, i] - positions[part, j]
        found[part] = np.sqrt(np.einsum("mpx,mpx->mp", vectors, vectors))
    return found


def contact(numbers: IntArray, i: IntArray, j: IntArray) -> FloatArray:
    """(p,) sums of the covalent radii of pairs of atoms in angstrom."""
    radii: FloatArray = covalent_radii[numbers]
    return radii[i] + radii[j]


def reach(numbers: IntArray, i: IntArray, j: IntArray, tight: bool = False) -> FloatArray:
    """(p,) distance in angstrom below which a pair of atoms is bonded.

    1.25 times the sum of the covalent radii, or 0.35 angstrom beyond it where that is more: that of
    H2 is 0.62 angstrom, its bond 0.74. `tight` leaves out what may be a hydrogen bond. Alkali
    metals are bonded to hydrogen and carbon alone: beside other atoms they are ions.
    """
    factor, beyond = _TIGHT if tight else _LOOSE
    touching = contact(numbers, i, j)
    limit = np.maximum(factor * touching, touching + beyond)
    one, other = np.isin(numbers[i], _ALKALI), np.isin(numbers[j], _ALKALI)
    organic = np.isin(numbers[i], (1, 6)) | np.isin(numbers[j], (1, 6))
    return np.where(one | other, np.where(organic, 1.1 * touching, 0.0), limit)


def near_pairs(
    numbers: IntArray, positions: FloatArray, factor: float = 1.0
) -> tuple[IntArray, IntArray]:
    """i < j of pairs that come within `factor` times `reach` in a frame of (m, n, 3).

    Every pair where there are few atoms, so that work and memory grow with the atoms and not with
    their square.
    """
    n = len(numbers)
    if n <= _FEW_ATOMS:
        return pairs(n)
    kinds = np.unique(numbers)
    i, j = np.triu_indices(len(kinds))
    furthest = factor * float(reach(kinds, i, j).max())
    found = np.zeros(0, dtype=np.int64)
    for frame in positions:
        i, j = cKDTree(frame).query_pairs(furthest, output_type="ndarray").T.astype(np.int64)
        near = np.linalg.norm(frame[i] - frame[j], axis=1) < factor * reach(numbers, i, j)
        found = np.union1d(found, i[near] * n + j[near])
    return found // n, found % n


def bonds(numbers: IntArray, positions: FloatArray) -> tuple[IntArray, FloatArray]:
    """The bonds of a molecule, (b, 2), and a geometry (n, 3) in which they have their usual length.

    Of up to 200 of `positions` (m, n, 3) those in the fewest fragments count, so that broken frames
    do not pass for the molecule; a bond is what half of them have. The geometry is that of them
    whose bonds are nearest to their median lengths.
    """
    some = positions[np.unique(np.linspace(0, len(positions) - 1, _SOME).astype(int))]
    i, j = near_pairs(numbers, some)
    d = distances(some, i, j)
    pieces = fragments(len(numbers), i, j, d < reach(numbers, i, j, tight=True))
    whole_ones = pieces == pieces.min()
    d, some = d[whole_ones], some[whole_ones]
    bonded = (d < reach(numbers, i, j)).mean(axis=0) >= 0.5
    strain = np.abs(d[:, bonded] / np.median(d[:, bonded], axis=0) - 1).max(axis=1, initial=0.0)
    return np.stack([i, j], axis=1)[bonded], some[int(strain.argmin())]


def fragments(n_atoms: int, i: IntArray, j: IntArray, bonded: NDArray[np.bool_]) -> IntArray:
    """(m,) number of connected parts of m frames, of whose pairs i, j `bonded` (m, p) are bonds."""
    m = len(bonded)
    frame, pair = np.nonzero(bonded)
    nodes = (frame * n_atoms + i[pair], frame * n_atoms + j[pair])
    graph = coo_array((np.ones(len(frame)), nodes), shape=(m * n_atoms, m * n_atoms))
    _, part = connected_components(graph, directed=False)
    frame_of = np.repeat(np.arange(m), n_atoms)
    return np.bincount(frame_of[np.unique(part, return_index=True)[1]], minlength=m)


def stretched(
    numbers: IntArray, positions: FloatArray, bonded: IntArray, reference: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Lengths of the bonds (b, 2) over those in a reference (n, 3), and which of them are broken.

    Both are (m, b). A proton that has left its atom for another one of `HETERO` has broken nothing.
    """
    i, j = bonded.T
    ratio: FloatArray = distances(positions, i, j) / distances(reference[None], i, j)
    torn = ratio > BROKEN
    hetero = np.flatnonzero(np.isin(numbers, list(HETERO)))
    for bond in np.flatnonzero(torn.any(axis=0)):
        proton, own = sorted(bonded[bond].tolist(), key=lambda atom: numbers[atom])
        if numbers[proton] != 1 or own not in hetero:
            continue
        rows, others = np.flatnonzero(torn[:, bond]), hetero[hetero != own]
        here = np.full(len(others), proton)
        held = distances(positions[rows], here, others) < reach(numbers, here, others)
        torn[rows, bond] = ~held.any(axis=1)
    return ratio, torn


def whole(numbers: IntArray, positions: FloatArray) -> NDArray[np.bool_]:
    """(m,) mask of the frames (m, n, 3) in which no bond is broken."""
    torn = stretched(numbers, positions, *bonds(numbers, positions))[1]
    return ~np.asarray(torn.any(axis=1))
