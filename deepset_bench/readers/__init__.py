"""The one list of formats: how the content of a file is recognised, and which reader reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.readers.ase_files import read_database, read_json, read_trajectory
from deepset_bench.readers.cache import cached
from deepset_bench.readers.cp2k import read_cp2k
from deepset_bench.readers.extxyz import read_extxyz
from deepset_bench.readers.hdf5 import read_hdf5
from deepset_bench.readers.lammps import read_lammps
from deepset_bench.readers.npz import read_npz
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.sources import Source
from deepset_bench.readers.xyz import shown


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        name: for messages.
        begins: what its content begins with.
        read: takes path, name, options and whether labels may be missing.
        takes: options that mean something to it alone.
        slow: whether reading is slower than finding what was read before.
    """

    name: str
    begins: re.Pattern[bytes]
    read: Callable[..., Reading]
    takes: frozenset[str] = frozenset()
    slow: bool = True


_ELEMENTS = frozenset({"elements"})
XYZ = Format(
    "XYZ or extended XYZ",
    re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\x00]*[0-9]+[\s\x00]*(?:\n|$)"),
    read_extxyz,
    _ELEMENTS,
)
FORMATS = (
    Format(
        "HDF5 of ANI-1 or ANI-1x",
        re.compile(rb"\x89HDF\r\n\x1a\n"),
        read_hdf5,
        frozenset({"formula"}),
        slow=False,
    ),
    Format("npz of MD17 or rMD17", re.compile(rb"PK[\x03\x05]"), read_npz, slow=False),
    Format("ASE database", re.compile(rb"SQLite format 3\x00"), read_database),
    Format("ASE database as JSON", re.compile(rb"\s*\{"), read_json),
    Format("ASE trajectory", re.compile(rb"- of Ulm"), read_trajectory),
    Format("LAMMPS dump with elements", re.compile(rb"ITEM: "), read_lammps, _ELEMENTS),
    XYZ,
)


def read(path: Path, name: str, options: Options, unlabelled: bool = False) -> Reading:
    """Read a file by what its content is, whatever its name and however it is packed.

    Args:
        path: the file.
        name: what to call the set.
        options: what the command line says.
        unlabelled: it needs no energies and forces.

    Raises:
        UserError: see `recognised`, or whatever the reader finds.
    """
    found = recognised(path)
    for option in ("elements", "formula"):
        if option in options.given and option not in found.takes:
            takers = " and ".join(known.name for known in FORMATS if option in known.takes)
            raise UserError(f"{path}: --{option} is for {takers}; this is {found.name}")
    if found.slow:
        return cached(found.read, [path], name, options, unlabelled)
    return found.read(path, name, options, unlabelled)


def recognised(path: Path) -> Format:
    """Of which format a file is.

    Raises:
        UserError: none that is known; or it cannot be read at all.
    """
    head = Source.open(path).head
    for known in FORMATS:
        if known.begins.match(head):
            return known
    if {".xyz", ".extxyz"} & {suffix.lower() for suffix in path.suffixes}:
        return XYZ  # damaged; its reader says where
    begins = shown(head.decode("ascii", "backslashreplace"))
    raise UserError(
        f"{path}: begins with '{begins}' and is none of the formats that are read "
        f"({', '.join(known.name for known in FORMATS)}); write extended XYZ with elements, "
        "energies and forces"
    )


def read_pair(
    positions: Path, forces: Path | None, name: str, options: Options, unlabelled: bool = False
) -> Reading:
    """Read the two files of a CP2K run, or the positions alone; see `read_cp2k`."""
    if "formula" in options.given:
        raise UserError("--formula is for HDF5 of ANI-1 or ANI-1x, not for a CP2K pair")
    pair = [path for path in (positions, forces) if path is not None]
    return cached(read_cp2k, pair, name, options, unlabelled)
