"""How finely the numbers of a set are written: what rounding has taken from them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase.units import Bohr

from deepset_bench.checks.finding import VERDICTS, Finding, energy_text, force_text, graded
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import FloatArray

_FEWEST, _GAPS = 8, 3  # numbers, and gaps between them, of which a common step can be told
_WHOLE = 1e-3  # of a step: multiples may be off by so much
_FINE = 1e-6  # of the range: no finer step is looked for
_SUSPECT, _DEFECT = 0.01, 0.1  # of the numbers' own size
_GENERAL = 0.7  # of coordinates that are not zero where nothing lies along an axis
_COARSE = 0.2  # angstrom, the size that positions matter by: a step of 0.02 changes stiff forces
_MOST, _MOLECULES = 5000, 20  # numbers looked at


def digits(subject: Subject) -> Finding:
    """Steps that all energies, forces or positions are multiples of, beside what they tell apart.

    Single precision leaves a total energy of -10,000 eV in steps of 1 meV; a file of two decimals,
    bonds whose force is off by 0.1 eV/angstrom.
    """
    check = "digits"
    found = [
        (graded(step / size, _SUSPECT, _DEFECT), what, step / size, step, unit)
        for what, step, size, unit in _steps(subject)
        if step > 0 and size > 0
    ]
    if not found:
        return Finding(check, "ok", "energies, forces and positions are written with all digits")
    texts = {"energies": energy_text, "forces": force_text, "positions": "{:.3g} angstrom".format}
    verdict = max((grade for grade, *_ in found), key=VERDICTS.index)
    graves = [one for one in found if one[0] == verdict]
    _, _, _, number, unit = max(graves, key=lambda one: one[2])
    text = "; ".join(
        f"{what} are multiples of {texts[what](step)}"
        + (f", {share:.1%} of their spread" if what != "positions" else "")
        for _, what, share, step, _ in graves
    )
    names = " and ".join(dict.fromkeys(what for _, what, *_ in graves))
    advice = f"write {names} with all digits, in double precision, where they were computed"
    return Finding(check, verdict, text, number, unit, (), (), "" if verdict == "ok" else advice)


def _steps(subject: Subject) -> Iterator[tuple[str, float, float, str]]:
    """What, its step, the size that matters, and the unit of both."""
    frames = subject.frames
    kinds = np.unique(frames.composition(frames.species), axis=0, return_inverse=True)[1].ravel()
    spreads = []
    for kind in np.argsort(-np.bincount(kinds))[:_MOLECULES]:
        energy = frames.energy[kinds == kind]
        spreads.append((common_step(energy), float(energy.std())))
    step, spread = max(spreads, key=lambda one: one[0] / one[1] if one[1] > 0 else 0.0)
    yield "energies", step, spread, "eV"
    forces = frames.labelled_forces(subject.labels).ravel()
    yield "forces", common_step(forces), float(forces.std()), "eV/angstrom"
    yield "positions", decimal_step(frames.positions.ravel()), _COARSE, "angstrom"


def decimal_step(positions: FloatArray) -> float:
    """The step in angstrom of positions with one to three decimals, in angstrom or bohr; else 0.

    Those of a scan along an axis are multiples of its step, and rightly so: most of them are zero.
    """
    some = positions[:: max(1, len(positions) // _MOST)]
    if np.count_nonzero(some) < _GENERAL * len(some):
        return 0.0
    for decimals in (1, 2, 3):
        for unit in (1.0, Bohr):
            written = some / unit * 10**decimals
            if len(some) >= _FEWEST and np.abs(written - np.round(written)).max() < _WHOLE:
                return float(unit / 10**decimals)
    return 0.0


def common_step(numbers: FloatArray) -> float:
    """The largest step that all differences of some numbers are multiples of; 0 without one."""
    numbers = numbers[:: max(1, len(numbers) // _MOST)]
    values = np.unique(numbers)
    if len(numbers) < _FEWEST or len(values) < 2:
        return 0.0
    gaps = np.diff(values)
    if len(gaps) < _GAPS and len(numbers) < _FEWEST * len(values):
        return 0.0
    precision = 4 * float(np.spacing(np.abs(values).max()))
    gaps = gaps[gaps > precision]
    least = max(_FINE * float(np.ptp(values)), precision / _WHOLE)
    step = float(gaps.min(initial=np.inf))
    while np.isfinite(step) and step > least:  # Euclid's algorithm with a tolerance
        rest = np.abs(gaps - np.round(gaps / step) * step)
        if rest.max() < _WHOLE * step:
            return step
        step = float(rest[rest >= _WHOLE * step].min())
    return 0.0
