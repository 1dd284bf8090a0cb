"""From the files and sets a user has to a named set in the catalogue."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepset_bench.data import catalogue
from deepset_bench.data.gathering import Gathered, Request, gather, is_set
from deepset_bench.data.one_surface import check_one_surface
from deepset_bench.data.splits import divisible
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames

# Energies of sets that differ in one of these have no common zero.
_LEVEL = ("method", "electronic_temperature_kelvin")
# Of how frames were read, what their datasheet keeps.
FACTS = ("charge", "spin_multiplicity", "left_out", "read_as")


def import_set(
    name: str,
    request: Request,
    relabel: str | None = None,
    force: bool = False,
    about: Mapping[str, str] | None = None,
) -> str:
    """Read a CP2K pair, or files and sets one after another, and store them under `name`.

    Args:
        name: of the new set, for `data=NAME`.
        request: where the frames are.
        relabel: `gfn1` or `gfn2` to replace the labels by that method's energy and forces; files
            need none then.
        force: replace an imported set of this name.
        about: what its datasheet is to say besides: `method` of the labels, `command`, ...

    Returns:
        What was stored, how it was read and what can be done with it, as one line.

    Raises:
        UserError: a name that is taken, geometries with two energies, or whatever the reader finds.
    """
    catalogue.check_new(name, force)
    about = about or {}
    level: dict[str, Any] = _level(request.sources) if relabel is None else {}
    level = level or {"method": about.get("method", catalogue.METHOD_UNKNOWN)}
    read = gather(replace(request, name=name), unlabelled=relabel is not None)
    frames = read.frames
    if relabel is not None:
        frames, level["method"] = relabelled(frames, relabel)
    check_one_surface(frames)
    command = f"bench data import {shlex.quote(name)} {request.words}"
    if request.options.frames:
        command += f" --frames {request.options.frames}"
    if relabel:
        command += f" --relabel {relabel}"
    sheet = {
        "name": name,
        **level,
        "units": {"energy": "eV", "positions": "angstrom", "forces": "eV/angstrom"},
        **{key: read.sheet[key] for key in FACTS if key in read.sheet},
        "sources": read.sources,
        "command": command,
        "licence": "that of the sources",
        **{key: value for key, value in about.items() if key != "method"},
    }
    return stored(name, frames, sheet, read, force)


def stored(name: str, frames: Frames, sheet: Mapping[str, Any], read: Gathered, force: bool) -> str:
    """Register a set; what was stored, how it was read and what can be done with it, as one line.

    Raises:
        UserError: see `catalogue.register`.
    """
    folder = catalogue.register(name, frames, sheet, force)
    count = f"{len(frames):,} frame{'s' * (len(frames) != 1)}"
    remarks = list(read.remarks)
    if apart := len(frames) - len(divisible(frames)):
        remarks.append(f"{apart} of lone atoms, for reference=isolated_atoms and in no part")
    use = f"train on it with: bench train data={name}"
    if alone := sum(int((~part.has_forces).sum()) for part in frames.pieces()):
        remarks.append(f"{alone:,} without forces")
        use = f"score a run on it with: bench evaluate RUN data={name}"
    facts = [f"{count} in {folder}", *remarks, f"examine it with: bench data check {name}", use]
    return f"{name}: {'; '.join(facts)}"


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
                "zero: recompute all with --relabel gfn1"
            )
    return levels[0] if levels and len(sets) == len(sources) else {}


def relabelled(frames: Frames, method: str, **options: float) -> tuple[Frames, str]:
    """The same geometries with a method's labels, with a progress bar; and the method's name.

    Args:
        frames: any set.
        method: `gfn1` or `gfn2`.
        options: as `xtb.relabel` takes them.

    Raises:
        UserError: see `xtb.relabel`.
    """
    from rich.progress import Progress

    from deepset_bench.console import Console
    from deepset_bench.molecules.xtb import METHODS, relabel

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{METHODS[method]} labels", total=len(frames))
        labelled = relabel(
            frames, method, progress=lambda done, _: bar.update(task, completed=done), **options
        )
    # Where the source had none, nothing is known of a bias.
    if not frames.forces.any() or not frames.has_forces.all():
        labelled = replace(labelled, bias_forces=None)
    return labelled, METHODS[method]
