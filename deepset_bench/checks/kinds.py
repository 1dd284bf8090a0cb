"""Which molecules a set holds, by the bonds of its frames, and how many frames of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase.symbols import Symbols

from deepset_bench.checks.finding import Finding
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.alike import LARGEST
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import HETERO
from deepset_bench.molecules.graphs import from_bonds, graphs
from deepset_bench.molecules.names import name_of
from deepset_bench.molecules.one_molecule import Group

_MINOR, _MANY = 0.2, 5  # of the frames; more molecules under one name are no mistake


@dataclass(frozen=True, eq=False)
class Kind:
    """One molecule under one name: g frames whose atoms are bonded alike.

    Attributes:
        molecule: what the set calls it.
        numbers: (n,) atomic numbers.
        geometry: (n, 3) one of its geometries, in angstrom.
        bonds: (b, 2) pairs of atoms.
        key: of its graph; empty where bonds cannot be told.
        index: (g,) its frames' numbers in the source, from 0.
        charge, spin: as the frames say.
        group: the group that most of its frames are from.
    """

    molecule: str
    numbers: IntArray
    geometry: FloatArray
    bonds: IntArray
    key: bytes
    index: IntArray
    charge: int
    spin: int
    group: Group

    @property
    def formula(self) -> str:
        """Hill's sum formula with the charge: C2H3O2-."""
        return formula_of(self.numbers, self.charge)

    @property
    def parts(self) -> set[bytes]:
        """Keys of the molecules that a frame holds: of both of a dimer."""
        return {part for part, _ in parts_of(self.numbers, self.bonds)}

    @property
    def name(self) -> str:
        """Its name, where it has one that is known here, else the formula."""
        return name_of(self.numbers, self.key, self.charge) or self.formula


def formula_of(numbers: IntArray, charge: int = 0) -> str:
    """Hill's sum formula with the charge."""
    sign = "" if not charge else f"{abs(charge) if abs(charge) > 1 else ''}{'+-'[charge < 0]}"
    return f"{Symbols(numbers).get_chemical_formula()}{sign}"


def parts_of(numbers: IntArray, bonds: IntArray) -> list[tuple[bytes, IntArray]]:
    """Keys and atoms of the connected parts of a graph."""
    part = np.arange(len(numbers))
    for i, j in bonds.tolist():
        part[part == part[j]] = part[i]
    found = []
    for label in np.unique(part):
        atoms = np.flatnonzero(part == label)
        inside = np.searchsorted(atoms, bonds[np.isin(bonds[:, 0], atoms)])
        found.append((key_of(numbers[atoms], inside), atoms))
    return found


def key_of(numbers: IntArray, bonds: IntArray) -> bytes:
    """The key of one graph."""
    return from_bonds(numbers, np.zeros(len(numbers), dtype=np.int64), bonds).keys[0]


def skeleton(kind: Kind) -> bytes:
    """The key without the protons that heteroatoms hold: tautomers and proton transfers agree."""
    numbers, bonds = kind.numbers, kind.bonds
    hetero, hydrogen = np.isin(numbers, list(HETERO)), numbers == 1
    mobile = np.zeros(len(numbers), dtype=bool)
    for i, j in ((0, 1), (1, 0)):
        proton = hydrogen[bonds[:, i]] & hetero[bonds[:, j]]
        mobile[bonds[proton, i]] = True
    kept = np.flatnonzero(~mobile)
    rest = bonds[np.isin(bonds, kept).all(axis=1)]
    return key_of(numbers[kept], np.searchsorted(kept, rest))


def kinds(subject: Subject) -> list[Kind]:
    """The molecules of a set, those of most frames first.

    Frames that are torn apart are left out. Of molecules of over 200 atoms, and of single frames
    that leave open whether there is a bond, only the formula is known.
    """
    found: dict[tuple[str, bytes, bytes, int, int], Kind] = {}
    for group, key in zip(subject.groups, _keys(subject.groups), strict=True):
        for kind in _kinds_of(group, key):
            atoms = np.sort(kind.numbers).tobytes()
            same = (kind.molecule, atoms, kind.key, kind.charge, kind.spin)
            known = found.get(same)
            if known is not None:
                kind = replace(known, index=np.concatenate([known.index, kind.index]))
            found[same] = kind
    return sorted(found.values(), key=lambda kind: -len(kind.index))


def _keys(groups: list[Group]) -> list[bytes]:
    """The key of each group's bonds, all graphs of one size at a time; empty for large ones."""
    keys = [b""] * len(groups)
    sizes = np.array([len(group.numbers) for group in groups])
    for n in np.unique(sizes[sizes <= LARGEST]).tolist():
        rows = np.flatnonzero(sizes == n).tolist()
        numbers = np.concatenate([groups[row].numbers for row in rows])
        bonded = np.concatenate([groups[row].bonds[0] + k * n for k, row in enumerate(rows)])
        found = from_bonds(numbers, np.repeat(np.arange(len(rows)), n), bonded).keys
        for row, key in zip(rows, found, strict=True):
            keys[row] = key
    return keys


def _kinds_of(group: Group, known: bytes) -> list[Kind]:
    bonded, reference = group.bonds
    usual = Kind(
        group.molecule,
        group.numbers,
        reference,
        bonded,
        known,
        group.index,
        group.charge,
        group.spin,
        group,
    )
    if not known:
        return [usual]
    odd = ~np.isin(group.rows, group.whole.rows)
    if len(group) > 1 and not odd.any():
        return [usual]
    strange = group.select(odd) if len(group) > 1 else group
    seen = graphs(np.tile(group.numbers, (len(strange), 1)), strange.positions)
    other: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(seen.clear & (seen.pieces <= group.pieces)).tolist():
        other.setdefault(seen.keys[row], []).append(row)
    result = [replace(usual, index=group.whole.index)] if len(group) > 1 else []
    for key, rows in other.items():
        part = strange.select(np.array(rows))
        bonds_of, geometry = part.select(np.array([0])).bonds
        result.append(
            replace(usual, geometry=geometry, bonds=bonds_of, key=key, index=part.index, group=part)
        )
    if not result:
        result = [replace(usual, key=b"")]
    return [kind for kind in result if len(kind.index)]


def one_molecule(subject: Subject) -> Finding:
    """Whether frames of one name and formula are of one molecule.

    Protons that move between heteroatoms make no other molecule, and a set of many molecules under
    one name is one on purpose.
    """
    check = "one molecule"
    by_formula: dict[tuple[str, str], list[Kind]] = {}
    by_name: dict[str, int] = {}
    for kind in kinds(subject):
        if kind.key:
            by_formula.setdefault((kind.molecule, kind.formula), []).append(kind)
            by_name[kind.molecule] = by_name.get(kind.molecule, 0) + 1
    if not by_formula:
        return Finding(check, "not run", f"no bonds to compare, or over {LARGEST} atoms")
    texts, notes, frames, share = list[str](), list[str](), list[int](), 0.0
    for (molecule, _), alike in by_formula.items():
        usual, *others = alike
        if not others or by_name[molecule] > _MANY + 1:
            continue
        total = sum(len(kind.index) for kind in alike)
        moved = [kind for kind in others if skeleton(kind) == skeleton(usual)]
        others = [kind for kind in others if kind not in moved]
        if moved:
            notes.append(f"in {sum(len(k.index) for k in moved):,} frames a proton has moved")
        for kind in others:
            part = len(kind.index) / total
            text = (
                f"{molecule}: {part:.1%} of the frames ({len(kind.index):,}, first frame "
                f"{kind.index.min()}) are {_told_apart(kind, usual)}"
            )
            same_order = (kind.numbers == usual.numbers).all()
            if part < _MINOR or same_order:
                texts.append(text)
                frames += kind.index.tolist()
                share = max(share, part)
            else:
                notes.append(text)
    if not texts:
        many = sum(by_name.values())
        formulas = {formula for _, formula in by_formula}
        of = f"{len(formulas):,} formula{'s' * (len(formulas) > 1)}"
        text = f"{many:,} molecules of {of}" if many > 1 else "there is one"
        text = "; ".join([text, *notes[:3]])
        return Finding(check, "ok", text, 0.0)
    advice = "another molecule, or a reaction? give each molecule a set or a name of its own"
    where = tuple(sorted(frames))
    return Finding(check, "suspect", "; ".join(texts[:3]), share, "", where, (), advice)


def _told_apart(kind: Kind, usual: Kind) -> str:
    if kind.name != usual.name:
        return f"{kind.name}, the others {usual.name}"
    return f"another {kind.formula} than the others, bonded differently"


def one_charge(subject: Subject) -> Finding:
    """Whether frames of the same atoms are of one charge and multiplicity: no model is given them.

    A multiplicity that is not said is the lowest. An odd number of electrons without one is asked
    about: a charge that was left out, or an element that is wrong, makes it, too.
    """
    check = "charge and spin"
    states: dict[bytes, dict[tuple[int, int], list[Group]]] = {}
    odd: Group | None = None
    for group in subject.groups:
        electrons = int(group.numbers.sum()) - group.charge
        if electrons % 2 and not group.spin and len(group.numbers) > 1:  # an atom is what it is
            odd = odd or group
        state = group.charge, group.spin or 1 + electrons % 2
        same = states.setdefault(np.sort(group.numbers).tobytes(), {})
        same.setdefault(state, []).append(group)
    mixed = [same for same in states.values() if len(same) > 1]
    if not mixed and odd is None:
        return Finding(check, "ok", "no formula has several charges or multiplicities", 0.0)
    if not mixed and odd is not None:
        text = f"{odd.molecule}: {formula_of(odd.numbers, odd.charge)} has an odd number of "
        text += "electrons, and the frames do not say that it is a radical"
        advice = "import with --charge, or with --spin 2 for a radical; else is an element wrong?"
        return Finding(check, "suspect", text, advice=advice)
    texts, frames = [], list[int]()
    for same in mixed:
        counts = {state: sum(map(len, groups)) for state, groups in same.items()}
        usual = max(counts, key=lambda state: counts[state])
        frames += [i for s, gs in same.items() if s != usual for g in gs for i in g.index.tolist()]
        parts = [f"{n:,} of charge {q} and multiplicity {spin}" for (q, spin), n in counts.items()]
        texts.append(f"{formula_of(same[usual][0].numbers)}: {', '.join(parts)}")
    text = f"{'; '.join(texts[:3])}: a model sees elements and positions alone"
    advice = "keep one charge and one multiplicity of a molecule in a set"
    where = tuple(sorted(frames))
    share = len(frames) / len(subject.frames)
    return Finding(check, "defect", text, share, "", where, (), advice)
