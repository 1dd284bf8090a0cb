"""The one table of units that files may be written in, as factors to eV and angstrom."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations, product

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
_FORCE: Mapping[str, tuple[str, str]] = {
    f"{energy}/{length}": (energy, length) for energy, length in product(_ENERGY, _LENGTH)
}
VALID_UNITS: Mapping[str, tuple[str, ...]] = {
    "energy": tuple(_ENERGY),
    "length": tuple(_LENGTH),
    "force": ("eV/angstrom", "hartree/bohr", "kcal/mol/angstrom and the like"),
}
"""Quantity -> names of units, for messages."""

# How programs write them, without blanks, signs and capitals. Of a force all combinations.
_ATOMIC = ("au", "atomicunit", "atomicunits")
_PER_MOLE = ("mol", "mol1", "mole", "mole1", "permol", "permole")
_SPELLINGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "energy": {
        "eV": ("ev", "electronvolt", "electronvolts"),
        "meV": ("mev", "millielectronvolt", "millielectronvolts"),
        "hartree": ("hartree", "hartrees", "ha", "eh"),
        "kcal/mol": tuple(f"{kcal}{mole}" for kcal in ("kcal", "kcals") for mole in _PER_MOLE),
        "kJ/mol": tuple(f"kj{mole}" for mole in _PER_MOLE),
    },
    "length": {
        "angstrom": ("angstrom", "angstroms", "angström", "ang", "a", "å"),
        "bohr": ("bohr", "bohrs", "a0", "bohrradius", "bohrradii"),
    },
}
_NAMES: dict[str, dict[str, str]] = {
    quantity: {spelling: name for name, all_of in table.items() for spelling in all_of}
    for quantity, table in _SPELLINGS.items()
}
_NAMES["force"] = {
    f"{energy}{per}{length}{power}": f"{_NAMES['energy'][energy]}/{_NAMES['length'][length]}"
    for energy, per, length, power in product(
        _NAMES["energy"], ("", "per"), _NAMES["length"], ("", "1")
    )
}
for _quantity, _name in (("energy", "hartree"), ("length", "bohr"), ("force", "hartree/bohr")):
    _NAMES[_quantity] |= dict.fromkeys(_ATOMIC, _name)


def unit_name(quantity: str, text: str) -> str | None:
    """The name that a unit has here, however a program spells it; None for what is none.

    Args:
        quantity: `energy`, `length` or `force`.
        text: as `kcal mol-1`, `Hartree`, `Ang`, `Ha/a0`, `a.u.`.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if plain.startswith("Me"):  # mega is not milli
        return None
    return _NAMES[quantity].get(re.sub(r"[^a-z0-9åö]", "", plain.lower()))


def known_unit(quantity: str, text: str) -> str:
    """The same, of what a person asks for.

    Raises:
        UserError: no such unit; the message lists the valid ones.
    """
    name = unit_name(quantity, text)
    if name is None:
        raise UserError(
            f"unknown {quantity} unit '{text}'; valid: {', '.join(VALID_UNITS[quantity])}"
        )
    return name


@dataclass(frozen=True)
class Units:
    """The units of a file, by name, spelled as one likes.

    Attributes:
        energy_unit: of energies.
        length_unit: of positions.
        force_unit: of forces; energy unit / length unit unless given.

    Raises:
        UserError: no such unit; the message lists the valid ones.
    """

    energy_unit: str = "eV"
    length_unit: str = "angstrom"
    force_unit: str = ""

    def __post_init__(self) -> None:
        for quantity in VALID_UNITS:
            field = f"{quantity}_unit"
            given = getattr(self, field) or f"{self.energy_unit}/{self.length_unit}"
            object.__setattr__(self, field, known_unit(quantity, given))

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
        energy, length = _FORCE[self.force_unit]
        return _ENERGY[energy] / _LENGTH[length]


def energy_ratios() -> list[float]:
    """Every ratio of two different energy units."""
    return _ratios(_ENERGY)


def length_ratios() -> list[float]:
    """Every ratio of two different length units."""
    return _ratios(_LENGTH)


def force_ratios() -> list[float]:
    """Every ratio of two different units of force."""
    return _ratios({name: _ENERGY[e] / _LENGTH[length] for name, (e, length) in _FORCE.items()})


def _ratios(table: Mapping[str, float]) -> list[float]:
    return [a / b for a, b in permutations(table.values(), 2)]
