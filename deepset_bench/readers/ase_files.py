"""ASE's own files: trajectories, and databases as SQLite or JSON, those of SchNetPack among them.

Other formats that ASE reads are not read through it: of some it guesses elements and energies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms
from ase.db import connect
from ase.io import iread

from deepset_bench.errors import UserError
from deepset_bench.readers.arrays import elements_array
from deepset_bench.readers.labels import Collector, Found, Layout
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.own_units import as_text, file_units, stated_units
from deepset_bench.readers.sources import Source, check_range, frame_range
from deepset_bench.readers.states import ATOMS
from deepset_bench.readers.xyz import reason
from deepset_bench.variants import reader

TRAJECTORY = Layout(convention="ASE's own")
DATABASE = Layout()
_ROWS = ("key_value_pairs", "data")


@reader("ASE trajectory", begins=rb"- of Ulm")
def read_trajectory(path: Path, name: str, options: Options, unlabelled: bool = False) -> Reading:
    """Read a `.traj` file; see `read_database`."""
    return _read(path, name, options, unlabelled, TRAJECTORY, "traj")


@reader("ASE database", begins=rb"SQLite format 3\x00")
def read_database(path: Path, name: str, options: Options, unlabelled: bool = False) -> Reading:
    """Read an ASE database into eV, angstrom and eV/angstrom.

    Labels are in the results of a calculator, the key-value pairs or the data of a row. Units that
    the metadata state, as SchNetPack's do, are used.

    Args:
        path: the file, plain or packed.
        name, options, unlabelled: as for `read_extxyz`.

    Raises:
        UserError: a file ASE cannot read, an impossible cell, a label that is missing or not
            finite; one line with the file and the frame (from 1).
    """
    return _read(path, name, options, unlabelled, DATABASE, "db")


@reader("ASE database as JSON", begins=rb"\s*\{")
def read_json(path: Path, name: str, options: Options, unlabelled: bool = False) -> Reading:
    """The same of a database as JSON."""
    return _read(path, name, options, unlabelled, DATABASE, "json")


def _read(
    path: Path, name: str, options: Options, unlabelled: bool, layout: Layout, kind: str
) -> Reading:
    metadata: dict[str, Any] = {}
    stop = frame_range(options.frames).stop
    images = _images(path, kind, stop, metadata)
    return from_images(images, path, name, options, unlabelled, layout, metadata)


def from_images(
    images: Iterable[Atoms],
    path: Path,
    name: str,
    options: Options,
    unlabelled: bool = False,
    layout: Layout = DATABASE,
    metadata: Mapping[str, Any] = MappingProxyType({}),
) -> Reading:
    """Frames of ASE's atoms, in eV, angstrom and eV/angstrom.

    Labels are what `--energy-key` and `--forces-key` name, else `energy` and `forces`, in the
    results of a calculator, in `info` and `arrays`.

    Args:
        images: every frame of the file, from the first on.
        path: the file, for messages.
        name, options, unlabelled: as for `read_extxyz`.
        layout: what labels are called, and units where nothing else is said.
        metadata: of the file, which may state units.

    Raises:
        UserError: see `read_database`.
    """
    chosen = frame_range(options.frames)
    collector = Collector(path, name, layout, options, unlabelled)
    m = -1
    for m, atoms in enumerate(images):
        if m < chosen.start:
            continue
        place = f"{path}: frame {m + 1}"
        stored, about = _labels(atoms, place)
        cell = {"cell": atoms.cell.array, "pbc": atoms.pbc} if atoms.pbc.any() else {}
        collector.add(
            Found(
                numbers=elements_array(atoms.numbers, "numbers", place),
                positions=atoms.positions[None],
                stored={key: np.asarray(value)[None] for key, value in stored.items()},
                index=np.array([m]),
                where=partial(where_of, place),
                about=about,
                cell=collector.cell(place, cell, stored),
            )
        )
    check_range(path, chosen, m + 1)
    units = stated_units(metadata)
    for quantity, key in zip(("energy", "force"), collector.keys(()), strict=True):
        unit = as_text(dict(metadata.get("_property_unit_dict") or {}).get(key))
        if unit:
            units[quantity] = key, unit
    return collector.reading(*file_units(path, layout, options, units))


def where_of(place: str, frame: int, atom: int | None) -> str:
    """Where an atom of the one frame at `place` is."""
    return place if atom is None else f"{place}, atom {atom + 1}"


def _images(path: Path, kind: str, stop: int | None, metadata: dict[str, Any]) -> Iterator[Atoms]:
    """The first `stop` frames of a file, or all; what ASE trips over becomes one line."""
    m = 0
    with Source.open(path).plain() as plain:
        try:
            if kind == "traj":
                images = iread(
                    plain, format="traj", index=slice(0, stop), do_not_split_by_at_sign=True
                )
            else:
                images = _rows(plain, kind, stop, metadata)
            for atoms in images:
                yield atoms
                m += 1
        except Exception as error:
            remedy = f", or read what comes before with --frames 1-{m}" if m else ""
            what = f"ASE cannot read it ({reason(path, error)})"
            raise UserError(f"{path}: frame {m + 1}: {what}; write it again{remedy}") from None


def _rows(path: Path, kind: str, stop: int | None, metadata: dict[str, Any]) -> Iterator[Atoms]:
    # iread leaves out the key-value pairs and the data of a row, where named labels are.
    with connect(path, type=kind, serial=True) as database:
        metadata |= database.metadata
        for row in database.select(limit=stop):
            atoms = row.toatoms(add_additional_information=True)
            # A row's own property `charge`, of ASE's initial charges, hides the key of that name.
            pairs = {key: vars(row).get(key, value) for key, value in row.key_value_pairs.items()}
            atoms.info["key_value_pairs"] = pairs
            yield atoms


def _labels(atoms: Atoms, place: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything stored with a frame, and of it what is of the whole frame, by name.

    Raises:
        UserError: one name has two values.
    """
    whole = {key: value for key, value in atoms.info.items() if key not in _ROWS}
    parts: list[Mapping[str, Any]] = [atoms.info.get(key) or {} for key in _ROWS]
    for part in (atoms.calc.results if atoms.calc else {}, *parts):
        for key, value in part.items():
            if key in whole and not np.array_equal(np.ravel(whole[key]), np.ravel(value)):
                raise UserError(f"{place}: '{key}' has two values; keep the one that is right")
            whole[key] = value
    about = {key: value for key, value in whole.items() if np.size(value) == 1}
    if ATOMS in atoms.arrays:
        about[ATOMS] = atoms.arrays[ATOMS]
    return {**atoms.arrays, **whole}, about
