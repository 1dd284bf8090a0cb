"""From the files a user has to a named set in the catalogue."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any

from deepset_bench.data.catalogue import check_new, register
from deepset_bench.data.cp2k import read_cp2k
from deepset_bench.data.frames import Frames
from deepset_bench.data.readers import read_ase
from deepset_bench.errors import UserError

METHOD_UNKNOWN = "not known: labels as in the source files"


def import_set(
    name: str,
    file: Path | None = None,
    positions: Path | None = None,
    forces: Path | None = None,
    frames: str | None = None,
    relabel: str | None = None,
    labels: dict[str, str] | None = None,
    force: bool = False,
) -> str:
    """Read a CP2K pair or one file ASE reads, and store it under `name`.

    Args:
        name: what `data=` is to call the set.
        file: a file ASE reads; or
        positions, forces: the two files of a CP2K run.
        frames: `A-B`, counted from 1 with both ends in; all frames for None.
        relabel: `gfn1` or `gfn2` to replace the labels by that method's energy and forces.
        labels: keys and units of `file`, as `read_ase` takes them.
        force: replace an imported set of this name.

    Returns:
        What was stored and what can be done with it, as one line.

    Raises:
        UserError: neither or both kinds of source, a name that is taken, or whatever the reader
            finds.
    """
    check_new(name, force)
    if file is not None and positions is None and forces is None:
        sources = {"file": file}
        read = read_ase(file, name, frames, **(labels or {}))
    elif file is None and positions is not None and forces is not None:
        if labels:
            raise UserError(
                "keys and units are options for a FILE; a CP2K pair is always in angstrom, "
                "hartree and hartree/bohr"
            )
        sources = {"positions": positions, "forces": forces}
        read = read_cp2k(positions, forces, name, frames)
    else:
        raise UserError("give either FILE, or both --positions and --forces (a CP2K pair)")
    method = METHOD_UNKNOWN
    if relabel is not None:
        read, method = _relabelled(read, relabel)
    options = {**sources, "frames": frames, "relabel": relabel, **(labels or {})}
    folder = register(name, read, _datasheet(name, sources, options, method), force)
    return (
        f"{name}: {len(read)} frames in {folder}; train on it with data={name}, "
        f"look at it with: bench data show {name}"
    )


def _relabelled(frames: Frames, method: str) -> tuple[Frames, str]:
    from rich.console import Console
    from rich.progress import Progress

    from deepset_bench.data.xtb import METHODS, relabel

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{METHODS[method]} labels", total=len(frames))
        labelled = relabel(
            frames, method, progress=lambda done, total: bar.update(task, completed=done)
        )
    return labelled, METHODS[method]


def _datasheet(
    name: str, sources: dict[str, Path], options: dict[str, Any], method: str
) -> dict[str, Any]:
    words = ["bench", "data", "import", name]
    for option, value in options.items():
        if option == "file":
            words.append(str(value))
        elif value is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    return {
        "name": name,
        "method": method,
        "units": {"energy": "eV", "positions": "angstrom", "forces": "eV/angstrom"},
        "sources": {
            role: {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for role, path in sources.items()
        },
        "command": shlex.join(words),
        "licence": "that of the source files",
    }
