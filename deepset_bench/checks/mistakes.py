"""What it means that lengths, forces or energies are so many times what they should be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

from deepset_bench.units import Units

_TOLERANCE = 1.25  # a scale within this factor of 1 is no other unit
_NEAR = 1.2  # a scale within this factor of a unit's may be that unit
_ENERGIES = {name: Units(name).energy for name in ("eV", "hartree", "kcal/mol", "kJ/mol")}
_LENGTHS = {name: Units(length_unit=name).length for name in ("angstrom", "bohr")}
_USUAL = {
    "angstrom": [(e, f"{e}/angstrom") for e in _ENERGIES] + [("hartree", "hartree/bohr")],
    "bohr": [("hartree", "hartree/bohr")],
}
"""Unit of length -> units of energies and forces that programs write beside it."""
_OF_FORCES = (tuple(_ENERGIES), tuple(_LENGTHS))
_ROUGHLY = 1.35  # bonds are as long and as stiff as others within this factor
_CHANGE, _UNUSUAL = 0.05, 0.3  # what speaks against another unit, and an unusual one of forces
_ATOMIC = Units("hartree", "bohr").force  # eV/angstrom


@dataclass(frozen=True)
class Mistake:
    """What makes a scale other than 1, and the factor that it makes; NaN where nothing fits."""

    what: str
    factor: float

    def __str__(self) -> str:
        return f"{self.what} makes {self.factor:.4g}" if self.factor > 0 else self.what


def mending(
    read: Units,
    slope: float | None = None,
    stiffness: float | None = None,
    length: float | None = None,
) -> str:
    """What to import again with: the options of the units that explain all that is known best.

    Args:
        read: the units that the frames were read in.
        slope: of the energies on the work of the forces.
        stiffness: of bonds, over what it should be.
        length: of bonds, over what it should be.
    """
    best, words = math.inf, ""
    for energy_unit, length_unit, forces in product(_ENERGIES, _LENGTHS, product(*_OF_FORCES)):
        units = Units(energy_unit, length_unit, "/".join(forces))
        longer, stronger = read.length / units.length, read.force / units.force
        off = [
            math.log(abs(known / expected)) / math.log(near)
            if known and math.isfinite(known)
            else 0.0
            for known, expected, near in (
                (slope, read.energy / units.energy / stronger / longer, _NEAR),
                (stiffness, stronger / longer, _ROUGHLY),
                (length, longer, _ROUGHLY),
            )
        ]
        changed = _changed(read, units)
        usual = (units.energy_unit, units.force_unit) in _USUAL[units.length_unit]
        cost = sum(map(abs, off)) + _CHANGE * len(changed) + (0.0 if usual else _UNUSUAL)
        if max(map(abs, off)) < 1 and cost < best:
            best, words = cost, " ".join(changed)
    # Where the bonds pull the right way it is the energies that have another sign.
    if (stiffness is not None and stiffness < 0) or (stiffness is None and (slope or 0) < 0):
        words += " --gradients"
    if words:
        return f"it seems that the file has to be imported with {words.strip()}"
    return "import again with the right --energy-unit, --length-unit and --force-unit"


def _changed(read: Units, units: Units) -> list[str]:
    """The options that are to be given for these units instead of those that were read."""
    options = [
        f"--{quantity}-unit {getattr(units, f'{quantity}_unit')}"
        for quantity in ("energy", "length")
        if getattr(units, f"{quantity}_unit") != getattr(read, f"{quantity}_unit")
    ]
    if options or units.force_unit != read.force_unit:
        options.append(f"--force-unit {units.force_unit}")
    return options


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
