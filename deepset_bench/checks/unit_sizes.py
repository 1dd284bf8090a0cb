"""Lengths and forces against what every molecule's bonds say their size must be."""

from __future__ import annotations

import math

import numpy as np

from deepset_bench.checks.finding import Finding, graded
from deepset_bench.checks.mistakes import Mistake, force_mistake, length_mistake
from deepset_bench.checks.subject import FEW, Subject
from deepset_bench.checks.work import agree
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.geometry import bonds, contact, distances
from deepset_bench.molecules.one_molecule import Group

STIFFNESS = {1: 36.0, 5: 23.0, 6: 30.6, 7: 40.0, 8: 48.5, 14: 17.5, 15: 19.5, 16: 26.0, 17: 32.0}
"""Stretching force constant of X-H in eV/angstrom^2 by the atomic number of X: textbook values
(4.9 mdyn/angstrom for C-H; Wilson, Decius and Cross, Molecular Vibrations, 1955). Those of ions and
radicals, and of hot molecules, differ by half and more."""
_CHEMICAL = 5.0  # a scale within this factor of 1 may be that of an unusual bond
_LENGTH = 2.0  # a wrong length, its energies and forces agreeing, makes bonds 3.6 times off
_BONDS, _TIGHT = 3, 0.85  # that agree, and a correlation, which show that it is not
_SHORTEST = 0.1  # quantile of distances in time: what is stretched is no unit
_LEAST_VARIATION = 0.004  # angstrom, of a bond length that tells a force constant
_NOBLE = (2, 10, 18, 36, 54, 86)


def bond_lengths(subject: Subject) -> Finding:
    """Bonds to hydrogen, else the nearest neighbours, against the sums of covalent radii.

    A defect needs a unit that explains the ratio; work that agrees with the energies speaks for the
    lengths, where the forces' size is known.
    """
    check = "length unit"
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
    if not ratios:
        return Finding(check, "not run", "no frame has two atoms that bind")
    number = float(np.median(np.concatenate(ratios)))
    text = f"nearest neighbours are {number:.2f} times the sum of their covalent radii apart"
    mistake = length_mistake(number)
    if mistake is None or math.isnan(mistake.factor):
        return Finding(check, "ok", text, number)
    found = [measured for group in subject.large for measured in stretches(group)]
    stiff = [k / STIFFNESS[z] for z, k, r in found if abs(r) > _TIGHT]
    if stiff and 1 / _LENGTH < np.median(stiff) < _LENGTH and agree(subject):
        return Finding(check, "ok", f"{text}; work, energies and forces agree with it", number)
    advice = "import again with the right --length-unit"
    return Finding(check, "defect", f"{text}: {mistake}", number, "", (), (), advice)


def force_scale(subject: Subject) -> Finding:
    """The force constant of bonds to hydrogen: the slope of the force on H against the length.

    Positions that are off by a little make it smaller, by the square of the correlation at most.
    """
    check = "force unit"
    found = [measured for group in subject.large for measured in stretches(group)]
    if not found:
        why = f"no molecule with {FEW} frames has bonds to hydrogen whose lengths vary"
        return Finding(check, "not run", why)
    known = [k / STIFFNESS[z] for z, k, _ in found]
    number = float(np.median(known))
    tight = float(np.median([abs(r) for *_, r in found]))
    text = (
        f"bonds to hydrogen are {number:.3g} times as stiff as known; correlation of the force on "
        f"H with their length {tight:.2f}"
    )
    if tight < 0.5:
        text = f"the force on H does not follow the length of its bond (correlation {tight:.2f})"
        if agree(subject):
            return Finding(check, "ok", f"{text}, but the energies follow the forces", tight)
        advice = "are these the forces of these frames and atoms?"
        return Finding(check, graded(0.8 - tight, 0.3, 0.5), text, tight, "", (), (), advice)
    mistake = _force_mistake(subject, number, tight, known)
    if mistake is None:
        return Finding(check, "ok", text, number)
    advice = "import again with the right --energy-unit and --length-unit, or change the sign"
    return Finding(check, "defect", f"{text}: {mistake}", number, "", (), (), advice)


def _force_mistake(
    subject: Subject, number: float, tight: float, known: list[float]
) -> Mistake | None:
    """What a stiffness of so many times the known one means; None where chemistry may explain it.

    Within a factor of five it takes several bonds that agree, and a unit's factor; and a factor of
    the forces alone is out of the question where the energies follow their work.
    """
    mistake = force_mistake(number)
    if mistake is None or not 1 / _CHEMICAL < number < _CHEMICAL:
        return mistake
    apart = max(known) / min(known) if min(known) > 0 else math.inf
    if len(known) < _BONDS or tight < _TIGHT or apart > _CHEMICAL or math.isnan(mistake.factor):
        return None
    return None if agree(subject) else mistake


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
