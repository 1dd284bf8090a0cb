"""Lengths and forces against what every molecule's bonds say their size must be."""

from __future__ import annotations

import math

import numpy as np

from deepset_bench.checks.bond_sizes import STIFFNESS, neighbours, stretches, units_advice
from deepset_bench.checks.finding import Finding, graded
from deepset_bench.checks.mistakes import Mistake, force_mistake, length_mistake
from deepset_bench.checks.subject import FEW, Subject
from deepset_bench.checks.work import agree, slope

_CHEMICAL = 5.0  # a scale within this factor of 1 may be that of an unusual bond
_LENGTH = 2.0  # a wrong length, its energies and forces agreeing, makes bonds 3.6 times off
_BONDS, _TIGHT = 3, 0.85  # that agree, and a correlation, which show that it is not


def bond_lengths(subject: Subject) -> Finding:
    """Bonds to hydrogen, else the nearest neighbours, against the sums of covalent radii.

    A defect needs a unit that explains the ratio; work that agrees with the energies speaks for the
    lengths, where the forces' size is known.
    """
    check = "length unit"
    number = neighbours(subject)
    if number is None:
        return Finding(check, "not run", "no frame has two atoms that bind")
    text = f"nearest neighbours are {number:.2f} times the sum of their covalent radii apart"
    mistake = length_mistake(number)
    if mistake is None or math.isnan(mistake.factor):
        return Finding(check, "ok", text, number)
    found = [measured for group in subject.large for measured in stretches(group)]
    stiff = [k / STIFFNESS[z] for z, k, r in found if abs(r) > _TIGHT]
    if stiff and 1 / _LENGTH < np.median(stiff) < _LENGTH and agree(subject):
        return Finding(check, "ok", f"{text}; work, energies and forces agree with it", number)
    advice = units_advice(subject, slope(subject))
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
    advice = units_advice(subject, slope(subject))
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
