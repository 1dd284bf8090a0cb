"""The one table of units that files may be written in, as factors to eV and angstrom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

from ase import units

from deepset_bench.errors import UserError

HARTREE = units.Hartree
"""eV in one hartree."""

HARTREE_PER_BOHR = units.Hartree / units.Bohr
"""eV/angstrom in one hartree/bohr."""

UNITS = {
    "hartree": {"energy": (HARTREE, "Ha", 5), "forces": (HARTREE_PER_BOHR, "Ha/bohr", 5)},
    "mev": {"energy": (1e-3, "meV", 1), "forces": (1e-3, "meV/Å", 1)},
}
"""Unit system -> metric -> size in eV or eV/angstrom, name, decimals."""

_ENERGY: Mapping[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "hartree": units.Hartree,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
}
_LENGTH: Mapping[str, float] = {"angstrom": 1.0, "bohr": units.Bohr}
UNIT_NAMES = (*_ENERGY, *_LENGTH)


@dataclass(frozen=True)
class Units:
    """The units of a file, by name; forces are in energy unit / length unit.

    Raises:
        UserError: no such unit; the message lists the valid ones.
    """

    energy_unit: str = "eV"
    length_unit: str = "angstrom"

    def __post_init__(self) -> None:
        for quantity, table in (("energy", _ENERGY), ("length", _LENGTH)):
            name = getattr(self, f"{quantity}_unit")
            if name not in table:
                raise UserError(f"unknown {quantity} unit '{name}'; valid: {', '.join(table)}")

    @property
    def energy(self) -> float:
        """eV in the energy unit."""
        return _ENERGY[self.energy_unit]

    @property
    def length(self) -> float:
        """angstrom in the length unit."""
        return _LENGTH[self.length_unit]

    @property
    def force(self) -> float:
        """eV/angstrom in the unit of forces."""
        return self.energy / self.length


def energy_ratios() -> list[float]:
    """Every ratio of two different energy units."""
    return _ratios(_ENERGY)


def length_ratios() -> list[float]:
    """Every ratio of two different length units."""
    return _ratios(_LENGTH)


def _ratios(table: Mapping[str, float]) -> list[float]:
    return [a / b for a, b in permutations(table.values(), 2)]
