"""Small hydrocarbons under an analytic potential with exact forces: no test needs shipped data.

E = sum_atoms E_z + sum_bonds k/2 (d - d_0)^2 + sum_other pairs D ((1 - exp(-a (d - r_0)))^2 - 1),
eV and angstrom. Bonds are those of the chain C1-C2-..., each with two hydrogens: C(n)H(2n), so the
compositions of all these molecules are collinear, as those of the report's alkenes are.
"""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.testing import geometry as geometry

ATOM_ENERGY = {1: -10.0, 6: -50.0}
"""eV per atom."""
STIFFNESS = 15.0  # k, eV / angstrom^2
DEPTH, DECAY, DISTANCE = 0.05, 1.2, 3.0  # D, a, r_0


def chain(n_carbons: int) -> tuple[IntArray, FloatArray, IntArray]:
    """Numbers (3n,), rest positions (3n, 3) and bonds (3n - 1, 2) of a zigzag C(n)H(2n)."""
    n = n_carbons
    at = np.arange(n)
    side = np.where(at % 2 == 0, 1.0, -1.0)
    carbons = np.stack([1.25 * at, 0.4 * side, 0 * side], axis=1)
    hydrogens = [carbons + np.stack([0 * side, 0.6 * side, z + 0 * side], 1) for z in (0.9, -0.9)]
    bonds = [[i, i + 1] for i in range(n - 1)] + [[i, i + k * n] for k in (1, 2) for i in range(n)]
    numbers = np.repeat([6, 1], [n, 2 * n])
    return numbers, np.concatenate([carbons, *hydrogens]), np.array(bonds)


def energy_and_forces(
    numbers: IntArray, positions: FloatArray, rest: FloatArray, bonds: IntArray
) -> tuple[float, FloatArray]:
    """Energy in eV and forces (n, 3) in eV/angstrom of one molecule."""
    i, j = np.triu_indices(len(numbers), k=1)
    bonded = (bonds[:, None] == np.stack([i, j], 1)[None]).all(-1).any(0)
    vectors = positions[i] - positions[j]
    d = np.linalg.norm(vectors, axis=1)
    stretch = d - np.linalg.norm(rest[i] - rest[j], axis=1)
    decay = np.exp(-DECAY * (d - DISTANCE))
    pair = np.where(bonded, STIFFNESS / 2 * stretch**2, DEPTH * ((1 - decay) ** 2 - 1))
    slope = np.where(bonded, STIFFNESS * stretch, 2 * DEPTH * DECAY * (1 - decay) * decay)
    along = -slope[:, None] * vectors / d[:, None]
    forces = np.zeros_like(positions)
    np.add.at(forces, i, along)
    np.add.at(forces, j, -along)
    return sum(ATOM_ENERGY[int(z)] for z in numbers) + pair.sum(), forces


def frames(
    n_carbons: int, n_frames: int, seed: int = 0, *, bias: float | None = None, noise: float = 0.08
) -> Frames:
    """Random displacements of C(n)H(2n) from rest.

    Args:
        bias: eV/angstrom, size of bias forces that pull the two ends of the chain together (no net
            force, no net torque, no gradient of the energy); None for a set without bias forces.
        noise: standard deviation of each coordinate in angstrom.
    """
    rng = np.random.default_rng(seed)
    numbers, rest, bonds = chain(n_carbons)
    positions = rest + rng.normal(0.0, noise, (n_frames, *rest.shape))
    labels = [energy_and_forces(numbers, p, rest, bonds) for p in positions]
    pull = np.zeros_like(positions)
    if bias is not None:
        ends = positions[:, n_carbons - 1] - positions[:, 0]
        pull[:, 0] = bias * ends / np.linalg.norm(ends, axis=1, keepdims=True)
        pull[:, n_carbons - 1] = -pull[:, 0]
    return Frames(
        numbers=np.tile(numbers, n_frames),
        positions=positions.reshape(-1, 3),
        n_atoms=np.full(n_frames, len(numbers)),
        energy=np.array([energy for energy, _ in labels]),
        forces=np.concatenate([forces for _, forces in labels]),
        bias_forces=None if bias is None else pull.reshape(-1, 3),
        molecule=np.full(n_frames, f"c{n_carbons}h{2 * n_carbons}"),
        index=np.arange(n_frames),
    )


def write(path: Path, frames: Frames) -> None:
    """A file of extended XYZ, as other programs write it."""
    images = []
    for n, rows in enumerate(np.split(np.arange(len(frames.numbers)), frames.offsets[1:-1])):
        atoms = Atoms(frames.numbers[rows], frames.positions[rows])
        labels = {"energy": frames.energy[n], "forces": frames.forces[rows]}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        images.append(atoms)
    ase.io.write(path, images, format="extxyz")


def random_molecule(n_atoms: int, seed: int, box: float = 5.0, apart: float = 0.9) -> Frames:
    """C and H atoms at random in a cube of side `box`, no two closer than `apart` angstrom."""
    rng = np.random.default_rng(seed)
    placed: list[FloatArray] = []
    while len(placed) < n_atoms:
        candidate = rng.uniform(0.0, box, 3)
        if all(np.linalg.norm(candidate - other) >= apart for other in placed):
            placed.append(candidate)
    return geometry(rng.choice([1, 6], n_atoms), np.array(placed).reshape(-1, 3))
