"""Time and memory of `bench data check` from the frames alone, for clusters of growing size."""

from __future__ import annotations

import resource
import time

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.tables import Table
from benchmarks.timing import in_fresh_process
from deepset_bench.checks.cheap import examine
from deepset_bench.checks.full import FRAMES
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import FloatArray, Frames

MOLECULES = (4, 20, 40, 83, 166)  # of water
N_FRAMES, SPACING, NOISE = 400, 3.1, 0.04  # angstrom
REST = np.array([[0.0, 0.0, 0.0], [0.957, 0.0, 0.0], [-0.24, 0.927, 0.0]])
STIFFNESS, DEPTH, RADIUS = 45.0, 0.007, 3.15  # eV/angstrom^2, eV, angstrom


def measure(threads: int, repeats: int) -> list[Table]:
    """Seconds of processor time and peak memory, each size in a process of its own."""
    rows = []
    for count in MOLECULES:
        seconds, memory, slowest = in_fresh_process(_examined, count)
        rows.append([f"{3 * count}", f"{seconds:.1f}", f"{memory:.0f}", slowest])
    note = f"{N_FRAMES} frames of water clusters; memory is that of the whole process."
    header = ["atoms", "processor time / s", "peak memory / MiB", "slowest check"]
    return [Table("The examination of data, without GFN-xTB.", note, header, rows)]


def _examined(count: int) -> tuple[float, float, str]:
    subject = Subject(cluster(count, N_FRAMES), "water cluster")
    started, each = time.process_time(), {}
    for check in FRAMES:
        before = time.process_time()
        examine(subject, (check,))
        each[check.__name__] = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    slowest = max(each, key=lambda name: each[name])
    return time.process_time() - started, peak, f"`{slowest}` {each[slowest]:.1f} s"


def cluster(count: int, n_frames: int) -> Frames:
    """Molecules of water on a grid, turned at random and displaced in each frame.

    Harmonic bonds and angles, Lennard-Jones between the oxygens.
    """
    rng = np.random.default_rng(0)
    side = int(np.ceil(count ** (1 / 3) - 1e-9))
    cells = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    turns = Rotation.random(count, rng=rng).as_matrix()
    rest = np.einsum("kij,aj->kai", turns, REST) + SPACING * cells[:count, None]
    moved = rest + rng.normal(0, NOISE, (n_frames, *rest.shape))
    energy, forces = _labels(moved)
    return Frames(
        numbers=np.tile([8, 1, 1], count * n_frames),
        positions=moved.reshape(-1, 3),
        n_atoms=np.full(n_frames, 3 * count),
        energy=energy,
        forces=forces.reshape(-1, 3),
        bias_forces=None,
        molecule=np.full(n_frames, "water cluster"),
        index=np.arange(n_frames),
    )


def _labels(positions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(m,) energies and (m, k, 3, 3) forces of m frames of k molecules of O, H, H."""
    energy, forces = np.zeros(len(positions)), np.zeros_like(positions)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        vector = positions[:, :, j] - positions[:, :, i]
        length = np.linalg.norm(vector, axis=-1, keepdims=True)
        stretch = length - np.linalg.norm(REST[j] - REST[i])
        energy += STIFFNESS / 2 * (stretch**2).sum(axis=(1, 2))
        pull = STIFFNESS * stretch * vector / length
        forces[:, :, i] += pull
        forces[:, :, j] -= pull
    first, second = np.triu_indices(positions.shape[1], k=1)
    for m, oxygen in enumerate(positions[:, :, 0]):
        vector = oxygen[second] - oxygen[first]
        square = (vector**2).sum(axis=1, keepdims=True)
        sixth = (RADIUS**2 / square) ** 3
        energy[m] += 4 * DEPTH * (sixth**2 - sixth).sum()
        push = 24 * DEPTH * (2 * sixth**2 - sixth) / square * vector
        np.add.at(forces[m, :, 0], second, push)
        np.add.at(forces[m, :, 0], first, -push)
    return energy, forces
