"""The units of a file: what the command line says, else what the file says, else the format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepset_bench.errors import UserError
from deepset_bench.readers.labels import Layout
from deepset_bench.readers.options import Options
from deepset_bench.readers.xyz import shown
from deepset_bench.units import VALID_UNITS, Units, unit_name

KEYS = {
    "energy": ("e_unit", "energy_unit", "energy_units", "unit_energy", "units_energy"),
    "length": (
        *("r_unit", "length_unit", "length_units", "distance_unit", "_distance_unit"),
        *("position_unit", "positions_unit", "position_units", "coordinates_unit"),
    ),
    "force": ("f_unit", "force_unit", "forces_unit", "force_units", "forces_units"),
}
"""What files call the statement of a unit, in any case of letters."""


def stated_units(found: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Quantity -> (key, unit as it is spelled), of what a file holds by name."""
    stated = {}
    for key, value in found.items():
        for quantity, keys in KEYS.items():
            text = as_text(value)
            if key.lower() in keys and text:
                stated[quantity] = key, text
    return stated


def as_text(value: Any) -> str:
    """Text of any kind, bytes and arrays of one included; nothing for what is none."""
    while hasattr(value, "ndim") and getattr(value, "size", 0) == 1:
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def file_units(
    path: Path, layout: Layout, options: Options, stated: Mapping[str, tuple[str, str]]
) -> tuple[Units, dict[str, str]]:
    """The units to read a file in, and for each quantity its unit with who says so.

    Raises:
        UserError: a unit that is none, on the command line or in the file.
    """
    units: dict[str, str] = {}
    sources: dict[str, str] = {}
    for quantity in KEYS:
        asked = getattr(options, f"{quantity}_unit")
        usual = getattr(layout, f"{quantity}_unit")
        key, text = stated.get(quantity, ("", ""))
        said = unit_name(quantity, text)
        if asked:
            units[quantity] = asked
            against = said and unit_name(quantity, asked) not in (said, None)
            sources[quantity] = f"--{quantity}-unit" + f", against {said} in the file" * bool(
                against
            )
        elif text and said is None:
            valid = ", ".join(VALID_UNITS[quantity])
            remedy = f"say which it is with --{quantity}-unit; valid: {valid}"
            if re.search(r"nm\b|nanomet", text, re.IGNORECASE):
                remedy = f"convert it, 1 nm being 10 angstrom; valid: {valid}"
            raise UserError(
                f"{path}: '{key}' says {shown(text)}, which is not a known unit of {quantity}; "
                + remedy
            )
        elif said:
            units[quantity], sources[quantity] = said, "as the file says"
        else:
            units[quantity] = usual
            sources[quantity] = layout.convention or "assumed"
    chosen = Units(units["energy"], units["length"], units["force"])
    if not units["force"] and sources["energy"] != sources["length"]:
        sources["force"] = "energy / length"
    elif not units["force"]:
        sources["force"] = sources["energy"]
    names = {"energy": chosen.energy_unit, "positions": chosen.length_unit}
    names["forces"] = chosen.force_unit
    return chosen, {
        name: f"{unit} ({source})"
        for (name, unit), source in zip(names.items(), sources.values(), strict=True)
    }


def noted_units(units: Mapping[str, str]) -> Units:
    """The units that `file_units` noted."""
    return Units(*(units[name].partition(" (")[0] for name in ("energy", "positions", "forces")))


def units_text(units: Mapping[str, str]) -> str:
    """What `file_units` noted, in words: `eV, angstrom and eV/angstrom (assumed)`."""
    names, sources = zip(*(text.partition(" (")[::2] for text in units.values()), strict=True)
    if len(set(sources)) == 1:
        return f"{', '.join(names[:-1])} and {names[-1]} ({sources[0]}"
    return ", ".join(f"{quantity} {text}" for quantity, text in units.items())
