"""Atoms and bonds of a SMILES string, without RDKit: as much as names and geometries can tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import IntArray
from deepset_bench.molecules.graphs import from_bonds

_TOKEN = re.compile(
    r"(?P<atom>Cl|Br|[BCNOPSFI]|[bcnops]|\*)|\[(?P<bracket>[^\]]*)\]|(?P<bond>[-=#$:/\\~])"
    r"|(?P<ring>%\d\d|\d)|(?P<open>\()|(?P<close>\))|(?P<dot>\.)"
)
_BRACKET = re.compile(
    r"(?P<isotope>\d*)(?P<symbol>[A-Z][a-z]?|[a-z][a-z]?)@{0,2}(?P<hydrogens>H\d*)?"
    r"(?P<charge>\++|-+|[+-]\d+)?(:\d+)?"
)
_VALENCES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("H", "Li", "F", "Na", "Cl", "K", "Br", "I"), (1,)),
    **{"Be": (2,), "B": (3,), "C": (4,), "N": (3, 5), "O": (2,), "Mg": (2,), "Al": (3,)},
    **{"Si": (4,), "P": (3, 5), "S": (2, 4, 6), "Ge": (4,), "Se": (2, 4, 6)},
}
_ORDERS = {"=": 2, "#": 3, "$": 4}


@dataclass(frozen=True, eq=False)
class Formula:
    """What a SMILES string says of a molecule.

    Attributes:
        numbers: (n,) atomic numbers, every hydrogen among them.
        bonds: (b, 2) pairs of atoms.
        charge: total, in units of e.
        spin: multiplicity 2S + 1 of its radical electrons, all parallel.
        trans: chains i, j, k, l across a double bond j=k whose sides are told by / and \\, and
            whether i and l are on opposite ones.
    """

    numbers: IntArray
    bonds: IntArray
    charge: int
    spin: int
    trans: dict[tuple[int, int, int, int], bool]

    @cached_property
    def key(self) -> bytes:
        """Of the graph, as `graphs.Graphs` has it."""
        frame = np.zeros(len(self.numbers), dtype=np.int64)
        return from_bonds(self.numbers, frame, self.bonds).keys[0]


@dataclass
class _Bond:
    i: int
    j: int
    order: int
    side: int = 0  # +1 for /, which has j above i, -1 for \\


@dataclass
class _Atom:
    symbol: str
    aromatic: bool
    charge: int = 0
    hydrogens: int | None = None  # as a bracket says; None: as many as the valence leaves room for
    orders: int = 0  # of its bonds, aromatic ones counted as single


def read_smiles(smiles: str) -> Formula:
    """Read it (Weininger, J. Chem. Inf. Comput. Sci. 1988, 28, 31); chirality is left out.

    Raises:
        UserError: it is no SMILES string.
    """
    atoms, written = _parsed(smiles)
    bonds = [(bond.i, bond.j) for bond in written]
    numbers = [atomic_numbers[atom.symbol] for atom in atoms]
    for row, atom in enumerate(atoms):
        for _ in range(_hydrogens(atom)):
            bonds.append((row, len(numbers)))
            numbers.append(1)
    array, pairs = np.array(numbers), np.array(bonds, dtype=np.int64).reshape(-1, 2)
    unpaired = sum(map(_unpaired, atoms))
    return Formula(array, pairs, sum(atom.charge for atom in atoms), unpaired + 1, _sides(written))


def _parsed(smiles: str) -> tuple[list[_Atom], list[_Bond]]:
    atoms: list[_Atom] = []
    bonds: list[_Bond] = []
    branches: list[int | None] = []
    rings: dict[str, tuple[int, int]] = {}
    last: int | None = None
    order, side, place = 1, 0, 0

    def join(i: int, j: int, order: int, side: int = 0) -> None:
        bonds.append(_Bond(i, j, order, side))
        atoms[i].orders += order
        atoms[j].orders += order

    while place < len(smiles):
        found = _TOKEN.match(smiles, place)
        if found is None:
            raise _unreadable(smiles)
        place = found.end()
        if found["atom"] or found["bracket"] is not None:
            atoms.append(_atom(found["atom"], found["bracket"], smiles))
            if last is not None:
                join(last, len(atoms) - 1, order, side)
            last, order, side = len(atoms) - 1, 1, 0
        elif last is None:
            raise _unreadable(smiles)
        elif found["bond"]:
            order = _ORDERS.get(found["bond"], 1)
            side = {"/": 1, "\\": -1}.get(found["bond"], 0)
        elif found["ring"]:
            label = found["ring"].lstrip("%").lstrip("0") or "0"
            if label in rings:
                other, first_order = rings.pop(label)
                join(other, last, max(order, first_order))
            else:
                rings[label] = last, order
            order, side = 1, 0
        elif found["open"]:
            branches.append(last)
        elif found["close"]:
            if not branches:
                raise _unreadable(smiles)
            last = branches.pop()
        else:  # a dot
            last, order, side = None, 1, 0
    if not atoms or branches or rings:
        raise _unreadable(smiles)
    return atoms, bonds


def _sides(bonds: list[_Bond]) -> dict[tuple[int, int, int, int], bool]:
    """Chains i, j, k, l across double bonds, and whether i and l are on opposite sides."""
    near: dict[int, tuple[int, int]] = {}
    for bond in bonds:
        if bond.side:
            near.setdefault(bond.i, (bond.j, bond.side))
            near.setdefault(bond.j, (bond.i, -bond.side))
    found = {}
    for bond in bonds:
        if bond.order == 2 and bond.i in near and bond.j in near:
            (first, above), (last, also) = near[bond.i], near[bond.j]
            found[first, bond.i, bond.j, last] = above != also
    return found


def _atom(plain: str | None, bracket: str | None, smiles: str) -> _Atom:
    if plain == "*":
        raise _unreadable(smiles)
    if plain:
        return _Atom(plain.capitalize(), plain.islower())
    found = _BRACKET.fullmatch(bracket or "")
    if found is None or found["symbol"].capitalize() not in atomic_numbers:
        raise _unreadable(smiles)
    charge = found["charge"] or ""
    size = int(charge[1:]) if charge[1:].isdigit() else len(charge)
    hydrogens = found["hydrogens"]
    return _Atom(
        found["symbol"].capitalize(),
        found["symbol"].islower(),
        -size if charge.startswith("-") else size,
        int(hydrogens[1:] or 1) if hydrogens else 0,
    )


def _hydrogens(atom: _Atom) -> int:
    """What the valence leaves to the bonds of an atom without a bracket."""
    return _room(atom, atom.symbol) if atom.hydrogens is None else atom.hydrogens


def _unpaired(atom: _Atom) -> int:
    """Electrons that a bracket leaves without a bond: [CH3] has one.

    An ion has the valence of the element with as many electrons.
    """
    if atom.hydrogens is None:
        return 0
    alike = chemical_symbols[max(0, atomic_numbers[atom.symbol] - atom.charge)]
    return max(0, _room(atom, alike) - atom.hydrogens) if alike in _VALENCES else 0


def _room(atom: _Atom, alike: str) -> int:
    """What the lowest valence that holds its bonds leaves; an aromatic ring takes one."""
    valences = _VALENCES[alike]
    taken = atom.orders + atom.aromatic
    if atom.aromatic:
        return max(0, valences[0] - taken)
    used = taken + (atom.hydrogens or 0)
    return next((valence - taken for valence in valences if valence >= used), 0)


def _unreadable(smiles: str) -> UserError:
    return UserError(f"{smiles!r} is neither a SMILES string nor a known name")
