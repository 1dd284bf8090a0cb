"""Molecules read off geometries: bonds, double bonds, and what surrounds each atom."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols
from ase.symbols import Symbols
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from deepset_bench.errors import UserError
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.geometry import bonds
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.one_molecule import groups


def molecule_of(
    numbers: IntArray, positions: FloatArray, charge: int = 0, spin: int = 0
) -> Molecule:
    """The molecule of a geometry, (n,) and (n, 3) in angstrom; charge and spin as in `Frames`.

    The double bond is the shortest of the carbon-carbon bonds whose ends have three neighbours each
    and which are in no ring; there may be none.
    """
    pairs, _ = bonds(numbers, positions[None])
    order = np.bincount(pairs.ravel(), minlength=len(numbers))
    lengths = {
        (int(j), int(k)): float(np.linalg.norm(positions[j] - positions[k]))
        for j, k in pairs
        if numbers[j] == numbers[k] == 6 and order[j] == order[k] == 3
    }
    lengths = {b: d for b, d in lengths.items() if not side(pairs, len(numbers), b)[b[0]]}
    double = (min(lengths, key=lambda bond: lengths[bond]),) if lengths else ()
    formula = Symbols(numbers).get_chemical_formula()
    return Molecule(numbers, positions, pairs, double, formula, charge, spin)


def side(pairs: IntArray, n_atoms: int, bond: tuple[int, int]) -> NDArray[np.bool_]:
    """(n,) the atoms that stay with bond[1] when the bond is cut; bond[0] too if in a ring."""
    cut = {tuple(sorted(bond))}
    kept = np.array([pair for pair in pairs if tuple(sorted(pair)) not in cut]).reshape(-1, 2)
    graph = coo_array((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), shape=(n_atoms, n_atoms))
    _, label = connected_components(graph, directed=False)
    return np.asarray(label == label[bond[1]])


def double_bond_torsions(frames: Frames) -> FloatArray:
    """(M,) size of the chain's torsion across C=C in degrees: 0 is cis, 180 is trans.

    Raises:
        UserError: a molecule without a C=C bond outside rings, or a periodic frame.
    """
    frames.check_open("torsions are")
    angles = np.empty(len(frames))
    for group in groups(frames):
        molecule = molecule_of(group.numbers, group.positions[int(np.argmin(group.energy))])
        if not molecule.double_bonds:
            raise UserError(f"{group.molecule} has no C=C bond outside rings: it has no torsion")
        chain, _ = molecule.torsions_across()
        angles[group.rows] = [abs(np.degrees(torsion(p, chain)[0])) for p in group.positions]
    return angles


def environments(frames: Frames) -> NDArray[np.str_]:
    """(A,) the first shell of each atom: C4(C3,H1,H1,H1) is a methyl carbon on a C=C bond.

    An atom and what is bonded to it, each with the number of its bonds in the molecule (the
    geometry of its frames with the fewest fragments), so that an allylic carbon is not a vinylic.

    Raises:
        UserError: a frame is periodic.
    """
    frames.check_open(
        "a task scores atoms by what they are bonded to, which is read off geometries"
    )
    found = np.empty(len(frames.numbers), dtype=object)
    for group in groups(frames):
        pairs, _ = group.bonds
        order = np.bincount(pairs.ravel(), minlength=len(group.numbers))
        kind = [f"{chemical_symbols[z]}{n}" for z, n in zip(group.numbers, order, strict=True)]
        shells: list[list[str]] = [[] for _ in kind]
        for i, j in pairs:
            shells[i].append(kind[j])
            shells[j].append(kind[i])
        names = [f"{k}({','.join(sorted(s))})" for k, s in zip(kind, shells, strict=True)]
        found[group.atoms] = np.array(names, dtype=object)
    return found.astype(np.str_)
