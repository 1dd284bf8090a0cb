"""How long and how stiff bonds are, over what every molecule's are: what tells units."""

from __future__ import annotations

import numpy as np

from deepset_bench.checks.mistakes import length_mistake, mending
from deepset_bench.checks.subject import FEW, Subject
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.geometry import bonds, contact, distances
from deepset_bench.molecules.one_molecule import Group

STIFFNESS = {1: 36.0, 5: 23.0, 6: 30.6, 7: 40.0, 8: 48.5, 14: 17.5, 15: 19.5, 16: 26.0, 17: 32.0}
"""Stretching force constant of X-H in eV/angstrom^2 by the atomic number of X: textbook values
(4.9 mdyn/angstrom for C-H; Wilson, Decius and Cross, Molecular Vibrations, 1955). Those of ions and
radicals, and of hot molecules, differ by half and more."""
_SHORTEST = 0.1  # quantile of distances in time: what is stretched is no unit
_LEAST_VARIATION = 0.004  # angstrom, of a bond length that tells a force constant
_CLEAR = 0.5  # correlation of force and length of which a stiffness is told
_NOBLE = (2, 10, 18, 36, 54, 86)


def units_advice(subject: Subject, slope: float | None) -> str:
    """What to import again with, where something is in another unit than it was read in.

    Args:
        slope: of the energies on the work of the forces, where it is known.
    """
    length, found = neighbours(subject), list[float]()
    # Of lengths in another unit no bond is found, or one to every atom near.
    if length is not None and length_mistake(length) is None:
        measured = (one for group in subject.large for one in stretches(group))
        found = [k / STIFFNESS[z] for z, k, r in measured if abs(r) > _CLEAR]
    stiffness = float(np.median(found)) if found else None
    return mending(subject.read, slope, stiffness, length)


def neighbours(subject: Subject) -> float | None:
    """Distances of nearest neighbours over the sums of covalent radii; None where none binds."""
    ratios = []
    for group in subject.groups[:1000]:
        n = len(group.numbers)
        if n < 2 or np.isin(group.numbers, _NOBLE).all():
            continue
        i, j = np.triu_indices(n, k=1)
        some = group.thinned(20)
        ratio = distances(some.positions, i, j) / contact(group.numbers, i, j)
        nearest = np.full((len(some), n), np.inf)
        for m, row in enumerate(ratio):
            np.minimum.at(nearest[m], i, row)
            np.minimum.at(nearest[m], j, row)
        ratios.append(np.quantile(nearest, _SHORTEST, axis=0))
    return float(np.median(np.concatenate(ratios))) if ratios else None


def stretches(group: Group) -> list[tuple[int, float, float]]:
    """For each bond X-H: atomic number of X, its force constant in eV/angstrom^2, correlation.

    Only lengths within 25 % of their median count, and only bonds that vary.
    """
    found = []
    for heavy, length, force in hydrogen_bonds(group):
        use = np.abs(length / np.median(length) - 1) < 0.25
        z = int(group.numbers[heavy])
        if use.sum() < FEW or length[use].std() < _LEAST_VARIATION or z not in STIFFNESS:
            continue
        d, f = length[use], force[use]
        if f.std() == 0:
            continue
        slope = float(np.cov(f, d)[0, 1] / d.var(ddof=1))
        found.append((z, -slope, float(np.corrcoef(f, d)[0, 1])))
    return found


def hydrogen_bonds(group: Group) -> list[tuple[int, FloatArray, FloatArray]]:
    """For each bond X-H: atom X, lengths (m,), and forces on H along the bond (m,), eV/angstrom."""
    found = []
    bonded, _ = bonds(group.numbers, group.positions)
    for i, j in bonded.tolist():
        if 1 not in (group.numbers[i], group.numbers[j]):
            continue
        heavy, light = (i, j) if group.numbers[j] == 1 else (j, i)
        vector = group.positions[:, light] - group.positions[:, heavy]
        length = np.linalg.norm(vector, axis=1)
        force = (group.forces[:, light] * vector).sum(axis=1) / length
        found.append((heavy, length, force))
    return found
