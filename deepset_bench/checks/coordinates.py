"""The internal coordinate along which a force acts: a distance, an angle, torsions of a bond."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np

from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.geometry import bonds
from deepset_bench.molecules.one_molecule import Group

Atoms = tuple[int, ...]
_ENOUGH = 0.95  # of the squared force
_MOST_ATOMS, _MOST_FRAMES = 8, 50


def explaining_coordinate(group: Group, forces: FloatArray, atoms: list[int]) -> tuple[str, float]:
    """The coordinate, and the share of the squared forces that lies along its gradient.

    Args:
        group: m frames of n atoms.
        forces: (m, n, 3) in eV/angstrom.
        atoms: those that the forces act on.

    Returns:
        A name such as `the torsion 2-0-1-4` with the best share; empty below 95 %, or for more
        atoms than a coordinate has.
    """
    if not 2 <= len(atoms) <= _MOST_ATOMS:
        return "", 0.0
    frames = np.unique(np.linspace(0, len(group) - 1, _MOST_FRAMES).astype(int))
    positions, forces = group.positions[frames], forces[frames]
    single = _candidates(group, atoms)
    gradients = {chain: _gradients(positions, chain) for chain in single}
    best: tuple[Atoms, ...] = ()
    share = 0.0
    for size in (1, 2):
        for chains in combinations(single, size):
            if set().union(*chains) != set(atoms):
                continue
            found = _share(forces, [gradients[chain] for chain in chains])
            if found > share:
                best, share = chains, found
        if share > _ENOUGH:
            return f"the {' and the '.join(map(_name, best))}", share
    return "", share


def _candidates(group: Group, atoms: list[int]) -> list[Atoms]:
    """Distances of any two of the atoms, and angles and torsions along bonds between them."""
    bonded, _ = bonds(group.numbers, group.positions)
    near = {(i, j) for i, j in bonded.tolist()} | {(j, i) for i, j in bonded.tolist()}
    found: list[Atoms] = list(combinations(atoms, 2))
    for size in (3, 4):
        for chain in permutations(atoms, size):
            if chain[0] < chain[-1] and all(pair in near for pair in zip(chain, chain[1:])):  # noqa: B905, RUF007
                found.append(chain)
    return found


def _gradients(positions: FloatArray, chain: Atoms) -> FloatArray:
    """(m, n, 3) gradients of one coordinate, dimension left out."""
    if len(chain) == 4:
        return np.array([torsion(frame, chain)[1] for frame in positions])
    gradient = np.zeros_like(positions)
    if len(chain) == 2:
        i, j = chain
        gradient[:, i] = positions[:, i] - positions[:, j]
        gradient[:, j] = -gradient[:, i]
        return gradient
    i, j, k = chain
    first, second = positions[:, i] - positions[:, j], positions[:, k] - positions[:, j]
    a, b = np.linalg.norm(first, axis=1)[:, None], np.linalg.norm(second, axis=1)[:, None]
    cosine = (first * second).sum(axis=1)[:, None] / (a * b)
    gradient[:, i] = (second / b - cosine * first / a) / a
    gradient[:, k] = (first / a - cosine * second / b) / b
    gradient[:, j] = -gradient[:, i] - gradient[:, k]
    return gradient


def _share(forces: FloatArray, gradients: list[FloatArray]) -> float:
    """How much of the squared forces lies in the span of the gradients, frame by frame."""
    basis = np.stack([g.reshape(len(g), -1) for g in gradients], axis=-1)  # (m, 3n, c)
    orthonormal, _ = np.linalg.qr(basis)
    along = np.einsum("mxc,mx->mc", orthonormal, forces.reshape(len(forces), -1))
    return float((along**2).sum() / max((forces**2).sum(), 1e-30))


def _name(chain: Atoms) -> str:
    kind = {2: "distance", 3: "angle", 4: "torsion"}[len(chain)]
    return f"{kind} {'-'.join(map(str, chain))}"
