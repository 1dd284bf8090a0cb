"""Whether the molecules are whole and stay the molecules they were."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepset_bench.checks.finding import Finding
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import (
    BROKEN,
    CLOSER,
    HETERO,
    NEW_CONTACT,
    contact,
    distances,
    fragments,
    near_pairs,
    reach,
    stretched,
)
from deepset_bench.molecules.one_molecule import Group

_APART, _COLLIDED = 1.5, 0.6  # times the sum of the covalent radii
_STILL = 0.005  # angstrom, from one geometry of a scan to the next: nothing vibrates
_MOST = 3_000_000  # distances looked at in one group


def broken(subject: Subject) -> Finding:
    """Bonds stretched beyond 1.6 times their usual length, and what that leaves of the molecule."""
    check = "molecule whole"
    if not subject.repeated:
        return Finding(check, "not run", "every frame is another molecule")
    frames: list[int] = []
    notes: list[str] = []
    far, torn, moved, longest, of = 0.0, 0, 0, 1.0, ""
    for group in subject.repeated:
        bonded, reference = group.bonds
        ratio, apart = stretched(group.numbers, group.positions, bonded, reference)
        bad = np.asarray(apart.any(axis=1))
        moved += int(((ratio > BROKEN) & ~apart).any(axis=1).sum())
        if not bad.any():
            longest = max(longest, float(ratio[ratio <= BROKEN].max(initial=1.0)))
            continue
        if _scanned(ratio, apart, distances(reference[None], *bonded.T)[0]):
            bond = bonded[apart.any(axis=0)][0]
            notes.append(f"the bond {bond[0]}-{bond[1]} of {group.molecule} is scanned")
            longest = max(longest, float(ratio.max()))
            continue
        rest = group.select(bad)
        i, j = near_pairs(rest.numbers, rest.positions, _APART)
        joined = distances(rest.positions, i, j) < _APART * contact(rest.numbers, i, j)
        pieces = fragments(len(rest.numbers), i, j, joined)
        torn += int((pieces > group.pieces).sum())
        far = max(far, max(_width(frame) for frame in rest.positions))
        frames += rest.index.tolist()
        of = of or rest.molecule
    if not frames:
        text = f"no bond is longer than {longest:.2f} times its usual length"
        if moved:
            notes.append(f"in {moved:,} frames a proton has gone to another atom")
        return Finding(check, "ok", "; ".join([text, *notes]), longest)
    first = min(frames)
    total = len(subject.frames)
    share = f"{len(frames):,} of {total:,} frames, first in frame {first} (counted from 0)"
    text = f"{of}: a bond is broken (over {BROKEN} times its usual length) in {share}"
    if torn:
        text += f"; {torn:,} of them are in fragments, atoms up to {far:.1f} angstrom apart"
    else:
        text += "; the atoms stay connected: a rearrangement"
    advice = "leave these frames out"
    if first and len(subject.groups) == 1 and (subject.groups[0].index < first).any():
        advice += f": --frames {subject.groups[0].index.min() + 1}-{first} has those before them"
    index = subject.frames.index
    fell_apart = (index < first).any() and len(frames) == (index >= first).sum()  # for good
    if 2 * torn > total and not fell_apart:
        advice = "were the molecules wrapped into a cell? write them whole; or say in the file "
        advice += 'that the set is periodic: pbc="T T T"'
    verdict = "defect" if torn else "suspect"
    return Finding(check, verdict, text, len(frames) / total, "", tuple(sorted(frames)), (), advice)


def _scanned(ratio: FloatArray, apart: NDArray[np.bool_], length: FloatArray) -> bool:
    """Whether one bond is stretched on purpose: in order of its length, no other bond moves.

    Both are (m, b), `length` (b,) in angstrom. In a trajectory the other bonds vibrate; where there
    is no other bond, nothing but the scan can be seen.
    """
    broken_bonds = np.flatnonzero(apart.any(axis=0))
    if len(broken_bonds) != 1 or len(ratio) < 3:
        return False
    order = np.argsort(ratio[:, broken_bonds[0]])
    others = np.delete(ratio * length, broken_bonds, axis=1)[order]
    steps = np.abs(np.diff(others, axis=0)).max(axis=1, initial=0.0)
    return float(np.median(steps)) < _STILL


def _width(positions: FloatArray) -> float:
    """The largest distance of two atoms (n, 3) in angstrom."""
    return float(max(np.linalg.norm(positions - atom, axis=1).max() for atom in positions))


def connectivity(subject: Subject) -> Finding:
    """Pairs of atoms that come within bonding distance though they were not bonded.

    A hydrogen bond, a proton that goes along it, and an ion are left out: that is chemistry.
    """
    check = "new contacts"
    if not subject.repeated:
        return Finding(check, "not run", "every frame is another molecule")
    frames: set[int] = set()
    atoms: set[int] = set()
    closest, worst_pair = np.inf, ""
    for group in subject.repeated:
        i, j = _free(group)
        seen = group.thinned(max(1, _MOST // max(1, len(i))))
        ratio, new = _approach(seen, i, j)
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
        return Finding(check, "ok", "no two atoms that are not bonded come near each other")
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


def _free(group: Group) -> tuple[IntArray, IntArray]:
    """Pairs i < j that come near each other and are not bonded in the molecule."""
    n = len(group.numbers)
    i, j = near_pairs(group.numbers, group.positions, _APART / NEW_CONTACT)
    bonded, _ = group.bonds
    free = ~np.isin(i * n + j, bonded[:, 0] * n + bonded[:, 1])
    return i[free], j[free]


def _approach(group: Group, i: IntArray, j: IntArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Of the pairs i, j (p,): distances over contact, and which met anew, both (m, p)."""
    bonded, reference = group.bonds
    hydrogen, hetero = group.numbers == 1, np.isin(group.numbers, list(HETERO))
    acidic = hydrogen & np.isin(np.arange(len(hydrogen)), bonded[hetero[bonded].any(axis=1)])
    # A hydrogen bond, or an ion.
    bridge = (acidic[i] & hetero[j]) | (acidic[j] & hetero[i]) | (reach(group.numbers, i, j) == 0)
    d, touching = distances(group.positions, i, j), contact(group.numbers, i, j)
    first = distances(reference[None], i, j)
    limit = np.minimum(NEW_CONTACT * touching, CLOSER * first)
    return d / touching, d < np.where(bridge, _COLLIDED * touching, limit)
