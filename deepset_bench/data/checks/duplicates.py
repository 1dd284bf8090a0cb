"""Frames that are there twice, and how much a random split lets training see of the test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from deepset_bench.data.checks.finding import Finding, graded
from deepset_bench.data.checks.geometry import distances, pairs
from deepset_bench.data.checks.subject import FEW, Group, Subject
from deepset_bench.data.checks.work import principal
from deepset_bench.data.frames import FloatArray, IntArray

SAME, NEAR = 1e-6, 0.005
"""Root mean square difference of sorted distances in angstrom: the same geometry, nearly so."""
_SAME_ENERGY = 1e-4  # eV: what files keep and programs repeat
_DEFECT = 0.01  # of the frames
_CORRELATED = 0.5
_MOST, _CHUNK = 6000, 1000


def duplicates(subject: Subject) -> Finding:
    """Geometries that occur twice, however turned and with like atoms in any order."""
    check = "duplicates"
    if not subject.repeated:
        return Finding(check, "not run", "every frame is another molecule")
    frames: set[int] = set()
    conflicts: set[int] = set()
    for group in subject.repeated:
        first, second = same_geometry(group).T
        frames |= set(group.index[second].tolist())
        differ = np.abs(group.energy[first] - group.energy[second]) > _SAME_ENERGY
        conflicts |= set(group.index[second[differ]].tolist())
    share = len(frames) / len(subject.frames)
    where = tuple(sorted(frames))
    if not frames:
        return Finding(check, "ok", "no geometry occurs twice", 0.0)
    text = f"{len(frames):,} of {len(subject.frames):,} frames repeat the geometry of another"
    advice = "leave them out: they put frames of the training part into the test"
    if conflicts:
        text += f", {len(conflicts):,} of them with another energy"
        advice = "one geometry has one energy: are labels of several methods mixed?"
    verdict = "defect" if conflicts else graded(share, 0.0, _DEFECT)
    return Finding(check, verdict, text, share, "", where, (), advice)


def same_geometry(group: Group) -> IntArray:
    """(d, 2) pairs of frames with the same sorted distances.

    Candidates are neighbours along one direction of the descriptor, which equal geometries share.
    """
    parts = np.array_split(np.arange(len(group)), -(-len(group) // _CHUNK))
    along = np.concatenate([_one_number(group.select(part)) for part in parts])
    order = np.argsort(along, kind="stable")
    found = []
    for shift in (1, 2):
        close = np.abs(along[order[shift:]] - along[order[:-shift]]) < SAME * 10
        first, second = order[:-shift][close], order[shift:][close]
        if len(first):
            a, b = (sorted_distances(group.select(rows)) for rows in (first, second))
            same = np.sqrt(((a - b) ** 2).mean(axis=1)) < SAME
            found.append(np.sort(np.stack([first[same], second[same]], axis=1), axis=1))
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)


def sorted_distances(group: Group) -> FloatArray:
    """(m, p) distances in angstrom, sorted within each pair of elements.

    Turning a frame, or exchanging atoms of one element, leaves them as they are; so does a mirror,
    as it does the energy.
    """
    i, j = pairs(len(group.numbers))
    d = distances(group.positions, i, j)
    low, high = np.minimum(group.numbers[i], group.numbers[j]), group.numbers[i] + group.numbers[j]
    kind = low * 1000 + high
    for value in np.unique(kind):
        columns = kind == value
        d[:, columns] = np.sort(d[:, columns], axis=1)
    return d


def _one_number(group: Group) -> FloatArray:
    values = sorted_distances(group)
    weights = np.cos(np.arange(values.shape[1]))
    return values @ weights / np.sqrt(max(values.shape[1], 1))


@dataclass(frozen=True, eq=False)
class Nearest:
    """How near frames are to others, in angstrom (root mean square of sorted distances).

    Attributes:
        own: (m,) each frame to its nearest other.
        held_out: (h,) frames of a random fifth to the nearest of the other four fifths.
        apart: (h,) frames of the middle fifth of time to the nearest of the rest.
    """

    own: FloatArray
    held_out: FloatArray
    apart: FloatArray


def nearest(group: Group) -> Nearest:
    """Distances to nearest frames, of at most 6000 frames of a group."""
    group = group.thinned(_MOST)
    values = sorted_distances(group)
    points = principal(values) / np.sqrt(values.shape[1])
    own = cKDTree(points).query(points, k=2)[0][:, 1]
    m = len(points)
    random = np.zeros(m, dtype=bool)
    random[np.random.default_rng(0).choice(m, m // 5, replace=False)] = True
    middle = np.zeros(m, dtype=bool)
    middle[2 * m // 5 : 3 * m // 5] = True
    held_out, apart = (cKDTree(points[~part]).query(points[part])[0] for part in (random, middle))
    return Nearest(own, held_out, apart)


def near_duplicates(subject: Subject) -> Finding:
    """Frames that differ from another by less than 0.005 angstrom."""
    check = "near duplicates"
    if not subject.large:
        return Finding(check, "not run", f"no molecule has {FEW} frames")
    close, total, median = 0, 0, 0.0
    for number, group in enumerate(subject.large):
        own = nearest(group).own
        close, total = close + int((own < NEAR).sum()), total + len(own)
        median = float(np.median(own)) if number == 0 else median
    share = close / total
    text = (
        f"{share:.1%} of the frames are within {NEAR} angstrom of another in the root mean square "
        f"of their distances; median {median:.3g} angstrom"
    )
    verdict = "suspect" if share > _DEFECT else "ok"
    advice = "" if verdict == "ok" else "thin the trajectory out: these frames add nothing"
    return Finding(check, verdict, text, share, "", (), (), advice)


def leakage(subject: Subject) -> Finding:
    """What a random split of a trajectory tells training about the test.

    The correlation of the energy of each frame of a random fifth with that of the frame nearest in
    time in the other four fifths. It is a matter of the split, not of the data: never a defect.
    """
    check = "random split"
    group = next((g for g in subject.large if (np.diff(g.index) > 0).all()), None)
    if group is None:
        return Finding(check, "not run", "no trajectory in order")
    if group.energy.std() == 0:
        return Finding(check, "not run", "the energy is constant")
    m = len(group)
    rows = np.sort(np.random.default_rng(0).choice(m, m // 5, replace=False))
    rest = np.setdiff1d(np.arange(m), rows)
    place = np.searchsorted(rest, rows).clip(1, len(rest) - 1)
    before, after = rest[place - 1], rest[place]
    mate = np.where(rows - before <= after - rows, before, after)
    number = float(np.corrcoef(group.energy[rows], group.energy[mate])[0, 1])
    text = (
        f"energies of frames held out at random correlate by {number:.2f} with those of the "
        "training frames nearest in time"
    )
    if number < _CORRELATED:
        return Finding(check, "ok", text, number)
    advice = "data.split=blocks holds whole blocks of time out"
    return Finding(check, "suspect", text, number, "", (), (), advice)
