"""What it means that lengths, forces or energies are so many times what they should be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deepset_bench.units import Units

_TOLERANCE = 1.25  # a scale within this factor of 1 is no other unit
_NEAR = 1.2  # a scale within this factor of a unit's may be that unit
_ENERGIES = {name: Units(name).energy for name in ("eV", "hartree", "kcal/mol", "kJ/mol")}
_LENGTHS = {name: Units(length_unit=name).length for name in ("angstrom", "bohr")}
_ATOMIC = Units("hartree", "bohr").force  # eV/angstrom


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
    near = abs(math.log(ratio / nearest.factor)) < math.log(_NEAR)
    return nearest if near else _UNEXPLAINED
