"""From a SMILES string to a starting geometry, its bonds and the torsions across a double bond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii

from deepset_bench.data.bias import Torsion
from deepset_bench.data.checks import BROKEN
from deepset_bench.data.frames import FloatArray, IntArray
from deepset_bench.errors import UserError, require

NEW_CONTACT = 1.2  # times the sum of covalent radii: below it two atoms count as bonded


@dataclass(frozen=True)
class Molecule:
    """A geometry made from SMILES; hydrogens follow the heavy atoms, in the order of the SMILES.

    Attributes:
        numbers: (A,) atomic numbers.
        positions: (A, 3) in angstrom.
        bonds: (B, 2) pairs of atoms.
        double_bonds: carbon-carbon double bonds outside rings.
        formula: sum formula, Hill order.
    """

    numbers: IntArray
    positions: FloatArray
    bonds: IntArray
    double_bonds: tuple[tuple[int, int], ...]
    formula: str

    @classmethod
    def from_smiles(cls, smiles: str, seed: int) -> Molecule:
        """Seeded distance-geometry embedding, relaxed with the MMFF94 force field (RDKit).

        Raises:
            UserError: RDKit is missing, or cannot read, embed or relax the molecule.
        """
        Chem = require("rdkit.Chem", "generate")
        AllChem = require("rdkit.Chem.AllChem", "generate")
        rdBase = require("rdkit.rdBase", "generate")
        descriptors = require("rdkit.Chem.rdMolDescriptors", "generate")
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(smiles)
            if molecule is None or not molecule.GetNumAtoms():
                raise UserError(f"{smiles!r} is not a SMILES string that RDKit can read")
            molecule = Chem.AddHs(molecule)
            if any(a.GetNumRadicalElectrons() or a.GetFormalCharge() for a in molecule.GetAtoms()):
                raise UserError(f"{smiles}: only neutral closed-shell molecules can be generated")
            embedded = AllChem.EmbedMolecule(molecule, randomSeed=seed) == 0
            if not embedded or AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000) != 0:
                raise UserError(f"{smiles}: RDKit found no geometry; check the SMILES")
        bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
        double = tuple(
            (b.GetBeginAtomIdx(), b.GetEndAtomIdx())
            for b in molecule.GetBonds()
            if b.GetBondType() == Chem.BondType.DOUBLE
            and not b.IsInRing()
            and b.GetBeginAtom().GetAtomicNum() == b.GetEndAtom().GetAtomicNum() == 6
        )
        return cls(
            numbers=np.array([a.GetAtomicNum() for a in molecule.GetAtoms()], dtype=np.int64),
            positions=molecule.GetConformer().GetPositions(),
            bonds=np.array(bonds, dtype=np.int64).reshape(-1, 2),
            double_bonds=double,
            formula=descriptors.CalcMolFormula(molecule),
        )

    def neighbours(self, atom: int, other: int) -> list[int]:
        """Atoms bonded to `atom` besides `other`: heaviest first, then in order."""
        bonded = {int(i) for pair in self.bonds for i in pair if atom in pair} - {atom, other}
        return sorted(bonded, key=lambda i: (-self.numbers[i], i))

    def torsions_across(self, chain: Torsion | None = None) -> tuple[Torsion, Torsion]:
        """The torsion of the chain across a double bond, and that of the other two substituents.

        Args:
            chain: i, j, k, l with j=k the double bond, counted from 0; by default the heaviest
                substituents of the only carbon-carbon double bond.

        Raises:
            UserError: there is no such bond, more than one and no `chain`, or `chain` is not one.
        """
        bonds = self.double_bonds
        if chain is None:
            if len(bonds) != 1:
                raise UserError(
                    f"{self.formula} has {len(bonds)} C=C bonds to rotate about; "
                    + ("name one with --torsion I-J-K-L" if bonds else "use --sampling md")
                )
            j, k = bonds[0]
        elif len(chain) == 4 and {tuple(chain[1:3]), tuple(chain[2:0:-1])} & set(bonds):
            j, k = chain[1], chain[2]
        else:
            raise UserError(f"{chain} is not a torsion across a C=C bond; these are: {bonds}")
        left, right = self.neighbours(j, k), self.neighbours(k, j)
        if len(left) != 2 or len(right) != 2:
            raise UserError(f"the C=C bond {j}={k} does not have two substituents at either end")
        if chain is not None:
            if chain[0] not in left or chain[3] not in right:
                raise UserError(f"{chain} is not a torsion: bonded to {j}={k} are {left}, {right}")
            left.sort(key=lambda i: i != chain[0])
            right.sort(key=lambda i: i != chain[3])
        return (left[0], j, k, right[0]), (left[1], j, k, right[1])

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
        ratio = np.linalg.norm(positions[:, None] - positions, axis=-1) / (radii[:, None] + radii)
        i, j = self.bonds.T
        ratio[i, j] = ratio[j, i] = np.inf
        np.fill_diagonal(ratio, np.inf)
        if ratio.min() < NEW_CONTACT:
            i, j = np.unravel_index(int(ratio.argmin()), ratio.shape)
            return f"atoms {i} and {j}, not bonded before, have come within bonding distance"
        return None
