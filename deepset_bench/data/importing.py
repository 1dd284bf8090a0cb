"""From the files and sets a user has to a named set in the catalogue."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepset_bench.data import catalogue
from deepset_bench.data.blocks import name_molecules
from deepset_bench.data.cache import cached
from deepset_bench.data.cp2k import read_cp2k
from deepset_bench.data.frames import Frames
from deepset_bench.data.hdf5 import read_hdf5
from deepset_bench.data.md17 import read_md17
from deepset_bench.data.readers import read_ase
from deepset_bench.data.sources import check_range, expand, frame_range
from deepset_bench.errors import UserError, nearest
from deepset_bench.files import digest

METHOD_UNKNOWN = "not known: labels as in the source files"
# Energies of sets that differ in one of these have no common zero.
_LEVEL = ("method", "electronic_temperature_kelvin")


def import_set(
    name: str,
    sources: Sequence[Path] = (),
    positions: Path | None = None,
    forces: Path | None = None,
    frames: str | None = None,
    relabel: str | None = None,
    labels: dict[str, str] | None = None,
    force: bool = False,
    about: Mapping[str, str] | None = None,
) -> str:
    """Read a CP2K pair, or files and sets one after another, and store them under `name`.

    Args:
        name: what `data=` is to call the set.
        sources: files (npz of MD17 or rMD17, HDF5 of ANI, whatever ASE reads) and names of sets; or
        positions, forces: the two files of a CP2K run, or patterns for one in parts.
        frames: `A-B` of each source, counted from 1 with both ends in; all frames for None.
        relabel: `gfn1` or `gfn2` to replace the labels by that method's energy and forces; files
            need none then.
        labels: keys, units and formulas in the files, as their readers take them.
        force: replace an imported set of this name.
        about: what its datasheet is to say besides: `method` of the labels, `command`, ...

    Returns:
        What was stored and what can be done with it, as one line.

    Raises:
        UserError: neither or both kinds of source, a name that is taken, or whatever the reader
            finds.
    """
    catalogue.check_new(name, force)
    labels, about = labels or {}, about or {}
    level: dict[str, Any] = _level(sources) if relabel is None else {}
    level = level or {"method": about.get("method", METHOD_UNKNOWN)}
    read = read_sources(name, sources, positions, forces, frames, labels, relabel is not None)
    origins = [_origin(path) for path in (*sources, positions, forces) if path is not None]
    if relabel is not None:
        read, level["method"] = relabelled(read, relabel)
    options = {"positions": positions, "forces": forces, "frames": frames, "relabel": relabel}
    words = ["bench", "data", "import", name, *map(str, sources)]
    for option, value in {**options, **labels}.items():
        if value is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    sheet = {
        "name": name,
        **level,
        "units": {"energy": "eV", "positions": "angstrom", "forces": "eV/angstrom"},
        "sources": origins,
        "command": shlex.join(words),
        "licence": "that of the sources",
        **{key: value for key, value in about.items() if key != "method"},
    }
    folder = catalogue.register(name, read, sheet, force)
    return (
        f"{name}: {len(read)} frames in {folder}; train on it with data={name}, "
        f"examine it with: bench data check {name}"
    )


def read_sources(
    name: str,
    sources: Sequence[Path] = (),
    positions: Path | None = None,
    forces: Path | None = None,
    frames: str | None = None,
    labels: Mapping[str, str] | None = None,
    unlabelled: bool = False,
) -> Frames:
    """The frames of a CP2K pair, or of files and sets one after another; see `import_set`.

    Args:
        unlabelled: files need no energies and forces.

    Raises:
        UserError: neither or both kinds of source, or whatever the reader finds.
    """
    pair = [path for path in (positions, forces) if path is not None]
    if len(pair) == 2 and not sources:
        if labels:
            raise UserError(
                "keys, units and formulas are options for files; a CP2K pair is always in "
                "angstrom, hartree and hartree/bohr"
            )
        return cached(read_cp2k, pair, name=name, frames=frames)
    if sources and not pair:
        parts = [_read(source, name, frames, dict(labels or {}), unlabelled) for source in sources]
        return _joined(parts, name)
    raise UserError(
        "give either files or sets, or both --positions and --forces (a CP2K pair; one in "
        "many files as patterns in quotes)"
    )


def is_set(source: Path) -> bool:
    """Whether it names a set, and no file."""
    return not source.is_file() and str(source) in catalogue.names()


def _read(
    source: Path, name: str, frames: str | None, labels: dict[str, Any], unlabelled: bool
) -> Frames:
    """One source: a set there is, or a file by what its first bytes say it is."""
    if is_set(source):
        if labels:
            raise UserError(f"keys, units and formulas are options for files; {source} is a set")
        chosen, read = frame_range(frames), catalogue.load(str(source))
        check_range(source, chosen, len(read))
        return read.select(chosen)
    try:
        with source.open("rb") as stream:
            magic = stream.read(8)
    except FileNotFoundError:
        near = nearest(str(source), catalogue.names())
        raise UserError(f"{source}: no such file, and no such set; {near}") from None
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror})") from None
    options = {"name": name, "frames": frames, "unlabelled": unlabelled, **labels}
    if magic == b"\x89HDF\r\n\x1a\n" or source.suffix in (".h5", ".hdf5"):
        return read_hdf5(source, **options)
    if "formula" in labels:
        raise UserError(f"{source}: --formula chooses from HDF5 files, which this is not")
    if magic.startswith(b"PK\x03\x04") or source.suffix == ".npz":
        return read_md17(source, **options)
    return cached(read_ase, [source], **options)


def _joined(parts: list[Frames], name: str) -> Frames:
    """All parts as one set, their frames numbered one after another."""
    shifted, first = [], 0
    for part in parts:
        shifted.append(replace(part, index=part.index + first))
        first += int(part.index.max()) + 1
    return parts[0] if len(parts) == 1 else name_molecules(Frames.concatenate(shifted), name)


def _level(sources: Sequence[Path]) -> dict[str, Any]:
    """The method of the labels, where all sources are sets; refuses sets of different ones."""
    sets = [source for source in sources if is_set(source)]
    levels = []
    for source in sets:
        sheet = catalogue.datasheet(str(source))
        levels.append({key: sheet[key] for key in _LEVEL if key in sheet})
        if levels[-1] != levels[0]:
            first, other = (
                ", ".join(f"{key} '{value}'" for key, value in level.items())
                for level in (levels[0], levels[-1])
            )
            raise UserError(
                f"{sets[0]} has {first}, but {source} has {other}; their energies have no common "
                "zero: compute all anew with --relabel gfn1"
            )
    return levels[0] if levels and len(sets) == len(sources) else {}


def _origin(source: Path) -> dict[str, Any]:
    if is_set(source):
        return {"set": str(source), "sha256": catalogue.checksum(str(source))}
    files = expand(source)
    several = {"files": len(files)} if len(files) > 1 else {}
    return {"file": source.name, **several, "sha256": digest(files)}


def relabelled(frames: Frames, method: str, **options: float) -> tuple[Frames, str]:
    """The same geometries with a method's labels, with a progress bar; and the method's name.

    Args:
        frames: any set.
        method: `gfn1` or `gfn2`.
        options: as `xtb.relabel` takes them.

    Raises:
        UserError: see `xtb.relabel`.
    """
    from rich.console import Console
    from rich.progress import Progress

    from deepset_bench.data.xtb import METHODS, relabel

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{METHODS[method]} labels", total=len(frames))
        labelled = relabel(
            frames, method, progress=lambda done, _: bar.update(task, completed=done), **options
        )
    if not frames.forces.any():  # the source had none, so nothing is known of a bias
        labelled = replace(labelled, bias_forces=None)
    return labelled, METHODS[method]
