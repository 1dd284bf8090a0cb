"""Plain and extended XYZ, line by line: whatever is damaged is said, with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deepset_bench.errors import UserError
from deepset_bench.readers.comment import TwiceError, flags, pairs, value_of
from deepset_bench.readers.elements import elements_table
from deepset_bench.readers.isolated import CELLS, PERIODIC
from deepset_bench.readers.labels import BIAS_KEY, Collector, Found, Layout
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.own_units import file_units, stated_units
from deepset_bench.readers.rows import ELEMENT_COLUMNS, NUMBER, Columns, table
from deepset_bench.readers.sources import check_range, frame_range, read_blocks
from deepset_bench.readers.states import ATOMS, STATE_KEYS
from deepset_bench.readers.xyz import Record, damaged, line_of, records, shown
from deepset_bench.variants import reader

LAYOUT = Layout()
_PLAIN: Columns = (("species", 1), ("pos", 3))
# Alone in the second line, or behind `E` or `energy`.
_ENERGY = re.compile(rf"^\s*({NUMBER})\s*$|(?<!\S)(?i:energy|E):?\s+({NUMBER})(?!\S)")
_PROPERTY = re.compile(r"([^:]+):[SRIL]:([1-9][0-9]{0,3})")


@reader(
    "XYZ or extended XYZ",
    begins=rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\x00]*[0-9]+[\s\x00]*(?:\n|$)",
    suffixes=(".xyz", ".extxyz"),  # damaged, the reader says where
    takes=("elements",),
)
def read_extxyz(path: Path, name: str, options: Options, unlabelled: bool = False) -> Reading:
    """Read labelled molecules into eV, angstrom and eV/angstrom.

    Columns `bias_forces`, in the unit of forces, are read where every frame has them; the forces
    are then those of the potential alone. For the names of molecules see `name_molecules`.

    Args:
        path: the file, plain or packed.
        name: what to call the set.
        options: keys of energy (second line) and forces (columns), units and more.
        unlabelled: a frame may lack energy or forces; then both are zero in all frames.

    Raises:
        UserError: a damaged line, a label that is missing or not finite, an impossible cell; one
            line with the file, the frame and the line (both from 1).
    """
    chosen = frame_range(options.frames)
    elements = elements_table(options.elements)
    collector = Collector(path, name, LAYOUT, options, unlabelled)
    units: dict[str, tuple[str, str]] | None = None
    frames = 0
    for record in records(path, read_blocks(path), chosen.stop):
        frames = record.frame + 1
        place = f"{path}: frame {frames}, line {record.line + 2}"
        info, columns = _comment(path, record)
        names = [*info, *(name for name, _ in columns)]
        energy_key, forces_key = collector.keys(names)
        if not unlabelled and forces_key not in names and is_cp2k(info):
            raise UserError(
                f"{place}: a CP2K trajectory, without forces; give it with --positions, and its "
                "partner with --forces"
            )
        rows = table(path, record, columns, {"pos", forces_key, BIAS_KEY, ATOMS}, elements)
        if record.frame < chosen.start:
            continue
        values = {key: value_of(text) for key, text in info.items()}
        own_cell = collector.cell(place, cell(path, record, info), values)
        if units not in (None, stated_units(info)):
            raise UserError(f"{place}: is in other units than the frame before")
        units = stated_units(info)
        # Of the rest only what is one number, which could be meant for the energy.
        stored: dict[str, Any] = dict.fromkeys(names, "")
        stored |= {key: value for key, value in values.items() if isinstance(value, float)}
        stored |= rows.values
        if energy_key in info:
            stored[energy_key] = value_of(info[energy_key] or "nan")
        about = {key: value_of(text) for key, text in info.items() if key.lower() in STATE_KEYS}
        collector.add(
            Found(
                numbers=rows.numbers,
                positions=rows.values["pos"][None],
                stored={key: np.asarray(value)[None] for key, value in stored.items()},
                index=np.array([record.frame]),
                where=partial(line_of, path, record.frame, record.line),
                about=about | {key: rows.values[key] for key in (ATOMS,) if key in rows.values},
                gap=rows.gap,
                energy_hint=_energy_in(record.comment),
                cell=own_cell,
            )
        )
        collector.spill(partial(file_units, path, LAYOUT, options, units))
    check_range(path, chosen, frames)
    return collector.reading(*file_units(path, LAYOUT, options, units or {}))


def is_cp2k(info: Mapping[str, str]) -> bool:
    """Whether a second line is one of CP2K's, in its own format or in extended XYZ."""
    return {"i", "E"} <= info.keys() or {"Step", "Time", "Energy"} <= info.keys()


def second_line(path: Path, record: Record) -> dict[str, str]:
    """Its keys and values.

    Raises:
        UserError: a key is given twice.
    """
    try:
        return pairs(record.comment)
    except TwiceError as error:
        what = f"'{error}' is given twice"
        raise damaged(path, record.frame, record.line + 1, what) from None


def cell(path: Path, record: Record, info: Mapping[str, str]) -> dict[str, Any]:
    """The cell and whether it is periodic, where the second line says so."""
    found: dict[str, Any] = {}
    for key, text in info.items():
        if key.lower() in CELLS:
            found[key] = value_of(text)
        elif key.lower() == PERIODIC:
            found[key] = flags(text)
            if found[key] is None:
                what = f"'{key}' is '{shown(text)}', expected as T T T or F F F"
                raise damaged(path, record.frame, record.line + 1, what)
    return found


def _energy_in(comment: str) -> str:
    """What to do with an energy that the second line has in words, as ORCA and xtb write it."""
    found = {first or second for first, second in _ENERGY.findall(comment[:1000])}
    if len(found) != 1:
        return ""
    text = found.pop()
    return (
        f"the second line is '{shown(comment)}'; if {text} is the energy, write it as "
        f"energy={text} and say its unit, as --energy-unit hartree (ORCA, xtb); or compute "
        "energies and forces with --relabel gfn1"
    )


def _comment(path: Path, record: Record) -> tuple[dict[str, str], Columns]:
    """What the second line says, of the frame and of the columns."""
    info = second_line(path, record)

    def wrong(what: str) -> UserError:
        return damaged(path, record.frame, record.line + 1, what)

    if "Properties" not in info:
        if all(len(row.split()) == 7 for row in record.rows):  # as sGDML writes forces
            raise wrong(
                "the lines of atoms have seven columns, which are not named; if they are x y z and "
                "forces, write energy=... and Properties=species:S:1:pos:R:3:forces:R:3 here"
            )
        return info, _PLAIN
    parts = info["Properties"].split(":")
    triplets = [_PROPERTY.fullmatch(":".join(parts[i : i + 3])) for i in range(0, len(parts), 3)]
    columns = tuple((t[1], int(t[2])) for t in triplets if t is not None)
    if len(columns) < len(triplets):
        raise wrong("expected Properties=name:type:columns:..., as species:S:1:pos:R:3:forces:R:3")
    widths = dict(columns)
    if widths.get("pos") != 3 or {widths[k] for k in ELEMENT_COLUMNS if k in widths} != {1}:
        found = shown(info["Properties"])
        raise wrong(f"Properties without species:S:1 or pos:R:3, but with '{found}'")
    if len(widths) < len(columns):
        raise wrong("Properties names a column twice")
    return info, columns
