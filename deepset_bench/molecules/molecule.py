"""From a SMILES string to a starting geometry, its bonds and the torsions across a double bond."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from ase.data import covalent_radii

from deepset_bench.errors import UserError
from deepset_bench.molecules.bias import Torsion
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import BROKEN, CLOSER, NEW_CONTACT
from deepset_bench.surroundings import require

IN_LINE = 0.2  # sine of an angle: a torsion through three atoms so nearly in a line is ill-defined


@dataclass(frozen=True)
class Molecule:
    """A geometry. Made from SMILES, its hydrogens follow the heavy atoms, in the SMILES' order.

    Attributes:
        numbers: (A,) atomic numbers.
        positions: (A, 3) in angstrom.
        bonds: (B, 2) pairs of atoms.
        double_bonds: carbon-carbon double bonds outside rings.
        formula: sum formula, Hill order.
        charge: total, in units of e.
        spin: multiplicity 2S + 1 of its radical electrons, all parallel; 0 where there are none, or
            it is not known.
    """

    numbers: IntArray
    positions: FloatArray
    bonds: IntArray
    double_bonds: tuple[tuple[int, int], ...]
    formula: str
    charge: int = 0
    spin: int = 0

    @classmethod
    def from_smiles(cls, smiles: str, seed: int) -> Molecule:
        """Seeded distance-geometry embedding, relaxed with MMFF94, or UFF for elements it lacks.

        Raises:
            UserError: RDKit is missing, or cannot read, embed or relax the molecule; or it holds an
                isotope, whose mass nothing here would know of.
        """
        Chem = require("rdkit.Chem", "generate")
        AllChem = require("rdkit.Chem.AllChem", "generate")
        rdBase = require("rdkit.rdBase", "generate")
        descriptors = require("rdkit.Chem.rdMolDescriptors", "generate")
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(smiles)
            if molecule is None or not molecule.GetNumAtoms():
                raise UserError(f"{smiles!r} is not a SMILES string that RDKit can read")
            if any(atom.GetIsotope() for atom in molecule.GetAtoms()):
                raise UserError(
                    f"{smiles}: isotopes are not simulated, every atom has the standard mass of "
                    "its element; leave their numbers out"
                )
            molecule = Chem.AddHs(molecule)
            if molecule.GetNumAtoms() < 2 or len(Chem.GetMolFrags(molecule)) > 1:
                raise UserError(f"{smiles}: it takes one molecule of two atoms or more")
            embedded = AllChem.EmbedMolecule(molecule, randomSeed=seed) == 0
            if not embedded or not _relax(AllChem, molecule):
                raise UserError(f"{smiles}: RDKit found no geometry; check the SMILES")
        bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
        double = tuple(
            (b.GetBeginAtomIdx(), b.GetEndAtomIdx())
            for b in molecule.GetBonds()
            if b.GetBondType() == Chem.BondType.DOUBLE
            and not b.IsInRing()
            and b.GetBeginAtom().GetAtomicNum() == b.GetEndAtom().GetAtomicNum() == 6
        )
        unpaired = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
        return cls(
            numbers=np.array([a.GetAtomicNum() for a in molecule.GetAtoms()], dtype=np.int64),
            positions=molecule.GetConformer().GetPositions(),
            bonds=np.array(bonds, dtype=np.int64).reshape(-1, 2),
            double_bonds=double,
            formula=descriptors.CalcMolFormula(molecule),
            charge=Chem.GetFormalCharge(molecule),
            spin=unpaired + 1 if unpaired else 0,
        )

    def neighbours(self, atom: int, other: int) -> list[int]:
        """Atoms bonded to `atom` besides `other`: heaviest first, then in order."""
        bonded = {int(i) for pair in self.bonds for i in pair if atom in pair} - {atom, other}
        return sorted(bonded, key=lambda i: (-self.numbers[i], i))

    def torsions_across(self, chain: Torsion | None = None) -> tuple[Torsion, Torsion | None]:
        """The torsion of a chain and, across a C=C bond, that of the other two substituents.

        Args:
            chain: i, j, k, l, counted from 0; by default the heaviest substituents of the only
                carbon-carbon double bond outside a ring.

        Raises:
            UserError: no `chain` and not one such bond, or `chain` is not a torsion.
        """
        if chain is None:
            if len(self.double_bonds) != 1:
                raise UserError(
                    f"{self.formula} has {len(self.double_bonds)} C=C bonds to rotate about; "
                    "name a torsion with --torsion I-J-K-L, or use --sampling md"
                )
            j, k = self.double_bonds[0]
        else:
            self._check_torsion(chain)
            j, k = chain[1:3]
            if not {(j, k), (k, j)} & set(self.double_bonds):
                return chain, None
        left, right = self.neighbours(j, k), self.neighbours(k, j)
        if len(left) != 2 or len(right) != 2:
            raise UserError(f"the C=C bond {j}={k} does not have two substituents at either end")
        if chain is not None:
            left.sort(key=lambda i: i != chain[0])
            right.sort(key=lambda i: i != chain[3])
        return (left[0], j, k, right[0]), (left[1], j, k, right[1])

    def _check_torsion(self, chain: Torsion) -> None:
        name = "-".join(map(str, chain))
        bonded = {frozenset(pair) for pair in self.bonds.tolist()}
        if len(set(chain)) != 4 or not {frozenset(pair) for pair in pairwise(chain)} <= bonded:
            raise UserError(
                f"{name} is not a torsion of {self.formula}: four atoms, each bonded to the next, "
                "counted from 0 in SMILES order, hydrogens last"
            )
        for i, j, k in (chain[:3], chain[1:]):
            if are_in_line(self.positions, i, j, k):
                raise UserError(f"{name} is not a torsion: {i}, {j} and {k} are in a line")

    def bond_stretch(self, positions: FloatArray, reference: FloatArray) -> FloatArray:
        """Bond lengths relative to those of a reference geometry.

        Args:
            positions: (M, A, 3) in angstrom.
            reference: (A, 3) in angstrom.

        Returns:
            (M, B) ratios.
        """
        i, j = self.bonds.T
        lengths = np.linalg.norm(positions[:, i] - positions[:, j], axis=-1)
        return lengths / np.linalg.norm(reference[i] - reference[j], axis=-1)

    def damage(self, positions: FloatArray, reference: FloatArray) -> str | None:
        """What is broken or newly bonded in a geometry (A, 3), or None for an intact molecule."""
        stretch = self.bond_stretch(positions[None], reference)[0]
        if len(stretch) and stretch.max() > BROKEN:
            i, j = self.bonds[int(stretch.argmax())]
            return f"bond {i}-{j} is {stretch.max():.2f} times its first length"
        radii = covalent_radii[self.numbers]
        bonding = NEW_CONTACT * (radii[:, None] + radii)
        # Across a small ring atoms are about as close from the start.
        near = np.minimum(bonding, CLOSER * _distances(reference))
        i, j = self.bonds.T
        near[i, j] = near[j, i] = 0.0
        touching = np.argwhere(_distances(positions) < near)
        if len(touching):
            i, j = touching[0]
            return f"atoms {i} and {j}, not bonded before, have come within bonding distance"
        return None


def are_in_line(positions: FloatArray, i: int, j: int, k: int) -> bool:
    """Whether three atoms of a geometry (n, 3) are, or nearly: then no plane is through them."""
    u, v = positions[[i, k]] - positions[j]
    return bool(np.linalg.norm(np.cross(u, v)) < IN_LINE * np.linalg.norm(u) * np.linalg.norm(v))


def _distances(positions: FloatArray) -> FloatArray:
    return np.linalg.norm(positions[:, None] - positions, axis=-1)


def _relax(AllChem: Any, molecule: Any) -> bool:
    """Bring an RDKit molecule to a minimum of its force field; whether that worked."""
    if AllChem.MMFFHasAllMoleculeParams(molecule):
        return AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000) == 0
    if AllChem.UFFHasAllMoleculeParams(molecule):
        return AllChem.UFFOptimizeMolecule(molecule, maxIters=2000) == 0
    return False
