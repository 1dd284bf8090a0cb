"""Whether atoms are of the elements that they are labelled as, by their bonds."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols

from deepset_bench.checks.finding import Finding
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import HETERO, contact, distances
from deepset_bench.molecules.one_molecule import Group

LENGTHS = {5: 1.19, 6: 1.09, 7: 1.015, 8: 0.965, 9: 0.92, 14: 1.48, 15: 1.42, 16: 1.34, 17: 1.28}
"""Bonds X-H in angstrom by the atomic number of X, within 0.03; Allen et al., J. Chem. Soc. Perkin
Trans. 2 1987, S1, and the hydrides."""
_CANDIDATES = (6, 7, 8, 14, 15, 16, 17)  # elements that another may really be
_OFF, _NEAR, _SURE = 0.05, 0.03, 0.01  # angstrom: not of this element; of another; standard error
_ALONE = 1.9  # angstrom from another heteroatom: no hydrogen bond
_NEIGHBOURS = {6: 4, 7: 3, 8: 2, 9: 1}
_SHORT = 0.72  # times the sum of covalent radii; N2 has 0.77
_FRAMES, _FEWEST, _GROUPS = 100, 5, 1000


def elements(subject: Subject) -> Finding:
    """Lengths of bonds to hydrogen, numbers of neighbours, and bonds too short for any element."""
    check = "elements"
    looked_at = [group for group in subject.groups[:_GROUPS] if len(group.numbers) > 1]
    if not looked_at:
        return Finding(check, "not run", "no frame has two atoms")
    wrong: list[tuple[Group, int, str, str]] = []
    for group in looked_at:
        wrong += [(group, *found) for found in _wrong(group.thinned(_FRAMES))]
    if not wrong:
        return Finding(check, "ok", "bonds are as long as those of the elements they join", 0.0)
    verdict = "defect" if any(grade == "defect" for *_, grade in wrong) else "suspect"
    grave = [found for found in wrong if found[3] == verdict]
    frames = {int(frame) for group, *_ in grave for frame in group.index}
    share = len(frames) / len(subject.frames)
    where = f" ({len(frames):,} frames, first frame {min(frames)})" if share < 1 else ""
    texts = dict.fromkeys(f"{group.molecule}: {text}" for group, _, text, _ in grave)
    text = f"{'; '.join(list(texts)[:3])}{where}"
    atoms = tuple(sorted({atom for group, atom, *_ in grave if group is grave[0][0]}))
    advice = "are the elements of these atoms right, and their order?"
    if verdict == "suspect":
        advice = (
            "an ion whose charge is not said? import with --charge; else are the elements right?"
        )
    concerned = tuple(sorted(frames)) if share < 1 else ()
    return Finding(check, verdict, text, share, "", concerned, atoms, advice)


def _wrong(group: Group) -> list[tuple[int, str, str]]:
    """Atoms, what is wrong with them, and how surely."""
    bonded, _ = group.bonds
    if not len(bonded):
        return []
    numbers, found = group.numbers, list[tuple[int, str, str]]()
    length = distances(group.positions, *bonded.T)
    usual = np.median(length, axis=0)
    order = np.bincount(bonded.ravel(), minlength=len(numbers))
    for atom in np.flatnonzero(np.isin(numbers, list(LENGTHS))).tolist():
        bond = _to_hydrogen(group, bonded, length, atom)
        other = None if bond is None else _other_element(int(numbers[atom]), bond)
        if bond is not None and other is not None:
            own, name = chemical_symbols[numbers[atom]], chemical_symbols[other]
            text = (
                f"atom {atom} is labelled {own}, but its bond to hydrogen is {bond:.3f} angstrom "
                f"long, as those of {name} are ({LENGTHS[other]:g}; {own}: "
                f"{LENGTHS[int(numbers[atom])]:g})"
            )
            found.append((atom, text, "defect"))
    known = {atom for atom, *_ in found}
    # What has given its electron to an oxygen or a boron of the same molecule is no ion.
    inner = ((numbers == 5) | ((numbers == 8) & (order == 1))).any() or group.charge > 0
    for atom in range(len(numbers)):
        if (
            atom not in known
            and order[atom] > _NEIGHBOURS.get(int(numbers[atom]), 99)
            and not inner
        ):
            text = f"atom {atom} ({chemical_symbols[numbers[atom]]}) has {order[atom]} neighbours"
            found.append((atom, text, "suspect"))
    if len(group) < _FEWEST:
        return found
    short = usual / contact(numbers, *bonded.T)
    main_group = (numbers[bonded] <= 18).all(axis=1)
    for i, j in bonded[(short < _SHORT) & main_group].tolist():
        names = f"{chemical_symbols[numbers[i]]} and {chemical_symbols[numbers[j]]}"
        text = f"atoms {i} and {j} ({names}) are closer than any bond of them"
        found.append((i, text, "defect"))
    return found


def _to_hydrogen(group: Group, bonded: IntArray, length: FloatArray, atom: int) -> float | None:
    """The mean length of an atom's bonds to hydrogens without another bond, where it is sure."""
    numbers, hetero = group.numbers, np.isin(group.numbers, list(HETERO))
    lengths = []
    for bond in np.flatnonzero((bonded == atom).any(axis=1)).tolist():
        light = int(bonded[bond].sum()) - atom
        if numbers[light] != 1 or (bonded == light).sum() > 1:
            continue
        away = np.flatnonzero(hetero & (np.arange(len(numbers)) != atom))
        if len(away) and hetero[atom]:
            near = distances(group.positions, np.full(len(away), light), away)
            if np.median(near.min(axis=1)) < _ALONE:
                continue
        lengths.append(length[:, bond])
    if not lengths or len(numbers) == 2:
        return None
    each = np.mean(lengths, axis=0)
    sure = len(each) >= _FEWEST and each.std() / np.sqrt(len(each)) < _SURE
    return float(np.median(each)) if sure else None


def _other_element(number: int, length: float) -> int | None:
    """The element of the same row whose bonds to hydrogen are so long, where this one's are not."""
    if abs(length - LENGTHS[number]) < _OFF:
        return None
    row = [z for z in _CANDIDATES if (z < 10) == (number < 10) and z != number]
    nearest = min(row, key=lambda z: abs(length - LENGTHS[z]))
    return nearest if abs(length - LENGTHS[nearest]) < _NEAR else None
