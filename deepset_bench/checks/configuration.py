"""Whether double bonds are cis or trans as they are said to be, or as most frames have them."""

from __future__ import annotations

import re

import numpy as np

from deepset_bench.checks.finding import Finding
from deepset_bench.checks.identity import given
from deepset_bench.checks.kinds import key_of
from deepset_bench.checks.subject import FEW, Subject
from deepset_bench.errors import UserError
from deepset_bench.molecules.alike import LARGEST
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import distances
from deepset_bench.molecules.graphs import from_bonds
from deepset_bench.molecules.one_molecule import Group
from deepset_bench.molecules.smiles import Formula, read_smiles

Chain = tuple[int, int, int, int]
_DOUBLE = 1.42  # angstrom: longer bonds of C and N outside rings are single
_CIS, _TRANS = 60.0, 120.0  # degrees
_MINOR = 0.2  # of the frames
_WORD = re.compile(r"(?<![a-z])(cis|trans)(?![a-z])|\((e|z)\)")


def configuration(subject: Subject) -> Finding:
    """The sides of double bonds against a SMILES string or the words cis and trans, else the rest.

    Where frames are on the way from one side to the other both are sampled, and nothing is wrong.
    """
    check = "cis and trans"
    notes, frames, share, said = list[str](), list[int](), 0.0, False
    for group in subject.groups:
        if len(group.numbers) > LARGEST or (expected := _expected(subject, group)) is None:
            continue
        for chain, trans in expected.items():
            angle = torsions(group.whole.positions, chain)
            if not len(angle) or ((angle > _CIS) & (angle < _TRANS)).any():
                notes.append(f"{group.molecule}: the double bond {_name(chain)} turns")
                continue
            most = float((angle > 90).mean()) > 0.5
            wrong = (angle > 90) != (most if trans is None else trans)
            part = float(wrong.mean())
            if not wrong.any() or (trans is None and (part > _MINOR or len(group) < FEW)):
                notes.append(f"{group.molecule}: {_name(chain)} is {_share(angle)}")
                continue
            index = group.whole.index[wrong]
            notes.insert(
                0,
                f"{group.molecule}: {part:.1%} of the frames (first frame {index.min()}) are "
                f"{'cis' if (most if trans is None else trans) else 'trans'} at {_name(chain)}, "
                f"{'as the others are not' if trans is None else 'not as it is said'}",
            )
            said = said or trans is not None
            frames, share = frames + index.tolist(), max(share, part)
    if not notes:
        return Finding(check, "not run", "no double bond with two sides")
    text = "; ".join(dict.fromkeys(notes[:3]))
    if not frames:
        return Finding(check, "ok", text, 0.0)
    advice = "another molecule: give it a set of its own, or correct what is said"
    where = tuple(sorted(set(frames)))
    return Finding(check, "defect" if said else "suspect", text, share, "", where, (), advice)


def torsions(positions: FloatArray, chain: Chain) -> FloatArray:
    """(m,) size of the dihedral angle of four atoms in degrees, of (m, n, 3) in angstrom."""
    first, second, third = np.diff(positions[:, chain], axis=1).swapaxes(0, 1)
    a, b = np.cross(first, second), np.cross(second, third)
    cosine = (a * b).sum(axis=1) / np.maximum(np.linalg.norm(a, axis=1), 1e-9)
    cosine /= np.maximum(np.linalg.norm(b, axis=1), 1e-9)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _expected(subject: Subject, group: Group) -> dict[Chain, bool | None] | None:
    """Chains across double bonds, and whether they are said to be trans; None: by the majority."""
    words = given(subject)
    if words is not None:
        try:
            formula = read_smiles(words)
        except UserError:  # a name
            formula = None
        if formula is not None and formula.trans:
            return _matched(formula, group) or None
    chains = _chains(group)
    found = {
        match[0].strip("()")
        for text in (words or "", group.molecule, subject.name)
        for match in _WORD.finditer(text.lower())
    }
    if len(chains) == 1 and len(found) == 1:
        return {chains[0]: found <= {"trans", "e"}}
    return dict.fromkeys(chains) or None


def _matched(formula: Formula, group: Group) -> dict[Chain, bool | None]:
    """What a SMILES string says, in the order of a group's atoms; nothing of another molecule.

    Where the molecule is symmetric, so that its double bonds can be exchanged, they are matched by
    their sides.
    """
    bonded = group.bonds[0]
    if key_of(group.numbers, bonded) != formula.key:
        return {}
    place = _places(formula.numbers, formula.bonds, group.numbers, bonded)
    seen = [
        chain
        for chain in (_placed(chain, place) for chain in formula.trans)
        if np.median(torsions(group.positions, chain)) > 90
    ]
    said = [chain for chain, trans in formula.trans.items() if trans]
    ours, theirs = _marked(group.numbers, seen), _marked(formula.numbers, said)
    if key_of(ours, bonded) == key_of(theirs, formula.bonds):
        place = _places(theirs, formula.bonds, ours, bonded)
    return {_placed(chain, place): trans for chain, trans in formula.trans.items()}


def _places(
    theirs: IntArray, their_bonds: IntArray, ours: IntArray, our_bonds: IntArray
) -> dict[int, int]:
    """Atoms of one graph to those of an equal one."""
    orders = [
        from_bonds(numbers, np.zeros(len(numbers), dtype=np.int64), bonds).order[0].tolist()
        for numbers, bonds in ((theirs, their_bonds), (ours, our_bonds))
    ]
    return dict(zip(*orders, strict=True))


def _placed(chain: Chain, place: dict[int, int]) -> Chain:
    first, j, k, last = chain
    return place[first], place[j], place[k], place[last]


def _marked(numbers: IntArray, chains: list[Chain]) -> IntArray:
    """Atomic numbers by which the atoms of some double bonds are told from the others."""
    marked = numbers.copy()
    for chain in chains:
        marked[list(chain[1:3])] += 200
    return marked


def _chains(group: Group) -> list[Chain]:
    """One chain for each double bond with two sides, between its atoms other than hydrogen.

    Of C=C, C=N and N=N outside rings; a carbon atom has one hydrogen and one other neighbour
    besides, nitrogen one neighbour. With more, cis and trans say too little.
    """
    bonded, reference = group.bonds
    near: dict[int, list[int]] = {atom: [] for atom in range(len(group.numbers))}
    for i, j in bonded.tolist():
        near[i].append(j)
        near[j].append(i)
    length = distances(reference[None], *bonded.T)[0]
    found = []
    for j, k in bonded[length < _DOUBLE].tolist():
        ends = [_end(group.numbers, near, *pair) for pair in ((j, k), (k, j))]
        if ends[0] is not None and ends[1] is not None and not _in_ring(near, j, k):
            found.append((ends[0], j, k, ends[1]))
    return found


def _end(numbers: IntArray, near: dict[int, list[int]], atom: int, other: int) -> int | None:
    """The one neighbour that counts of an atom of a double bond; None where there is not one."""
    rest = [a for a in near[atom] if a != other]
    heavy = [a for a in rest if numbers[a] > 1]
    usual = {6: 2, 7: 1}.get(int(numbers[atom]))
    return heavy[0] if len(rest) == usual and len(heavy) == 1 else None


def _in_ring(near: dict[int, list[int]], j: int, k: int) -> bool:
    """Whether one end of a bond is reached from the other without it."""
    seen, front = {j}, [a for a in near[j] if a != k]
    while front:
        atom = front.pop()
        if atom not in seen:
            seen.add(atom)
            front += near[atom]
    return k in seen


def _name(chain: Chain) -> str:
    return "-".join(map(str, chain))


def _share(angle: FloatArray) -> str:
    trans = float((angle > 90).mean())
    return "trans" if trans == 1 else "cis" if trans == 0 else f"trans in {trans:.0%} of the frames"
