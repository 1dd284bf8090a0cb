"""Frames that are there twice, or nearly so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from deepset_bench.checks.finding import Finding, energy_text
from deepset_bench.checks.subject import FEW, Subject
from deepset_bench.checks.work import principal
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import distances, pairs
from deepset_bench.molecules.one_molecule import Group

SAME, NEAR = 1e-6, 0.005
"""Root mean square difference of sorted distances in angstrom: the same geometry, nearly so."""
_SAME_ENERGY, _SAME_FORCE = 1e-4, 1e-3  # eV, eV/angstrom: what files keep and programs repeat
_ION = 1.0  # eV: labels of one geometry that differ by more are of another charge or spin
_DEFECT, _COPIES = 0.01, 3  # of the frames; both ends of a scan are one
_CHANCE = 2.5e-4  # that the nearest of five frames is so much nearer than the fifth
_SEVERAL = 5  # frames that are near duplicates
_MOST, _COLUMNS, _NUMBERS = 6000, 500, 2_000_000
_FEW_ATOMS = 100


def duplicates(subject: Subject) -> Finding:
    """Geometries that occur twice, however turned and with like atoms in any order.

    Names, charges and spins are not looked at: what a model is given are elements and positions.
    """
    check = "duplicates"
    by_atoms: dict[bytes, list[Group]] = {}
    for group in subject.groups:
        by_atoms.setdefault(group.numbers.tobytes(), []).append(group)
    frames: set[int] = set()
    copies: set[int] = set()
    conflicts: list[IntArray] = []
    seen = 0
    for groups in by_atoms.values():
        together = _together(groups)
        if len(together) < 2 or len(together.numbers) < 2:  # an atom has one geometry
            continue
        seen += 1
        found = same_geometry(together)
        first, second = found.T
        frames |= set(together.index[second].tolist())
        copies |= set(together.index[second[_copied(together, found)]].tolist())
        force = np.sqrt((together.forces**2).mean(axis=(1, 2)))
        differ = np.abs(together.energy[first] - together.energy[second]) > _SAME_ENERGY
        differ |= np.abs(force[first] - force[second]) > _SAME_FORCE
        conflicts.append(together.rows[found[differ]])
    if not seen:
        return Finding(check, "not run", "every frame is another molecule")
    share = len(frames) / len(subject.frames)
    where = tuple(sorted(frames))
    if not frames:
        return Finding(check, "ok", "no geometry occurs twice", 0.0)
    text = f"{len(frames):,} of {len(subject.frames):,} frames repeat the geometry of another"
    if len(copies) < len(frames):
        text += f", {len(frames) - len(copies):,} of them mirrored or with like atoms exchanged"
    advice = "leave them out: they put frames of the training part into the test"
    differing = np.concatenate(conflicts)
    if len(differing):
        more, advice = _conflict(subject, differing)
        text += more
    many = len(copies) >= _COPIES and len(copies) > _DEFECT * len(subject.frames)
    verdict = "defect" if len(differing) or many else "suspect"
    return Finding(check, verdict, text, share, "", where, (), advice)


def _copied(group: Group, found: IntArray) -> NDArray[np.bool_]:
    """(d,) which pairs of frames (d, 2) of one geometry are the same but for a turn.

    A scan of a torsion passes by mirror images, and by those that differ in like atoms alone.
    """
    same = np.zeros(len(found), dtype=bool)
    i, j = pairs(len(group.numbers))
    for row, couple in enumerate(found.tolist()):
        a, b = distances(group.positions[couple], i, j)
        first, second = (p - p.mean(axis=0) for p in group.positions[couple])
        size = np.linalg.svd(first, compute_uv=False)[-1]
        mirrored = np.linalg.det(first.T @ second) < 0 and size > 10 * SAME
        same[row] = np.sqrt(((a - b) ** 2).mean()) < 10 * SAME and not mirrored
    return same


def _together(groups: list[Group]) -> Group:
    """Groups of the same atoms as one, its frames in their order in the set."""
    if len(groups) == 1:
        return groups[0]
    rows = np.concatenate([group.rows for group in groups])
    names = ("rows", "index", "atoms", "positions", "energy", "forces")
    order = np.argsort(rows, kind="stable")
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(group, name) for group in groups])[order] for name in names
    }
    return replace(groups[0], **arrays)


def _conflict(subject: Subject, rows: IntArray) -> tuple[str, str]:
    """What pairs of frames (p, 2) with one geometry and two labels mean, and what to do."""
    frames = subject.frames
    count = len(np.unique(rows[:, 1]))
    gap = float(np.median(np.abs(np.diff(frames.energy[rows], axis=1))))
    text = f", {count:,} of them with other labels: energies differ by {energy_text(gap)} (median)"
    for name, values, word in (
        ("charge", frames.charge, "charges"),
        ("spin", frames.spin, "multiplicities"),
    ):
        known = np.unique(values[rows]).tolist()
        if len(known) > 1:
            text += f"; their {word} are {' and '.join(map(str, known))}"
            advice = (
                f"a model is not given the {name}: keep one {name} in a set, each under a "
                "name of its own"
            )
            return text, advice
    if gap > _ION:
        advice = (
            "labels of another charge or spin under the same geometry? keep one charge in a set; "
            "else labels of several methods are mixed"
        )
        return text, advice
    return text, "one geometry has one energy: are labels of several methods mixed?"


def same_geometry(group: Group) -> IntArray:
    """(d, 2) pairs of frames with the same sorted distances.

    Candidates are neighbours along one direction of the descriptor, which equal geometries share.
    Two atoms have one distance, which may be the same by chance: their vector is compared.
    """
    along = np.concatenate([_one_number(part) for part in _parts(group)])
    order = np.argsort(along, kind="stable")
    found = [np.empty((0, 2), dtype=np.int64)]
    for shift in (1, 2):
        close = np.abs(along[order[shift:]] - along[order[:-shift]]) < SAME * 10
        couples = np.sort(np.stack([order[:-shift][close], order[shift:][close]], 1), axis=1)
        for part in np.array_split(couples, -(-len(couples) // _at_a_time(group)) or 1):
            a, b = (_descriptor(group.select(rows)) for rows in part.T)
            found.append(part[np.sqrt(((a - b) ** 2).mean(axis=1)) < SAME])
    return np.concatenate(found)


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


def _at_a_time(group: Group) -> int:
    """Frames whose distances are in memory together."""
    n = len(group.numbers)
    return max(1, 2 * _NUMBERS // max(1, n * (n - 1)))


def _parts(group: Group) -> list[Group]:
    rows = np.arange(len(group))
    size = _at_a_time(group)
    return [group.select(rows[start : start + size]) for start in range(0, len(rows), size)]


def _descriptor(group: Group) -> FloatArray:
    if len(group.numbers) == 2:
        return np.asarray(group.positions[:, 1] - group.positions[:, 0])
    return sorted_distances(group)


def _one_number(group: Group) -> FloatArray:
    """(m,) a number that equal geometries share: of few atoms from their distances, of many from
    those from their centre, which others may share, too.
    """
    values = _descriptor(group) if len(group.numbers) <= _FEW_ATOMS else _from_the_centre(group)
    weights = np.cos(np.arange(values.shape[1]))
    return np.asarray(values @ weights / np.sqrt(max(values.shape[1], 1)))


def _from_the_centre(group: Group) -> FloatArray:
    """(m, n) distances from the centre of the atoms in angstrom, sorted within each element."""
    away = group.positions - group.positions.mean(axis=1, keepdims=True)
    d = np.asarray(np.linalg.norm(away, axis=-1))
    for element in np.unique(group.numbers):
        columns = group.numbers == element
        d[:, columns] = np.sort(d[:, columns], axis=1)
    return d


def manageable(group: Group) -> int:
    """How many of its frames are looked at: at most 6000, fewer of large molecules."""
    n = len(group.numbers)
    most = min(_MOST, max(10 * FEW, 200 * _NUMBERS // max(1, n * (n - 1))))
    return min(len(group), most)


def _some(group: Group) -> Group:
    return group.thinned(manageable(group))


def points(group: Group) -> FloatArray:
    """(m, c) points whose distances are root mean square differences of distances, in angstrom."""
    some = np.unique(np.linspace(0, len(pairs(len(group.numbers))[0]) - 1, _COLUMNS).astype(int))
    values = np.concatenate([sorted_distances(part)[:, some] for part in _parts(group)])
    return principal(values) / np.sqrt(values.shape[1])


def own_nearest(group: Group) -> FloatArray:
    """(m,) distances in angstrom of some frames to their nearest others."""
    some = points(_some(group))
    return np.asarray(cKDTree(some).query(some, k=2)[0][:, 1])


def near_duplicates(subject: Subject) -> Finding:
    """Frames that differ from another by less than 0.005 angstrom, and not by chance."""
    check = "near duplicates"
    groups = [group for group in subject.large if len(group.numbers) > 1]
    if not groups:
        return Finding(check, "not run", f"no molecule has {FEW} frames")
    close, total, median = 0, 0, 0.0
    for number, group in enumerate(groups):
        near, own = _too_near(_some(group))
        close, total = close + near, total + len(own)
        median = float(np.median(own)) if number == 0 else median
    share = close / total
    text = (
        f"{share:.1%} of the frames are within {NEAR} angstrom of another in the root mean square "
        f"of their distances, and not by chance; median {median:.3g} angstrom"
    )
    verdict = "suspect" if share > _DEFECT and close >= _SEVERAL else "ok"
    advice = "" if verdict == "ok" else "thin the trajectory out: these frames add nothing"
    return Finding(check, verdict, text, share, "", (), (), advice)


def _too_near(group: Group) -> tuple[int, FloatArray]:
    """How many frames are near duplicates, and (m,) distances to the nearest others, in angstrom.

    Geometries of small molecules, and along a scan, are near each other by chance. In d dimensions,
    which the 5th and the 20th neighbour tell, the nearest is below the fraction q of the distance
    of the 5th with a probability of about 4 q^d (Facco et al., Sci. Rep. 2017, 7, 12140).
    Frames next to each other in time count where that is so for most of them.
    """
    where = points(group)
    far, fifth = min(20, len(where) - 1), min(5, len(where) - 1)
    away, which = cKDTree(where).query(where, k=far + 1)
    own = away[:, 1]
    small = own < NEAR
    in_time = (np.abs(which[:, 1] - np.arange(len(where))) == 1) & (np.diff(group.index) > 0).all()
    if (small & in_time).mean() > 0.5:
        return int((small & in_time).sum()), own
    growth = np.log(np.maximum(away[:, far], 1e-12) / np.maximum(away[:, fifth], 1e-12))
    dimension = np.log(far / fifth) / max(float(np.median(growth)), 1e-6)
    return int((small & (own < _CHANCE ** (1 / dimension) * away[:, fifth])).sum()), own
