"""Sound sets of small molecules: GFN-xTB labels of geometries sampled in the usual ways."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS
from scipy.spatial.transform import Rotation

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.function_calculator import FunctionCalculator
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.topology import side
from deepset_bench.molecules.xtb import XTB

APART = 3.2  # angstrom between the centres of two molecules before they are relaxed


@dataclass(frozen=True)
class Sound:
    """How one set is made.

    Attributes:
        name: what the set is called.
        smiles: its molecules, each sampled alike; a dot parts two molecules of one frame.
        sampling: `md T dt`, Langevin dynamics at T kelvin, a frame each dt femtoseconds;
            `rattled s`, a minimum displaced by s angstrom a coordinate; `scan`, the first bond or
            the distance of two molecules, rigid; `torsion`, the first chain turned, rigid.
        frames: of each molecule.
        method: `gfn1` or `gfn2`.
        order: `permuted`, the atoms of each frame in an order of their own; `turned`, each frame in
            an orientation of its own; `named`, each molecule under its own name.
    """

    name: str
    smiles: tuple[str, ...]
    sampling: str
    frames: int
    method: str = "gfn1"
    order: str = ""

    def frames_from(self, folder: Path) -> Frames:
        """The set, computed or as it was kept in a folder."""
        key = hashlib.sha256(repr(self).encode()).hexdigest()[:12]
        kept = folder / f"{self.name}-{key}.npz"
        if kept.is_file():
            return Frames.load(kept)
        made = Frames.concatenate([self._of(smiles) for smiles in self.smiles])
        frames = replace(made, index=np.arange(len(made)))
        folder.mkdir(parents=True, exist_ok=True)
        frames.save(kept)
        return frames

    def _of(self, smiles: str) -> Frames:
        molecule = joined(smiles)
        potential = XTB(molecule.numbers, self.method, charge=molecule.charge, spin=molecule.spin)
        rest = minimum(molecule, potential)
        rng = np.random.default_rng(0)
        words = self.sampling.split()
        positions = SAMPLING[words[0]](molecule, rest, potential, rng, self.frames, *words[1:])
        kept, energy, forces = [], [], []
        for geometry in positions:
            try:
                labels = potential(geometry)
            except UserError:  # far apart the self-consistent field may not converge
                continue
            kept.append(geometry)
            energy.append(labels[0])
            forces.append(labels[1])
        numbers = np.tile(molecule.numbers, (len(kept), 1))
        arrays = (numbers, np.array(kept), np.array(forces))
        arrays = ORDERS[self.order](*arrays, rng) if self.order in ORDERS else arrays
        return Frames(
            numbers=arrays[0].ravel(),
            positions=arrays[1].reshape(-1, 3),
            n_atoms=np.full(len(kept), len(molecule.numbers)),
            energy=np.array(energy),
            forces=arrays[2].reshape(-1, 3),
            bias_forces=None,
            molecule=np.full(len(kept), smiles if self.order == "named" else self.name),
            index=np.arange(len(kept)),
            charge=np.full(len(kept), molecule.charge),
            spin=np.full(len(kept), molecule.spin),
        )


def joined(smiles: str) -> Molecule:
    """The molecule of a SMILES string; two, where a dot parts them, side by side."""
    first, *others = [Molecule.from_smiles(part, 1) for part in smiles.split(".")]
    for other in others:
        shift = np.array([APART, 0.3, 0.2]) + first.positions.mean(axis=0)
        shift -= other.positions.mean(axis=0)
        first = Molecule(
            np.concatenate([first.numbers, other.numbers]),
            np.concatenate([first.positions, other.positions + shift]),
            np.concatenate([first.bonds, other.bonds + len(first.numbers)]),
            (),
            f"{first.formula}.{other.formula}",
            first.charge + other.charge,
        )
    return first


def minimum(molecule: Molecule, potential: XTB) -> FloatArray:
    """Positions (A, 3) in angstrom where the forces vanish."""
    atoms = _atoms(molecule, molecule.positions, potential)
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=300)
    return np.array(atoms.positions)


def _dynamics(
    molecule: Molecule,
    rest: FloatArray,
    potential: XTB,
    rng: np.random.Generator,
    frames: int,
    kelvin: str,
    interval: str,
) -> FloatArray:
    atoms = _atoms(molecule, rest, potential)
    atoms.set_constraint(FixCom())
    thermalize_momenta(atoms, float(kelvin), rng=rng)
    step = min(1.0, float(interval) / 4)  # fs
    langevin = Langevin(
        atoms,
        step * units.fs,
        temperature_K=float(kelvin),
        friction=0.01 / units.fs,
        fixcm=False,
        rng=rng,
    )
    langevin.run(200)
    found = []
    for _ in range(frames):
        langevin.run(max(1, round(float(interval) / step)))
        found.append(atoms.positions.copy())
    return np.array(found)


def _rattled(
    molecule: Molecule,
    rest: FloatArray,
    potential: XTB,
    rng: np.random.Generator,
    frames: int,
    size: str,
) -> FloatArray:
    return rest + rng.normal(0, float(size), (frames, *rest.shape))


def _scan(
    molecule: Molecule, rest: FloatArray, potential: XTB, rng: np.random.Generator, frames: int
) -> FloatArray:
    """From 0.8 to 2.5 times the length of the first bond, or the distance of two molecules."""
    moving = side(molecule.bonds, len(rest), (0, 0))
    if moving.all():
        i, j = map(int, molecule.bonds[0])
        moving = side(molecule.bonds, len(rest), (i, j))
        axis = rest[j] - rest[i]
    else:
        moving = ~moving
        axis = rest[moving].mean(axis=0) - rest[~moving].mean(axis=0)
    return rest + np.linspace(-0.2, 1.5, frames)[:, None, None] * moving[:, None] * axis


def _torsion(
    molecule: Molecule, rest: FloatArray, potential: XTB, rng: np.random.Generator, frames: int
) -> FloatArray:
    """One end of the first bond between heavy atoms turned all the way round, to where it began."""
    j, k = next(b for b in molecule.bonds.tolist() if (molecule.numbers[b] > 1).all())
    moving = side(molecule.bonds, len(rest), (j, k))
    axis = (rest[k] - rest[j]) / np.linalg.norm(rest[k] - rest[j])
    found = np.repeat(rest[None], frames, axis=0)
    for row, angle in enumerate(np.linspace(0, 2 * np.pi, frames)):
        turn = Rotation.from_rotvec(angle * axis)
        found[row, moving] = turn.apply(rest[moving] - rest[k]) + rest[k]
    return found


SAMPLING: dict[str, Callable[..., FloatArray]] = {
    "md": _dynamics,
    "rattled": _rattled,
    "scan": _scan,
    "torsion": _torsion,
}


def _permuted(
    numbers: IntArray, positions: FloatArray, forces: FloatArray, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, FloatArray]:
    order = np.array([rng.permutation(numbers.shape[1]) for _ in numbers])
    three = order[:, :, None]
    return (
        np.take_along_axis(numbers, order, 1),
        np.take_along_axis(positions, three, 1),
        np.take_along_axis(forces, three, 1),
    )


def _turned(
    numbers: IntArray, positions: FloatArray, forces: FloatArray, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, FloatArray]:
    turns = Rotation.random(len(numbers), rng=rng).as_matrix()
    shift = rng.normal(0, 5, (len(numbers), 1, 3))
    return (
        numbers,
        np.einsum("mij,maj->mai", turns, positions) + shift,
        np.einsum("mij,maj->mai", turns, forces),
    )


ORDERS = {"permuted": _permuted, "turned": _turned}


def _atoms(molecule: Molecule, positions: FloatArray, potential: XTB) -> Atoms:
    return Atoms(molecule.numbers, positions, calculator=FunctionCalculator(potential))
