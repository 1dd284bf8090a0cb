"""Paths through the space of geometries along which energies are examined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from deepset_bench.errors import UserError
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.topology import molecule_of, side

CONTACT = 2.0
"""Angstrom between the closest atoms of two molecules where the pair scan starts."""


@dataclass(frozen=True)
class Path:
    """Geometries by one coordinate t.

    Attributes:
        title: how the path is defined.
        unit: of t, `degrees` or `angstrom`.
        numbers: (n,) atomic numbers.
        grid: (T,) equally spaced values of t, ascending.
        from_end: whether energies are told relative to the last geometry, not to the lowest.
        build: (B,) values of t -> (B, n, 3) positions in angstrom.
    """

    title: str
    unit: str
    numbers: IntArray
    grid: FloatArray
    build: Callable[[FloatArray], FloatArray]
    from_end: bool = False

    def slope(self, t: FloatArray, forces: FloatArray) -> FloatArray:
        """(B,) dE/dt from (B, 3n) forces in eV/angstrom: the projection on the path."""
        h = 1e-4  # paths are straight or circular: an error of 1e-9 or less
        tangent = (self.build(t + h) - self.build(t - h)).reshape(len(t), -1) / (2 * h)
        return -(forces * tangent).sum(axis=1)

    def frames(self, t: FloatArray) -> Frames:
        """Unlabelled geometries at (B,) values of t."""
        return Frames.unlabelled(self.title, self.numbers, self.build(t))


def starting_molecule(frames: Frames) -> Molecule:
    """The first molecule of a set, in its geometry of lowest energy."""
    own = np.flatnonzero(frames.molecule == frames.molecule[0])
    lowest = int(own[np.argmin(frames.energy[own])])
    atoms = frames.atoms_of(lowest)
    return molecule_of(frames.numbers[atoms], frames.positions[atoms])


def torsion_path(molecule: Molecule) -> Path:
    """Rotation about the double bond from 0 to 180 degrees of the chain's torsion.

    Everything on one side of the bond turns as a rigid body, so that the hydrogens follow.
    """
    chain, _ = molecule.torsions_across()
    _, j, k, _ = chain
    moving = side(molecule.bonds, len(molecule.numbers), (j, k))
    start = molecule.positions
    axis = (start[k] - start[j]) / np.linalg.norm(start[k] - start[j])
    first = np.degrees(torsion(start, chain)[0])

    def build(t: FloatArray) -> FloatArray:
        turned = np.repeat(start[None], len(t), axis=0)
        turned[:, moving] = start[j] + _rotated(start[moving] - start[j], axis, t - first)
        return turned

    name = "-".join(map(str, chain))
    title = f"torsion {name} about C=C, 0 to 180 degrees, rigid on either side of the bond"
    return Path(title, "degrees", molecule.numbers, np.linspace(0.0, 180.0, 1801), build)


def bond_path(molecule: Molecule) -> Path:
    """The double bond from 1.15 to 1.95 angstrom, rigid on either side."""
    _, j, k, _ = molecule.torsions_across()[0]
    moving = side(molecule.bonds, len(molecule.numbers), (j, k))
    start = molecule.positions
    length = float(np.linalg.norm(start[k] - start[j]))
    axis = (start[k] - start[j]) / length

    def build(t: FloatArray) -> FloatArray:
        stretched = np.repeat(start[None], len(t), axis=0)
        stretched[:, moving] += (t - length)[:, None, None] * axis
        return stretched

    title = f"bond {j}={k}, 1.15 to 1.95 angstrom, rigid on either side of the bond"
    return Path(title, "angstrom", molecule.numbers, np.linspace(1.15, 1.95, 801), build)


def pair_path(molecule: Molecule, cutoff: float) -> Path:
    """Two molecules moved apart until no atom of one is within the cutoff of the other.

    Along the direction in which the molecule is thinnest; the second one is turned about it by 90
    degrees, so that pairs of atoms cross the cutoff one after another.
    """
    one = molecule.positions - molecule.positions.mean(axis=0)
    direction = np.linalg.svd(one)[2][-1]
    other = _rotated(one, direction, np.array([90.0]))[0]

    def build(t: FloatArray) -> FloatArray:
        apart = other + t[:, None, None] * direction
        return np.concatenate([np.repeat(one[None], len(t), axis=0), apart], axis=1)

    ladder = np.arange(0.0, cutoff + 40.0, 0.01)
    closest = np.array([cdist(one, other + t * direction).min() for t in ladder])
    start, stop = (ladder[closest < d][-1] + 0.01 for d in (CONTACT, cutoff + 0.25))
    title = (
        f"two {molecule.formula}, {start:.2f} to {stop:.2f} angstrom between their centres "
        f"(closest atoms {CONTACT:g} to {cutoff + 0.25:g})"
    )
    grid = np.linspace(start, stop, 1801)
    return Path(title, "angstrom", np.tile(molecule.numbers, 2), grid, build, from_end=True)


KINDS: dict[str, Callable[[Molecule, float], Path]] = {
    "torsion": lambda molecule, _: torsion_path(molecule),
    "bond": lambda molecule, _: bond_path(molecule),
    "pair": pair_path,
}


def path(kind: str, molecule: Molecule, cutoff: float) -> Path:
    """The path of that kind.

    Raises:
        UserError: the molecule has no such bond.
    """
    if kind != "pair" and not molecule.double_bonds:
        raise UserError(f"scan={kind} needs a C=C bond outside rings; {molecule.formula} has none")
    return KINDS[kind](molecule, cutoff)


def _rotated(vectors: FloatArray, axis: FloatArray, degrees: FloatArray) -> FloatArray:
    """(m, 3) vectors turned about a unit axis by (B,) angles -> (B, m, 3); Rodrigues."""
    angle = np.radians(degrees)[:, None, None]
    along = (vectors @ axis)[:, None] * axis
    across = np.cross(axis, vectors)
    return np.cos(angle) * (vectors - along) + np.sin(angle) * across + along
