"""Paths through the space of geometries along which energies are examined."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from deepset_bench.errors import UserError, nearest
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.internal import in_ring, is_bonded, named
from deepset_bench.molecules.molecule import Molecule, are_in_line
from deepset_bench.molecules.topology import molecule_of, side

CONTACT = 2.0
"""Angstrom between the closest atoms of two molecules where the pair scan starts."""
_OFF_CENTRE = 0.3
"""Angstrom from the centre of its molecule that an atom needs to face another."""


@dataclass(frozen=True)
class Path:
    """Geometries by one coordinate t.

    Attributes:
        title: how the path is defined.
        unit: of t, `degrees` or `angstrom`.
        numbers: (n,) atomic numbers.
        grid: (T,) equally spaced values of t, ascending.
        build: (B,) values of t -> (B, n, 3) positions in angstrom.
        charge, spin: of all atoms together, as `Frames` has them.
        from_end: whether energies are told relative to the last geometry, not to the lowest.
    """

    title: str
    unit: str
    numbers: IntArray
    grid: FloatArray
    build: Callable[[FloatArray], FloatArray]
    charge: int = 0
    spin: int = 0
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
    """The molecule of a set's first frame, in its geometry of lowest energy.

    One name may stand for several molecules: those of other atoms or another charge are left out.

    Raises:
        UserError: it is periodic.
    """
    frames.select([0]).check_open("scans are")
    composition = frames.composition(frames.species)
    own = np.flatnonzero(
        (frames.molecule == frames.molecule[0])
        & (frames.charge == frames.charge[0])
        & (frames.spin == frames.spin[0])
        & (composition == composition[0]).all(axis=1)
    )
    lowest = int(own[np.argmin(frames.energy[own])])
    atoms = frames.atoms_of(lowest)
    return molecule_of(
        frames.numbers[atoms],
        frames.positions[atoms],
        int(frames.charge[lowest]),
        int(frames.spin[lowest]),
    )


def torsion_path(molecule: Molecule, text: str = "torsion") -> Path:
    """Rotation about a bond; everything behind it turns as a rigid body, so hydrogens follow.

    About the C=C bond from 0 to 180 degrees of the chain's torsion, about any other once round.

    Args:
        molecule: in the geometry that the path starts from.
        text: which torsion, as `molecules.internal.named` takes it.

    Raises:
        UserError: there is none such, its atoms are no chain, or its bond is in a ring.
    """
    chain = named(text, molecule).atoms
    _, j, k, _ = chain
    moving = _behind(molecule, chain, (j, k), text)
    start = molecule.positions
    axis = (start[k] - start[j]) / np.linalg.norm(start[k] - start[j])
    first = np.degrees(torsion(start, chain)[0])

    def build(t: FloatArray) -> FloatArray:
        turned = np.repeat(start[None], len(t), axis=0)
        turned[:, moving] = start[j] + _rotated(start[moving] - start[j], axis, t - first)
        return turned

    usual = text in ("torsion", "torsion:C=C")
    low, high = (0.0, 180.0) if usual else (-180.0, 180.0)
    about = "C=C" if usual else f"the bond {j}-{k}"
    name = "-".join(map(str, chain))
    title = (
        f"torsion {name} about {about}, {low:g} to {high:g} degrees, rigid on either side of the "
        "bond"
    )
    grid = np.linspace(low, high, round((high - low) / 0.1) + 1)
    return Path(title, "degrees", molecule.numbers, grid, build, molecule.charge, molecule.spin)


def bond_path(molecule: Molecule, text: str = "bond") -> Path:
    """A bond stretched, rigid on either side: C=C from 1.15 to 1.95 angstrom.

    Any other from 0.85 to 1.45 times its length.

    Args:
        molecule: in the geometry that the path starts from.
        text: which bond, as `molecules.internal.named` takes it.

    Raises:
        UserError: there is none such, or it is in a ring.
    """
    j, k = named(text, molecule).atoms
    moving = _behind(molecule, (j, k), (j, k), text)
    start = molecule.positions
    length = float(np.linalg.norm(start[k] - start[j]))
    axis = (start[k] - start[j]) / length

    def build(t: FloatArray) -> FloatArray:
        stretched = np.repeat(start[None], len(t), axis=0)
        stretched[:, moving] += (t - length)[:, None, None] * axis
        return stretched

    usual = text in ("bond", "bond:C=C")
    low, high = (1.15, 1.95) if usual else (round(0.85 * length, 2), round(1.45 * length, 2))
    title = (
        f"bond {j}{'=' if usual else '-'}{k}, {low:.2f} to {high:.2f} angstrom, rigid on either "
        "side of the bond"
    )
    grid = np.linspace(low, high, round((high - low) / 0.001) + 1)
    return Path(title, "angstrom", molecule.numbers, grid, build, molecule.charge, molecule.spin)


def angle_path(molecule: Molecule, text: str) -> Path:
    """An angle i-j-k bent by up to 40 degrees either way; all that is behind j-k turns rigidly.

    Args:
        molecule: in the geometry that the path starts from.
        text: which angle, as `angle:0-1-2`.

    Raises:
        UserError: there is none such, its atoms are no chain or in a line, or j-k is in a ring.
    """
    chosen = named(text, molecule)
    i, j, k = chosen.atoms
    moving = _behind(molecule, chosen.atoms, (j, k), text)
    start = molecule.positions
    axis = np.cross(start[i] - start[j], start[k] - start[j])
    axis /= np.linalg.norm(axis)
    first = float(chosen(start[None])[0])

    def build(t: FloatArray) -> FloatArray:
        bent = np.repeat(start[None], len(t), axis=0)
        bent[:, moving] = start[j] + _rotated(start[moving] - start[j], axis, t - first)
        return bent

    low, high = max(round(first) - 40.0, 20.0), min(round(first) + 40.0, 179.0)
    title = (
        f"angle {i}-{j}-{k}, {low:g} to {high:g} degrees, rigid on either side of the bond {j}-{k}"
    )
    return Path(
        title, "degrees", molecule.numbers, np.linspace(low, high, round((high - low) / 0.1) + 1),
        build, molecule.charge, molecule.spin,
    )  # fmt: skip


def pair_path(molecule: Molecule, cutoff: float, text: str = "pair") -> Path:
    """Two molecules moved apart until no atom of one is within the cutoff of the other.

    `pair` alone: along the direction in which the molecule is thinnest; the second one is turned
    about it by 90 degrees, so that pairs of atoms cross the cutoff one after another. `pair:I-J`:
    atom I of one faces atom J of the other, on the line through both molecules' centres.

    Args:
        molecule: in the geometry that both have.
        cutoff: in angstrom.
        text: which atoms face each other.

    Raises:
        UserError: there are no such atoms, or one lies at the molecule's centre.
    """
    one = molecule.positions - molecule.positions.mean(axis=0)
    if text == "pair":
        direction = np.linalg.svd(one)[2][-1]
        other = _rotated(one, direction, np.array([90.0]))[0]
        which = ""
    else:
        i, j = _facing(text, molecule)
        direction = one[i] / np.linalg.norm(one[i])
        other = one @ _turn(one[j] / np.linalg.norm(one[j]), -direction).T
        which = f", atom {i} of one facing atom {j} of the other"

    def build(t: FloatArray) -> FloatArray:
        apart = other + t[:, None, None] * direction
        return np.concatenate([np.repeat(one[None], len(t), axis=0), apart], axis=1)

    apart = 2 * np.linalg.norm(one, axis=1).max() + cutoff + 1.0
    ladder = np.arange(0.0, apart, 0.01)
    closest = np.array([cdist(one, other + t * direction).min() for t in ladder])
    # Atoms far from their centre, as those of an argon dimer, need not touch at all.
    start, stop = (
        np.append(-0.01, ladder[closest < d])[-1] + 0.01 for d in (CONTACT, cutoff + 0.25)
    )
    first = max(CONTACT, round(float(closest[0]), 2))
    title = (
        f"two {molecule.formula}{which}, {start:.2f} to {stop:.2f} angstrom between their centres "
        f"(closest atoms {first:g} to {cutoff + 0.25:g})"
    )
    grid = np.linspace(start, stop, 1801)
    return Path(
        title, "angstrom", np.tile(molecule.numbers, 2), grid, build, 2 * molecule.charge,
        2 * molecule.spin - 1 if molecule.spin else 0, from_end=True,
    )  # fmt: skip


KINDS: dict[str, Callable[[Molecule, float, str], Path]] = {
    "torsion": lambda molecule, _, text: torsion_path(molecule, text),
    "bond": lambda molecule, _, text: bond_path(molecule, text),
    "angle": lambda molecule, _, text: angle_path(molecule, text),
    "pair": pair_path,
}


def path(text: str, molecule: Molecule, cutoff: float) -> Path:
    """The path of that name.

    Args:
        text: of KINDS, with the atoms behind a colon: `torsion:0-1-2-3`, `bond:C-O`, `pair:0-3`.
        molecule: that is moved.
        cutoff: in angstrom, of the model that goes along it.

    Raises:
        UserError: an unknown kind, or the molecule has no such coordinate.
    """
    kind = text.partition(":")[0]
    if kind not in KINDS:
        raise UserError(f"unknown scan {text!r}; {nearest(kind, KINDS)}")
    try:
        return KINDS[kind](molecule, cutoff, text)
    except UserError as error:
        raise UserError(f"scan={error}") from None


def _behind(
    molecule: Molecule, chain: Sequence[int], bond: tuple[int, int], text: str
) -> NDArray[np.bool_]:
    """(n,) the atoms that move with bond[1]; the atoms of `chain` are bonded each to the next."""
    for a, b in pairwise(chain):
        if not is_bonded(molecule, a, b):
            raise UserError(f"{text}: atoms {a} and {b} of {molecule.formula} are not bonded")
    for a, b, c in zip(chain, chain[1:], chain[2:], strict=False):
        if are_in_line(molecule.positions, a, b, c):
            raise UserError(f"{text}: atoms {a}, {b} and {c} are in a line")
    if in_ring(molecule, bond):
        raise UserError(
            f"{text}: the bond {bond[0]}-{bond[1]} is in a ring, so that nothing is behind it that "
            "could move as a rigid body"
        )
    return side(molecule.bonds, len(molecule.numbers), bond)


def _facing(text: str, molecule: Molecule) -> tuple[int, int]:
    """The atoms of `pair:I-J`, which may be the same."""
    found = re.fullmatch(r"pair:(\d+)-(\d+)", text)
    if found is None:
        raise UserError(f"{text}: give an atom of either molecule, counted from 0, as in pair:0-1")
    i, j = int(found[1]), int(found[2])
    n = len(molecule.numbers)
    if max(i, j) >= n:
        raise UserError(
            f"{text}: there is no atom {max(i, j)}; {molecule.formula} has atoms 0 to {n - 1}"
        )
    from_centre = np.linalg.norm(molecule.positions - molecule.positions.mean(axis=0), axis=1)
    for atom in (i, j):
        if from_centre[atom] < _OFF_CENTRE:
            raise UserError(f"{text}: atom {atom} is at the molecule's centre and faces nowhere")
    return i, j


def _turn(first: FloatArray, second: FloatArray) -> FloatArray:
    """The (3, 3) rotation that takes one unit vector to another, by the shorter way."""
    axis = np.cross(first, second)
    if np.linalg.norm(axis) < 1e-6:  # alike, or opposite: then half a turn about any normal
        if first @ second > 0:
            return np.eye(3)
        axis = np.cross(first, np.eye(3)[np.argmin(np.abs(first))])
    axis /= np.linalg.norm(axis)
    degrees = np.degrees(np.arccos(np.clip(first @ second, -1.0, 1.0)))
    turned: FloatArray = _rotated(np.eye(3), axis, np.array([degrees]))[0].T
    return turned


def _rotated(vectors: FloatArray, axis: FloatArray, degrees: FloatArray) -> FloatArray:
    """(m, 3) vectors turned about a unit axis by (B,) angles -> (B, m, 3); Rodrigues."""
    angle = np.radians(degrees)[:, None, None]
    along = (vectors @ axis)[:, None] * axis
    across = np.cross(axis, vectors)
    return np.cos(angle) * (vectors - along) + np.sin(angle) * across + along
