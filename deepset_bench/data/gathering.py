"""A set by its name, or files that are no set yet: what `check` and `relabel` work on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepset_bench.data import catalogue
from deepset_bench.data.frames import Frames
from deepset_bench.data.importing import METHOD_UNKNOWN, is_set, read_sources

_ENDINGS = re.compile(r"(-(pos|frc)(-\d+)?)?(\.(xyz|extxyz|traj|db|npz|h5|hdf5))?(\.(xz|gz))?$")


@dataclass(frozen=True)
class Request:
    """What the command line says about where frames are.

    Attributes:
        sources: files and names of sets; or
        positions, forces: a CP2K pair.
        frames: `A-B`, counted from 1 with both ends in.
        labels: keys and units of the files, as `read_sources` takes them.
        name: what the molecule is called; by default the set's name, or the file's.
    """

    sources: tuple[Path, ...] = ()
    positions: Path | None = None
    forces: Path | None = None
    frames: str | None = None
    labels: Mapping[str, str] | None = None
    name: str | None = None

    @property
    def words(self) -> str:
        """The same for a command line, without the frames."""
        words = [str(source) for source in self.sources]
        named = {"positions": self.positions, "forces": self.forces, **(self.labels or {})}
        for option, value in named.items():
            if value is not None:
                words += [f"--{option.replace('_', '-')}", str(value)]
        return shlex.join(words)


@dataclass(frozen=True, eq=False)
class Gathered:
    """Frames, what they are called and what is known about them."""

    name: str
    frames: Frames
    sheet: dict[str, Any]


def gather(request: Request, unlabelled: bool = False) -> Gathered:
    """Read them.

    Args:
        unlabelled: files need no energies and forces.

    Raises:
        UserError: no such set or file, or whatever the reader finds.
    """
    sheet: dict[str, Any] = {"method": METHOD_UNKNOWN}
    first = (*request.sources, request.positions or Path("unnamed"))[0]
    name = first.name if is_set(first) else _ENDINGS.sub("", first.name)
    if len(request.sources) == 1 and is_set(first):
        sheet = catalogue.datasheet(str(first))
    name = request.name or name
    read = read_sources(
        name,
        request.sources,
        request.positions,
        request.forces,
        request.frames,
        request.labels,
        unlabelled,
    )
    return Gathered(name, read, sheet)
