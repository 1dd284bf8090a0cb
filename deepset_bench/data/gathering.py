"""Where frames are, as the command line says it, and reading them: files, sets, or both."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError, nearest
from deepset_bench.files import digest
from deepset_bench.molecules.frames import Frames, IntArray, lowest_multiplicity
from deepset_bench.molecules.mapped import LARGE, passing
from deepset_bench.readers import read, read_pair
from deepset_bench.readers.arrays import name_molecules
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.own_units import noted_units, units_text
from deepset_bench.readers.sources import check_range, expand, frame_range
from deepset_bench.units import Units

_ENDINGS = re.compile(
    r"(-(pos|frc)(-\d+)?)?(\.(xyz|extxyz|traj|db|json|npz|h5|hdf5|dump|lammpstrj))?"
    r"(\.(xz|gz|bz2|zst))?$",
    re.IGNORECASE,
)
_OF_SETS = ("frames", "charge", "spin")  # options that mean something for a set


@dataclass(frozen=True)
class Request:
    """What the command line says about where frames are.

    Attributes:
        sources: files and names of sets; or
        positions, forces: a CP2K pair, or its positions alone.
        options: how to read them.
        name: what the molecule is called; by default the set's name, or the file's.
    """

    sources: tuple[Path, ...] = ()
    positions: Path | None = None
    forces: Path | None = None
    options: Options = field(default_factory=Options)
    name: str | None = None

    @property
    def words(self) -> str:
        """The same for a command line, without the frames."""
        words = [str(source) for source in self.sources]
        for option, value in (("--positions", self.positions), ("--forces", self.forces)):
            words += [] if value is None else [option, str(value)]
        return shlex.join([*words, *replace(self.options, frames=None).words])


@dataclass(frozen=True, eq=False)
class Gathered:
    """Frames, what they are called and what is known about them.

    Attributes:
        name: of the set or file.
        frames: all of them.
        sheet: the datasheet of a set, or what is known of files: their `method`, and `facts`.
        facts: of this reading, where it applies: `charge`, `spin_multiplicity`, `left_out` and
            `read_as`, the units.
        sources: every file and set with its checksum, and how it was read.
    """

    name: str
    frames: Frames
    sheet: dict[str, Any]
    facts: dict[str, Any]
    sources: list[dict[str, Any]]

    @property
    def units(self) -> Units:
        """Those that all files were read in, or that the files of a set were; else the usual."""
        notes = [*self.sources, *self.sheet.get("sources", ())]
        read = [note["units"] for note in notes if isinstance(note, dict) and "units" in note]
        units = {noted_units(each) for each in read}
        return units.pop() if len(units) == 1 else Units()

    @property
    def remarks(self) -> list[str]:
        """What a person should hear of how they were read, in words."""
        facts = [f"{text}: left out" for text in self.facts.get("left_out", ())]
        if "charge" in self.facts:
            facts.append(f"charge {_listed(self.facts['charge'], '+d')}")
        if "spin_multiplicity" in self.facts:
            facts.append(f"spin multiplicity {_listed(self.facts['spin_multiplicity'], 'd')}")
        if "read_as" in self.facts:
            facts.append(f"read as {self.facts['read_as']}")
        return facts


def gather(request: Request, unlabelled: bool = False) -> Gathered:
    """Read a CP2K pair, or files and sets one after another.

    Args:
        request: where they are.
        unlabelled: files need no energies and forces.

    Raises:
        UserError: neither or both kinds of source, no such set or file, or whatever the reader
            finds.
    """
    first = (*request.sources, request.positions or Path("unnamed"))[0]
    name = request.name or (first.name if is_set(first) else _ENDINGS.sub("", first.name))
    parts = _read(request, name, unlabelled)
    frames = _joined([part.frames for part in parts if len(part.frames)], name)
    sheet: dict[str, Any] = {"method": catalogue.METHOD_UNKNOWN}
    if len(request.sources) == 1 and is_set(first):
        sheet = catalogue.datasheet(str(first))
    given = (*request.sources, request.positions, request.forces)
    origins = [_origin(path) for path in given if path is not None]
    notes = [part.notes for part in parts]
    facts = _states(frames)
    left_out = [
        text if len(parts) == 1 else f"{source}: {text}"
        for source, note in zip_longest(request.sources, notes)
        for text in note.get("left_out", ())
    ]
    units = {units_text(note["units"]): None for note in notes if "units" in note}
    if left_out:
        facts["left_out"] = left_out
    if units:
        facts["read_as"] = "; ".join(units)
    for origin, note in zip(origins, notes, strict=False):  # a pair has one for both files
        origin |= note
    return Gathered(name, frames, {**sheet, **facts}, facts, origins)


def is_set(source: Path) -> bool:
    """Whether it names a set, and no file."""
    return not source.is_file() and str(source) in catalogue.names()


def _read(request: Request, name: str, unlabelled: bool) -> list[Reading]:
    positions, forces, options = request.positions, request.forces, request.options
    if not request.sources and positions is not None and (forces is not None or unlabelled):
        return [read_pair(positions, forces, name, options, unlabelled)]
    if request.sources and positions is None and forces is None:
        parts = [_read_one(source, name, options, unlabelled) for source in request.sources]
        for quantity in ("charge", "spin"):
            parts = _of_one_state(parts, quantity, getattr(options, quantity))
        if not any(len(part.frames) for part in parts):
            raise UserError("no geometry has the charge and spin that are asked for")
        return parts
    raise UserError(
        "give either files or sets, or both --positions and --forces (a CP2K pair; one in many "
        "files as patterns in quotes), or --positions alone to compute labels with --relabel gfn1"
    )


def _read_one(source: Path, name: str, options: Options, unlabelled: bool) -> Reading:
    reading = _read_source(source, name, options, unlabelled)
    periodic = reading.frames.periodic
    if unlabelled and periodic.any():
        frame = reading.frames.index[np.argmax(periodic)] + 1
        raise UserError(
            f"{source}: frame {frame}: is periodic, and GFN-xTB computes labels of isolated "
            'molecules alone here; if it is one, write pbc="F F F", or ff ff ff behind BOX BOUNDS '
            "in a LAMMPS dump; else give a file with energies and forces"
        )
    return reading


def _read_source(source: Path, name: str, options: Options, unlabelled: bool) -> Reading:
    if is_set(source):
        return _read_set(source, options)
    if not source.exists():
        near = nearest(str(source), catalogue.names())
        raise UserError(f"{source}: no such file, and no such set; {near}")
    return read(source, name, options, unlabelled)


def _read_set(source: Path, options: Options) -> Reading:
    """A set there is: with the charge and spin that are asked for, or its frames that have them."""
    if set(options.given) - set(_OF_SETS):
        raise UserError(f"keys, units and the like are options for files; {source} is a set")
    chosen, frames = frame_range(options.frames), catalogue.load(str(source))
    check_range(source, chosen, len(frames))
    frames = frames.select(chosen)
    states = [quantity for quantity in ("charge", "spin") if getattr(frames, quantity).any()]
    left_out: list[str] = []
    for quantity in ("charge", "spin"):
        asked, has = getattr(options, quantity), getattr(frames, quantity)
        if asked is None:
            continue
        if not has.any():
            has = np.full(len(frames), asked)
            frames = replace(frames, **{quantity: has})
        mine = np.flatnonzero(has == asked)
        if not len(mine):
            raise UserError(f"{source}: no geometry has the {quantity} {asked}, but {has[0]}")
        left_out += _left_out(mine, frames, quantity)
        frames = frames.select(mine)
    notes = {"left_out": left_out, "states": states}
    return Reading(frames, {key: text for key, text in notes.items() if text})


def _of_one_state(parts: list[Reading], quantity: str, asked: int | None) -> list[Reading]:
    """Where some sources state a charge or spin, frames of the others are of the lowest one."""
    states = [quantity in part.notes.get("states", ()) for part in parts]
    if asked is None or all(states) or not any(states):
        return parts
    found = []
    for part, known in zip(parts, states, strict=True):
        if not known:
            electrons = part.frames.electrons
            has = lowest_multiplicity(electrons) if quantity == "spin" else 0 * electrons
            mine = np.flatnonzero(has == asked)
            if remark := _left_out(mine, part.frames, quantity):
                left_out = [*part.notes.get("left_out", ()), *remark]
                part = Reading(part.frames.select(mine), {**part.notes, "left_out": left_out})
        found.append(part)
    return found


def _left_out(kept: IntArray, frames: Frames, quantity: str) -> list[str]:
    """What is said where not all frames have the charge or spin that is asked for."""
    if len(kept) == len(frames):
        return []
    what = f"{len(frames) - len(kept):,} of {len(frames):,} geometries"
    return [f"{what} have another {quantity}"]


def _joined(parts: Sequence[Frames], name: str) -> Frames:
    """All parts as one set, their frames numbered one after another."""
    if len(parts) == 1:
        return parts[0]
    shifted, first = [], 0
    for part in parts:
        shifted.append(replace(part, index=part.index + first))
        first += int(part.index.max()) + 1
    if sum(len(part.numbers) for part in parts) > LARGE:
        joined = passing(piece for part in shifted for piece in part.pieces())
    else:
        joined = Frames.concatenate(shifted)
    return name_molecules(joined, name)


def _origin(source: Path) -> dict[str, Any]:
    if is_set(source):
        return {"set": str(source), "sha256": catalogue.checksum(str(source))}
    files = expand(source)
    several = {"files": len(files)} if len(files) > 1 else {}
    return {"file": source.name, **several, "sha256": digest(files)}


def _states(frames: Frames) -> dict[str, Any]:
    """Charge and spin multiplicity, where any is stated: one, or a list of all there are."""
    found: dict[str, Any] = {}
    if frames.charge.any() or frames.spin.any():
        for key, values in (("charge", frames.charge), ("spin_multiplicity", frames.multiplicity)):
            all_of = np.unique(values).tolist()
            found[key] = all_of[0] if len(all_of) == 1 else all_of
    return found


def _listed(values: int | list[int], form: str) -> str:
    every = values if isinstance(values, list) else [values]
    return " and ".join(format(value, form) if value else "0" for value in every)
