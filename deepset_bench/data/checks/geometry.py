"""Whether the molecules are whole and stay the molecules they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from deepset_bench.data.checks.finding import Finding
from deepset_bench.data.frames import FloatArray, IntArray

if TYPE_CHECKING:
    from deepset_bench.data.checks.subject import Group, Subject

BROKEN = 1.6
"""A bond stretched beyond this multiple of its first length is broken."""
NEW_CONTACT = 1.2
"""Two atoms not bonded before are, below this multiple of the sum of their covalent radii and"""
CLOSER = 0.8
"""below this multiple of their first distance."""
_BONDED, _APART, _COLLIDED = 1.25, 1.5, 0.6  # times the same sum
_CHUNK = 256  # frames
_MOST = 3_000_000  # distances looked at in one group


def pairs(n_atoms: int) -> tuple[IntArray, IntArray]:
    """i < j of every pair of n atoms."""
    i, j = np.triu_indices(n_atoms, k=1)
    return i.astype(np.int64), j.astype(np.int64)


def distances(positions: FloatArray, i: IntArray, j: IntArray) -> FloatArray:
    """(m, n, 3) positions -> (m, p) distances of the pairs i, j in angstrom."""
    found = np.empty((len(positions), len(i)))
    for start in range(0, len(positions), _CHUNK):  # in parts that stay in the cache
        part = slice(start, start + _CHUNK)
        vectors = positions[part, i] - positions[part, j]
        found[part] = np.sqrt(np.einsum("mpx,mpx->mp", vectors, vectors))
    return found


def contact(numbers: IntArray, i: IntArray, j: IntArray) -> FloatArray:
    """(p,) sums of the covalent radii of pairs of atoms in angstrom."""
    radii: FloatArray = covalent_radii[numbers]
    return radii[i] + radii[j]


def bonds(numbers: IntArray, positions: FloatArray) -> tuple[IntArray, FloatArray]:
    """The bonds of a molecule, (b, 2), and the geometry (n, 3) that they were taken from.

    Atoms closer than 1.25 times the sum of their covalent radii are bonded. The geometry is the
    first of `positions` (m, n, 3) with the fewest fragments, so that a broken frame at the
    beginning does not pass for the molecule.
    """
    i, j = pairs(len(numbers))
    some = np.unique(np.linspace(0, len(positions) - 1, 200).astype(int))
    bonded = distances(positions[some], i, j) < _BONDED * contact(numbers, i, j)
    pieces = fragments(len(numbers), i, j, bonded)
    first = int(np.argmax(pieces == pieces.min()))
    return np.stack([i, j], axis=1)[bonded[first]], positions[some[first]]


def fragments(n_atoms: int, i: IntArray, j: IntArray, bonded: NDArray[np.bool_]) -> IntArray:
    """(m,) number of connected parts of m frames, of whose pairs i, j `bonded` (m, p) are bonds."""
    m = len(bonded)
    frame, pair = np.nonzero(bonded)
    nodes = (frame * n_atoms + i[pair], frame * n_atoms + j[pair])
    graph = coo_array((np.ones(len(frame)), nodes), shape=(m * n_atoms, m * n_atoms))
    _, part = connected_components(graph, directed=False)
    frame_of = np.repeat(np.arange(m), n_atoms)
    return np.bincount(frame_of[np.unique(part, return_index=True)[1]], minlength=m)


def stretch(numbers: IntArray, positions: FloatArray) -> FloatArray:
    """(m,) of m frames (m, n, 3): the longest bond over its length in the reference geometry."""
    bonded, reference = bonds(numbers, positions)
    if not len(bonded):
        return np.ones(len(positions))
    i, j = bonded.T
    length: FloatArray = distances(positions, i, j) / distances(reference[None], i, j)
    return length.max(axis=1)


def whole(numbers: IntArray, positions: FloatArray) -> NDArray[np.bool_]:
    """(m,) mask of the frames in which no bond is broken."""
    return stretch(numbers, positions) <= BROKEN


def broken(subject: Subject) -> Finding:
    """Bonds stretched beyond 1.6 times their first length, and what that leaves of the molecule."""
    check = "molecule whole"
    if not subject.repeated:
        return Finding(check, "not run", "every frame is another molecule")
    frames: list[int] = []
    far, torn, longest, of = 0.0, 0, 1.0, ""
    for group in subject.repeated:
        length = stretch(group.numbers, group.positions)
        longest = max(longest, float(length.max()))
        bad = group.select(length > BROKEN)
        if not len(bad):
            continue
        i, j = pairs(len(bad.numbers))
        d = distances(bad.positions, i, j)
        pieces = fragments(len(bad.numbers), i, j, d < _APART * contact(bad.numbers, i, j))
        torn, far = torn + int((pieces > 1).sum()), max(far, float(d.max()))
        frames += bad.index.tolist()
        of = of or bad.molecule
    total = len(subject.frames)
    if not frames:
        text = f"no bond is longer than {longest:.2f} times its first length"
        return Finding(check, "ok", text, longest)
    first = min(frames)
    share = f"{len(frames):,} of {total:,} frames, first in frame {first} (counted from 0)"
    text = f"{of}: a bond is broken (over {BROKEN} times its first length) in {share}"
    if torn:
        text += f"; {torn:,} of them are in fragments, atoms up to {far:.1f} angstrom apart"
    else:
        text += "; the atoms stay connected: a rearrangement"
    advice = "leave these frames out"
    if first and len(subject.groups) == 1 and (subject.groups[0].index < first).any():
        advice += f": --frames {subject.groups[0].index.min() + 1}-{first} has those before them"
    verdict = "defect" if torn else "suspect"
    return Finding(check, verdict, text, len(frames) / total, "", tuple(sorted(frames)), (), advice)


def connectivity(subject: Subject) -> Finding:
    """Pairs of atoms that come within bonding distance though they were not bonded."""
    check = "new contacts"
    if not subject.repeated:
        return Finding(check, "not run", "every frame is another molecule")
    frames: set[int] = set()
    atoms: set[int] = set()
    closest, worst_pair = np.inf, ""
    for group in subject.repeated:
        n = len(group.numbers)
        seen = group.thinned(max(1, _MOST // n**2))
        ratio, new, i, j = _approach(seen)
        if not ratio.size:
            continue
        frames |= set(seen.index[new.any(axis=1)].tolist())
        touched = np.flatnonzero(new.any(axis=0))
        atoms |= set(i[touched].tolist()) | set(j[touched].tolist())
        if ratio.min() < closest:
            closest = float(ratio.min())
            pair = int(ratio.min(axis=0).argmin())
            worst_pair = f"atoms {i[pair]} and {j[pair]}"
    if not np.isfinite(closest):
        return Finding(check, "ok", "every pair of atoms is bonded")
    text = f"{worst_pair}, not bonded, come within {closest:.2f} times the sum of their radii"
    if not frames:
        return Finding(check, "ok", f"{text} at closest", closest)
    where = tuple(sorted(frames)), tuple(sorted(atoms))
    text += f"; {len(frames):,} frames have such a contact, first frame {where[0][0]}"
    if closest < _COLLIDED:
        return Finding(
            check, "defect", text, closest, "", *where, "atoms collide: leave these frames out"
        )
    advice = "a reaction? then several molecules share one name; else leave these frames out"
    return Finding(check, "suspect", text, closest, "", *where, advice)


def _approach(group: Group) -> tuple[FloatArray, NDArray[np.bool_], IntArray, IntArray]:
    """Of the pairs i, j (p,) not bonded in the molecule: distances over contact, and which met.

    Both are (m, p).
    """
    i, j = pairs(len(group.numbers))
    bonded, reference = bonds(group.numbers, group.positions)
    known = set(map(tuple, bonded.tolist()))
    free = np.array([pair not in known for pair in zip(i.tolist(), j.tolist(), strict=True)], bool)
    i, j = i[free], j[free]
    d, touching = distances(group.positions, i, j), contact(group.numbers, i, j)
    first = distances(reference[None], i, j)
    return d / touching, d < np.minimum(NEW_CONTACT * touching, CLOSER * first), i, j
