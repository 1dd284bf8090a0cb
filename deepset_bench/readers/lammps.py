"""LAMMPS dumps: geometries with elements, and forces; there are no energies in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.readers.elements import elements_table
from deepset_bench.readers.labels import Collector, Found, Layout
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.own_units import file_units
from deepset_bench.readers.rows import AtomRows, number, table
from deepset_bench.readers.sources import check_range, frame_range, read_text
from deepset_bench.readers.xyz import Record, count, damaged, line_of, shown
from deepset_bench.variants import reader

LAYOUT = Layout()
_PLACES = (("x", "y", "z"), ("xu", "yu", "zu"))
_FORCES = ("fx", "fy", "fz")
_ITEM = re.compile(r"ITEM: (TIMESTEP|TIME|UNITS|NUMBER OF ATOMS|BOX BOUNDS|ATOMS)(?![A-Z])([ -~]*)")
_REMEDY = {
    False: "compute energies and forces with --relabel gfn1",
    True: "write extended XYZ or an ASE trajectory with energies and forces; or, if the molecule "
    "is isolated, ff ff ff behind BOX BOUNDS, and compute them with --relabel gfn1",
}
"""What to do without an energy, by whether the frame is periodic."""
_STYLES = {  # of LAMMPS's command `units`: energy, length
    "real": ("kcal/mol", "angstrom"),
    "metal": ("eV", "angstrom"),
    "electron": ("hartree", "bohr"),
}


@reader("LAMMPS dump with elements", begins=rb"ITEM: ", takes=("elements",))
def read_lammps(path: Path, name: str, options: Options, unlabelled: bool = False) -> Reading:
    """Read a dump of text, its atoms in the order of their `id`.

    Elements are those of the column `element`, or what `--elements` says of the types.

    Args:
        path: the file, plain or packed.
        name, options, unlabelled: as for `read_extxyz`.

    Raises:
        UserError: a damaged line, no elements, an impossible box, no energies though wanted;
            one line with the file, the frame and the line (both from 1).
    """
    chosen = frame_range(options.frames)
    elements = elements_table(options.elements)
    collector = Collector(path, name, LAYOUT, options, unlabelled)
    stated: dict[str, tuple[str, str]] = {}
    frames = 0
    for record, items in _records(path, read_text(path), chosen.stop):
        frames = record.frame + 1
        place = f"{path}: frame {frames}, line {record.line + 2}"
        names = record.comment.split()
        label = "element" if "element" in names or not elements else "type"
        if label not in names:
            raise UserError(
                f"{place}: names no elements, and a dump holds no energies; write it with a column "
                "'element', or say what the types are, as --elements 1=C,2=H; the labels are then "
                "for --relabel gfn1 to compute"
            )
        xyz = next((three for three in _PLACES if set(three) <= set(names)), None)
        if xyz is None:
            raise UserError(
                f"{place}: has no columns x y z or xu yu zu, but {shown(' '.join(names))}"
            )
        if label == "type":
            _check_types(place, record, names.index(label), elements)
        columns = tuple(("species" if key == label else key, 1) for key in names)
        rows = table(path, record, columns, {"id", *xyz, *_FORCES}, elements)
        if record.frame < chosen.start:
            continue
        box = _box(path, record, *items["BOX BOUNDS"])
        if "UNITS" in items:
            style = items["UNITS"][1]
            if style not in _STYLES:
                raise UserError(
                    f"{place}: is in units '{shown(style)}'; known: {', '.join(_STYLES)}"
                )
            stated = dict(
                zip(("energy", "length"), (("UNITS", u) for u in _STYLES[style]), strict=True)
            )
        lattice = collector.cell(place, box, {})
        if not unlabelled:
            raise UserError(
                f"{place}: has no 'energy', as a dump never has; {_REMEDY[bool(lattice)]}"
            )
        order = np.arange(record.count)
        if "id" in names:
            order = np.argsort(rows.values["id"][:, 0], kind="stable")

        forces = {"forces": _vectors(rows, _FORCES, order)} if set(_FORCES) <= set(names) else {}
        collector.add(
            Found(
                numbers=rows.numbers[order],
                positions=_vectors(rows, xyz, order),
                stored=forces,
                index=np.array([record.frame]),
                where=partial(line_of, path, record.frame, record.line, order=order),
                gap=rows.gap,
                cell=lattice,
            )
        )
    check_range(path, chosen, frames)
    return collector.reading(*file_units(path, LAYOUT, options, stated))


def _records(
    path: Path, text: str, stop: int | None
) -> Iterator[tuple[Record, dict[str, tuple[str, str]]]]:
    """The atoms of every frame with the names of their columns, and the items before them.

    An item is what follows its name on the line, and the line after it.
    """
    lines = text.split("\n")
    ended = not lines[-1].strip()
    while lines and not lines[-1].strip():
        lines.pop()
    frame = at = 0
    items: dict[str, tuple[str, str]] = {}
    while at < len(lines) and frame != stop:
        found = _ITEM.fullmatch(lines[at])
        if found is None:
            raise damaged(path, frame, at, f"expected 'ITEM: ...', found '{shown(lines[at])}'")
        item, rest = found.groups()
        if item != "ATOMS":
            length = 4 if item == "BOX BOUNDS" else 2
            items[item] = rest.strip(), "\n".join(lines[at + 1 : at + length]).strip()
            at += length
            continue
        A = count(items.get("NUMBER OF ATOMS", ("", ""))[1])
        if A is None or "BOX BOUNDS" not in items:
            raise damaged(path, frame, at, "no NUMBER OF ATOMS or BOX BOUNDS before the atoms")
        end = at + 1 + A
        cut = not ended and end >= len(lines)
        # A record's rows begin two lines behind its count.
        yield Record(frame, at - 1, A, rest, lines[at + 1 : end], cut), items
        at, frame, items = end, frame + 1, {}
    if items:
        raise damaged(path, frame, len(lines) - 1, "the file ends within this frame")


def _box(path: Path, record: Record, style: str, bounds: str) -> dict[str, Any]:
    """The cell and whether it is periodic; of `xy xz yz` as LAMMPS's Howto_triclinic has it."""
    pbc = [word.startswith("p") for word in style.split() if re.fullmatch("[pfsm]{2}", word)]
    if len(pbc) != 3:
        what = (
            "BOX BOUNDS does not say whether the box is periodic; a periodic one has pp pp pp, an "
            "isolated molecule ff ff ff"
        )
        raise damaged(path, record.frame, record.line + 1, what)
    if not any(pbc):
        return {"pbc": pbc}
    rows = [[number(word) for word in line.split()] for line in bounds.split("\n")]
    tilted, general = style.startswith("xy xz yz"), style.startswith("abc origin")
    width = 4 if general else 3 if tilted else 2
    if [len(row) for row in rows] != [width] * 3 or any(x is None for row in rows for x in row):
        what = f"expected three lines of {width} numbers below BOX BOUNDS {style}"
        raise damaged(path, record.frame, record.line + 1, what)
    table = np.array(rows, dtype=np.float64)
    if general:
        return {"pbc": pbc, "cell": table[:, :3]}
    xy, xz, yz = table[:, 2] if tilted else np.zeros(3)
    low = table[:, 0] - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
    high = table[:, 1] - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
    a, b, c = high - low
    return {"pbc": pbc, "cell": np.array([[a, 0.0, 0.0], [xy, b, 0.0], [xz, yz, c]])}


def _check_types(place: str, record: Record, column: int, elements: Mapping[str, int]) -> None:
    types = {words[column] for row in record.rows if len(words := row.split()) > column}
    for kind in sorted(types - set(elements)):
        raise UserError(f"{place}: --elements does not say which element type {shown(kind)} is")


def _vectors(rows: AtomRows, columns: tuple[str, ...], order: IntArray) -> FloatArray:
    """(1, A, 3)"""
    return np.hstack([rows.values[key] for key in columns])[order][None]
