"""How the content of a file is recognised, and which reader reads it; see `variants.reader`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepset_bench import registry
from deepset_bench.definition import Variant
from deepset_bench.errors import UserError
from deepset_bench.readers.cache import cached
from deepset_bench.readers.options import Options, Reading, StatedLaterError
from deepset_bench.readers.sources import Source
from deepset_bench.readers.xyz import shown


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
        if option in options.given and option not in found.traits["takes"]:
            takers = [one.name for one in _readers() if option in one.traits["takes"]]
            raise UserError(
                f"{path}: --{option} is for {' and '.join(takers)}; this is {found.name}"
            )
    try:
        reading = _apply(found, path, name, options, unlabelled)
    except StatedLaterError as later:
        states = (*options.states, later.quantity)
        return read(path, name, replace(options, states=states), unlabelled)
    if not isinstance(reading, Reading):
        raise UserError(f"{found.file}: {found} returns {type(reading).__name__}, not a Reading")
    return reading


def _apply(found: Variant, path: Path, name: str, options: Options, unlabelled: bool) -> Any:
    if found.ours and found.traits["slow"]:
        return cached(found.load(), [path], name, options, unlabelled)
    return found.apply(path, name, options, unlabelled, file=path)


def recognised(path: Path) -> Variant:
    """The reader of a file; those of one's own are asked first.

    Raises:
        UserError: none knows it; or it cannot be read at all.
    """
    head = Source.open(path).head
    readers = _readers()
    for known in readers:
        if re.compile(known.traits["begins"]).match(head):
            return known
    for known in readers:
        if set(known.traits["suffixes"]) & {suffix.lower() for suffix in path.suffixes}:
            return known
    begins = shown(head.decode("ascii", "backslashreplace"))
    raise UserError(
        f"{path}: begins with '{begins}' and is not in a format that is read "
        f"({', '.join(known.name for known in readers)}); write extended XYZ with elements, "
        "energies and forces"
    )


def _readers() -> list[Variant]:
    found = [one for (kind, _), one in registry.variants().items() if kind == "reader"]
    return sorted(found, key=lambda one: one.ours)


def read_pair(
    positions: Path, forces: Path | None, name: str, options: Options, unlabelled: bool = False
) -> Reading:
    """Read the two files of a CP2K run, or the positions alone; see `read_cp2k`."""
    if "formula" in options.given:
        raise UserError("--formula is for HDF5 of ANI-1, ANI-1x or SPICE, not for a CP2K pair")
    pair = [path for path in (positions, forces) if path is not None]
    from deepset_bench.readers.cp2k import read_cp2k

    return cached(read_cp2k, pair, name, options, unlabelled)
