"""Internal coordinates as a person names them: torsion:0-1-2-3, torsion:C=C, bond:0-1, angle:0-1-2.

Atoms are counted from 0, in the order of the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from deepset_bench.errors import UserError, nearest
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.geometry import distances
from deepset_bench.molecules.molecule import Molecule, are_in_line
from deepset_bench.molecules.topology import side

ATOMS = {"torsion": 4, "angle": 3, "bond": 2, "distance": 2}
"""Kind of coordinate -> how many atoms it is of."""


@dataclass(frozen=True)
class Coordinate:
    """A torsion, an angle, the length of a bond or any distance.

    Attributes:
        kind: of ATOMS.
        atoms: counted from 0.
    """

    kind: str
    atoms: tuple[int, ...]

    @property
    def words(self) -> str:
        """For people: `torsion 0-1-2-3`."""
        return f"{self.kind} {'-'.join(map(str, self.atoms))}"

    @property
    def unit(self) -> str:
        """`degrees` or `angstrom`."""
        return "degrees" if self.kind in ("torsion", "angle") else "angstrom"

    def __call__(self, positions: FloatArray) -> FloatArray:
        """(m, n, 3) positions in angstrom -> (m,); a torsion in (-180, 180] degrees."""
        if self.kind == "torsion":
            return np.array([np.degrees(torsion(frame, self.atoms)[0]) for frame in positions])
        if self.kind == "angle":
            i, j, k = self.atoms
            return angles(positions[:, i] - positions[:, j], positions[:, k] - positions[:, j])
        return distances(positions, *np.array(self.atoms)[:, None])[:, 0]


def angles(u: FloatArray, v: FloatArray) -> FloatArray:
    """(m,) degrees between (m, 3) vectors; exact near 0 and 180, where the arc cosine is not."""
    across = np.linalg.norm(np.cross(u, v), axis=1)
    found: FloatArray = np.degrees(np.arctan2(across, np.einsum("mx,mx->m", u, v)))
    return found


def check_name(text: str) -> None:
    """Refuse what no molecule could have, as `torsion:0-1-2` or `angel:0-1-2`.

    Raises:
        UserError: an unknown kind, or atoms that are too few, too many, or the same twice.
    """
    _split(text)


def named(text: str, molecule: Molecule) -> Coordinate:
    """The coordinate that a name stands for in a molecule.

    Args:
        text: `KIND:I-J...`; a torsion also by the bond that it is about, as in `torsion:1-2`;
            torsions and bonds also by elements, as in `torsion:C-O`, where only one bond is meant.
            Alone, `torsion` and `bond` are those of the C=C bond.
        molecule: with its bonds.

    Raises:
        UserError: the name is no coordinate of the molecule.
    """
    kind, atoms, elements = _split(text)
    if not atoms:
        atoms = _bond_of(text, kind, elements, molecule)
    n = len(molecule.numbers)
    if max(atoms) >= n:
        raise UserError(
            f"{text}: there is no atom {max(atoms)}; {molecule.formula} has atoms 0 to {n - 1}"
        )
    if kind == "torsion" and len(atoms) == 2:
        atoms = chain_about(molecule, (atoms[0], atoms[1]), text)
    return Coordinate(kind, atoms)


def turnable(molecule: Molecule) -> list[tuple[int, int]]:
    """Bonds outside rings with other atoms at both ends, in the order of `molecule.bonds`."""
    found = []
    for j, k in molecule.bonds.tolist():
        ends = molecule.neighbours(j, k), molecule.neighbours(k, j)
        if all(ends) and not in_ring(molecule, (j, k)) and _chain(molecule, j, k):
            found.append((j, k))
    return found


def in_ring(molecule: Molecule, bond: tuple[int, int]) -> bool:
    """Whether both ends of a bond are still connected when it is cut."""
    return bool(side(molecule.bonds, len(molecule.numbers), bond)[bond[0]])


def is_bonded(molecule: Molecule, i: int, j: int) -> bool:
    """Whether there is a bond between two atoms."""
    return [i, j] in molecule.bonds.tolist() or [j, i] in molecule.bonds.tolist()


def chain_about(molecule: Molecule, bond: tuple[int, int], text: str) -> tuple[int, int, int, int]:
    """The torsion about a bond: of the heaviest atoms at either end, the first of several.

    Raises:
        UserError: there is no such bond, or no torsion about it.
    """
    j, k = bond
    if not is_bonded(molecule, j, k):
        raise UserError(f"{text}: atoms {j} and {k} of {molecule.formula} are not bonded")
    for end, other in ((j, k), (k, j)):
        if not molecule.neighbours(end, other):
            raise UserError(f"{text}: atom {end} ends the molecule; no torsion is about this bond")
    found = _chain(molecule, j, k)
    if found is None:
        raise UserError(f"{text}: three of its atoms are in a line; no torsion is about this bond")
    return found


def _chain(molecule: Molecule, j: int, k: int) -> tuple[int, int, int, int] | None:
    left = [i for i in molecule.neighbours(j, k) if not are_in_line(molecule.positions, i, j, k)]
    right = [i for i in molecule.neighbours(k, j) if not are_in_line(molecule.positions, j, k, i)]
    return (left[0], j, k, right[0]) if left and right else None


def _split(text: str) -> tuple[str, tuple[int, ...], str]:
    """Kind, atoms, and elements where they stand instead of atoms."""
    kind, _, which = text.partition(":")
    if kind not in ATOMS:
        raise UserError(f"unknown coordinate {text!r}; {nearest(kind, ATOMS)}")
    by_bond = kind in ("torsion", "bond")
    if by_bond and (not which or re.fullmatch(r"[A-Z][a-z]?[-=][A-Z][a-z]?", which)):
        return kind, (), which or "C=C"
    needed = {ATOMS[kind], 2} if kind == "torsion" else {ATOMS[kind]}
    if not re.fullmatch(r"\d+(-\d+)+", which) or which.count("-") + 1 not in needed:
        example = f"{kind}:{'-'.join(map(str, range(ATOMS[kind])))}"
        raise UserError(f"{text}: give {ATOMS[kind]} atoms, counted from 0, as in {example}")
    atoms = tuple(int(word) for word in which.split("-"))
    if len(set(atoms)) < len(atoms):
        twice = next(atom for atom in atoms if atoms.count(atom) > 1)
        raise UserError(f"{text}: names atom {twice} twice")
    return kind, atoms, ""


def _bond_of(text: str, kind: str, elements: str, molecule: Molecule) -> tuple[int, ...]:
    """The only bond between two elements."""
    if elements == "C=C":
        found = list(molecule.double_bonds)
        what = "C=C bond outside rings"
    else:
        wanted = sorted(re.split("[-=]", elements))
        if "=" in elements or not set(wanted) <= set(chemical_symbols):
            raise UserError(f"{text}: name a bond by its atoms, as in {kind}:0-1, C=C, or C-O")
        found = [
            (j, k)
            for j, k in (turnable(molecule) if kind == "torsion" else molecule.bonds.tolist())
            if sorted(chemical_symbols[molecule.numbers[atom]] for atom in (j, k)) == wanted
        ]
        what = f"{elements} bond" + (" that could turn" if kind == "torsion" else "")
    if len(found) == 1:
        return found[0]
    if found:
        each = ", ".join(f"{kind}:{j}-{k}" for j, k in found)
        raise UserError(f"{text}: {molecule.formula} has {len(found)} of them; name one: {each}")
    others = ", ".join(f"{kind}:{j}-{k}" for j, k in turnable(molecule)[:4])
    hint = f"; name another: {others}" if others else ""
    raise UserError(f"{text} needs a {what}; {molecule.formula} has none{hint}")
