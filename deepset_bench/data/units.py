"""The one table of units that files may be written in, as factors to eV and angstrom."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

from ase import units

from deepset_bench.errors import UserError

HARTREE = units.Hartree
"""eV in one hartree."""

HARTREE_PER_BOHR = units.Hartree / units.Bohr
"""eV/angstrom in one hartree/bohr."""

_ENERGY: Mapping[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "hartree": units.Hartree,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
}
_LENGTH: Mapping[str, float] = {"angstrom": 1.0, "bohr": units.Bohr}


def energy_unit(name: str) -> float:
    """How many eV the energy unit `name` is.

    Raises:
        UserError: no such unit; the message lists the valid ones.
    """
    return _factor(name, _ENERGY, "energy")


def length_unit(name: str) -> float:
    """How many angstrom the length unit `name` is.

    Raises:
        UserError: no such unit; the message lists the valid ones.
    """
    return _factor(name, _LENGTH, "length")


def energy_factors() -> list[float]:
    """Every ratio of two different energy units."""
    return _ratios(_ENERGY)


def length_factors() -> list[float]:
    """Every ratio of two different length units."""
    return _ratios(_LENGTH)


def _ratios(table: Mapping[str, float]) -> list[float]:
    return [a / b for a, b in permutations(table.values(), 2)]


def _factor(name: str, table: Mapping[str, float], quantity: str) -> float:
    if name in table:
        return table[name]
    raise UserError(f"unknown {quantity} unit '{name}'; valid: {', '.join(table)}")
