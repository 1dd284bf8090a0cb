"""Lengths, forces and energies against what every molecule's bonds say their size must be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deepset_bench.data.checks.finding import Finding, graded
from deepset_bench.data.checks.geometry import bonds, contact, distances
from deepset_bench.data.checks.subject import FEW, Group, Subject
from deepset_bench.data.frames import FloatArray
from deepset_bench.data.units import Units

STIFFNESS = {1: 36.0, 5: 23.0, 6: 30.6, 7: 40.0, 8: 48.5, 14: 17.5, 15: 19.5, 16: 26.0, 17: 32.0}
"""Stretching force constant of X-H in eV/angstrom^2 by the atomic number of X: textbook values
(4.9 mdyn/angstrom for C-H; Wilson, Decius and Cross, Molecular Vibrations, 1955), within 15 %."""
_TOLERANCE = 1.25  # a scale within this factor of 1 is no other unit
_LEAST_VARIATION = 0.004  # angstrom, of a bond length that tells a force constant
_ENERGIES = {name: Units(name).energy for name in ("eV", "hartree", "kcal/mol", "kJ/mol")}
_LENGTHS = {name: Units(length_unit=name).length for name in ("angstrom", "bohr")}
_ATOMIC = Units("hartree", "bohr").force  # eV/angstrom


def bond_lengths(subject: Subject) -> Finding:
    """Bonds to hydrogen, else the nearest neighbours, against the sums of covalent radii."""
    check = "length unit"
    ratios = []
    for group in subject.groups[:1000]:
        n = len(group.numbers)
        if n < 2:
            continue
        i, j = np.triu_indices(n, k=1)
        some = group.thinned(20)
        ratio = distances(some.positions, i, j) / contact(group.numbers, i, j)
        nearest = np.full((len(some), n), np.inf)
        for m, row in enumerate(ratio):
            np.minimum.at(nearest[m], i, row)
            np.minimum.at(nearest[m], j, row)
        ratios.append(nearest.ravel())
    if not ratios:
        return Finding(check, "not run", "no frame has two atoms")
    number = float(np.median(np.concatenate(ratios)))
    text = f"nearest neighbours are {number:.2f} times the sum of their covalent radii apart"
    mistake = length_mistake(number)
    if mistake is None:
        return Finding(check, "ok", text, number)
    advice = "import again with the right --length-unit"
    return Finding(check, "defect", f"{text}: {mistake}", number, "", (), (), advice)


def force_scale(subject: Subject) -> Finding:
    """The force constant of bonds to hydrogen: the slope of the force on H against the length."""
    check = "force unit"
    found = [measured for group in subject.large for measured in stretches(group)]
    if not found:
        why = f"no molecule with {FEW} frames has bonds to hydrogen whose lengths vary"
        return Finding(check, "not run", why)
    known = [(k / STIFFNESS[z], r) for z, k, r in found]
    number = float(np.median([ratio for ratio, _ in known]))
    tight = float(np.median([abs(r) for _, r in known]))
    text = (
        f"bonds to hydrogen are {number:.3g} times as stiff as known; correlation of the force on "
        f"H with their length {tight:.2f}"
    )
    if tight < 0.5:
        text = f"the force on H does not follow the length of its bond (correlation {tight:.2f})"
        advice = "are these the forces of these frames and atoms?"
        return Finding(check, graded(0.8 - tight, 0.3, 0.5), text, tight, "", (), (), advice)
    mistake = force_mistake(number)
    if mistake is None:
        return Finding(check, "ok", text, number)
    advice = "import again with the right --energy-unit and --length-unit, or change the sign"
    return Finding(check, "defect", f"{text}: {mistake}", number, "", (), (), advice)


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


@dataclass(frozen=True)
class Mistake:
    """What makes a scale other than 1, and the factor that it makes; NaN where nothing fits."""

    what: str
    factor: float

    def __str__(self) -> str:
        return f"{self.what} makes {self.factor:.4g}" if self.factor > 0 else self.what


_UNEXPLAINED = Mistake("no unit explains it", math.nan)


def energy_mistake(slope: float) -> Mistake | None:
    """What it means that energies are `slope` times what the forces say; None for about 1."""
    if slope < 0:
        return Mistake("energies and forces have opposite signs", math.nan)
    known = [
        Mistake(f"energies in {a} beside forces in {b}/length", _ENERGIES[b] / _ENERGIES[a])
        for a, b in _different(_ENERGIES)
    ]
    known += [Mistake(mistake.what, 1 / mistake.factor) for mistake in _per_length()]
    known += [
        Mistake(f"energies in {a} beside forces in hartree/bohr", _ATOMIC / _ENERGIES[a])
        for a in _ENERGIES
        if a != "hartree"
    ]
    return _mistake(slope, known)


def force_mistake(ratio: float) -> Mistake | None:
    """What it means that forces are `ratio` times what they should be; None for about 1."""
    if ratio < 0:
        return Mistake("the forces have the wrong sign", math.nan)
    known = [
        Mistake(f"{a} read as {b}", _ENERGIES[b] / _ENERGIES[a]) for a, b in _different(_ENERGIES)
    ]
    known += _per_length()
    for e in _ENERGIES:
        if e != "hartree":
            known.append(Mistake(f"hartree/bohr read as {e}/angstrom", _ENERGIES[e] / _ATOMIC))
            known.append(Mistake(f"{e}/angstrom read as hartree/bohr", _ATOMIC / _ENERGIES[e]))
    return _mistake(ratio, known)


def length_mistake(ratio: float) -> Mistake | None:
    """What it means that lengths are `ratio` times what they should be; None for about 1."""
    different = _different(_LENGTHS)
    known = [Mistake(f"{a} read as {b}", _LENGTHS[b] / _LENGTHS[a]) for a, b in different]
    return _mistake(ratio, known)


def _per_length() -> list[Mistake]:
    """What forces per one length read as per another become."""
    return [
        Mistake(f"forces per {a} read as per {b}", _LENGTHS[a] / _LENGTHS[b])
        for a, b in _different(_LENGTHS)
    ]


def _different(table: dict[str, float]) -> list[tuple[str, str]]:
    """Every ordered pair of two units."""
    return [(a, b) for a in table for b in table if a != b]


def _mistake(ratio: float, known: list[Mistake]) -> Mistake | None:
    """The mistake whose factor is nearest, within 20 %; None for a ratio near 1."""
    if 1 / _TOLERANCE < ratio < _TOLERANCE:
        return None
    if not ratio > 0:
        return _UNEXPLAINED
    nearest = min(known, key=lambda mistake: abs(math.log(ratio / mistake.factor)))
    near = abs(math.log(ratio / nearest.factor)) < math.log(1.2)
    return nearest if near else _UNEXPLAINED
