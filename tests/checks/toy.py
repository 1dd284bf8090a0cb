"""A pyramid of four atoms held by springs that soften: energies and exact forces of any frame."""

from __future__ import annotations

import numpy as np

from deepset_bench.molecules.frames import FloatArray, Frames

NUMBERS = np.array([7, 1, 1, 1])
REST = np.array([[0.0, 0.0, 0.3], [0.95, 0.0, 0.0], [-0.475, 0.82, 0.0], [-0.475, -0.82, 0.0]])
_I, _J = np.triu_indices(4, k=1)
_DEPTH, _DECAY = np.where(_I == 0, 4.0, 0.6), np.where(_I == 0, 2.1, 1.4)


def labels(positions: FloatArray, longer: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """(m,) eV and (m, 4, 3) eV/angstrom of Morse springs, `longer` angstrom than at rest."""
    vectors = positions[:, _I] - positions[:, _J]
    d = np.linalg.norm(vectors, axis=-1)
    rest = np.linalg.norm(REST[_I] - REST[_J], axis=-1) + longer
    e = np.exp(-_DECAY * (d - rest))
    energy = (_DEPTH * (1 - e) ** 2).sum(axis=1)
    pull = (2 * _DEPTH * _DECAY * (1 - e) * e / d)[..., None] * vectors
    forces = np.zeros_like(positions)
    for pair, (i, j) in enumerate(zip(_I, _J, strict=True)):
        forces[:, i] -= pull[:, pair]
        forces[:, j] += pull[:, pair]
    return energy, forces


def geometries(m: int = 40, size: float = 0.05, seed: int = 0) -> FloatArray:
    """(m, 4, 3) displaced at random."""
    return REST + np.random.default_rng(seed).normal(0, size, (m, 4, 3))


def frames(positions: FloatArray, energy: FloatArray, forces: FloatArray) -> Frames:
    """A set of them."""
    m = len(positions)
    return Frames(
        numbers=np.tile(NUMBERS, m),
        positions=positions.reshape(-1, 3),
        n_atoms=np.full(m, 4),
        energy=energy,
        forces=forces.reshape(-1, 3),
        bias_forces=None,
        molecule=np.full(m, "ammonia"),
        index=np.arange(m),
    )
