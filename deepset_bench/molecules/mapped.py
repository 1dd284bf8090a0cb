"""Sets larger than memory: a folder with an `.npy` file for each array of `Frames`, mapped.

What is mapped takes memory only where it is read, and the system takes it back when it needs it.
Frames are checked when they are written, and never again.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from deepset_bench.errors import UserError
from deepset_bench.files import cache_home, unfinished
from deepset_bench.molecules.frames import Frames, IntArray
from deepset_bench.surroundings import of_file

LARGE = 2_000_000
"""Atoms of a set from which on it is mapped: some 100 MB. Not more than `frames.PIECE`, so that
what is computed of a set in memory is computed of all of it at once."""

_NAMES = "molecule"
_BYTES = 2 * (8 + 3 * 8 + 3 * 8 + 16)  # an atom's number, position, force and share of the rest
_OPTIONAL = {"charge": 0, "spin": 0, "cell": 0, "pbc": 0, "stress": np.nan}
"""What frames have that do not have it; not kept where no frame has it."""


def is_large(frames: Frames) -> bool:
    """Whether a set is to be mapped."""
    return len(frames.numbers) > LARGE


def files(folder: Path) -> list[Path]:
    """The arrays of a set, in the order in which they are summed for its checksum."""
    return sorted(folder.glob("*.npy"))


def load(folder: Path) -> Frames:
    """What `write` wrote, mapped.

    Raises:
        UserError: an array is missing or damaged.
    """
    wanted = {f.name for f in fields(Frames)}
    try:
        arrays = {
            path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
            for path in files(folder)
            if path.stem in wanted
        }
        return Frames(**{"bias_forces": None, **arrays})
    except (OSError, ValueError, TypeError) as error:
        said = of_file(folder, error)
        raise UserError(f"{folder}: not readable frames ({said})") from None


def write(folder: Path, pieces: Iterable[Frames]) -> None:
    """Store frames, one piece after another, as one set in a new folder.

    Bias forces are kept only if every piece has them; charges, spins, cells and stress where any
    frame has one.
    """
    writing = _Writing(folder)
    for piece in pieces:
        known, code = np.unique(piece.molecule, return_inverse=True)
        writing.add(piece, [str(name) for name in known], code)
    writing.close([str(name) for name in writing.codes])


def room() -> int:
    """Atoms of frames that the disk has room for, as passing ones and as a set."""
    home = cache_home()
    there = next((p for p in (home, *home.parents) if p.exists()), None) if home else None
    return shutil.disk_usage(there or tempfile.gettempdir()).free // _BYTES


class Passing:
    """Frames that come piece by piece, as one set mapped from files that are gone afterwards.

    On systems that let an open file be removed, the frames stay as long as anyone has them.
    """

    def __init__(self) -> None:
        home = cache_home() or Path(tempfile.gettempdir())
        home.mkdir(parents=True, exist_ok=True)
        place = unfinished(home)
        self._gone = weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        self._folder = place / "frames"
        self._writing = _Writing(self._folder)

    def add(self, piece: Frames, kinds: Sequence[Hashable], which: IntArray) -> None:
        """Add frames; `which` (m,) of some kinds of molecules each is of, whatever its name."""
        self._writing.add(piece, kinds, which)

    def frames(self, names: Callable[[list[Any]], list[str]]) -> tuple[Frames, IntArray]:
        """All of them, called as `names` calls their kinds; and which kind (M,) each is of."""
        which = np.concatenate(self._writing.which)
        self._writing.close(names(list(self._writing.codes)))
        loaded = load(self._folder)
        self._gone()
        return loaded, which


def passing(pieces: Iterable[Frames]) -> Frames:
    """Frames of several sets as one, under the names that they have; see `Passing`."""
    store = Passing()
    for piece in pieces:
        known, code = np.unique(piece.molecule, return_inverse=True)
        store.add(piece, [str(name) for name in known], code)
    return store.frames(list)[0]


class _Writing:
    """A folder to which frames are written until it is closed.

    Attributes:
        codes: a number for each kind of molecule so far.
        which: by these numbers, the kinds of the frames of each piece.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.codes: dict[Hashable, int] = {}
        self.which: list[IntArray] = []
        self._arrays: dict[str, _Growing] = {}
        self._written, self._biased = 0, True

    def add(self, piece: Frames, kinds: Sequence[Hashable], which: IntArray) -> None:
        """Add frames, each of one of some kinds."""
        new = np.array([self.codes.setdefault(kind, len(self.codes)) for kind in kinds])
        self.which.append(new[which].astype(np.int32))
        self._biased &= piece.bias_forces is not None
        found: dict[str, Any] = {f.name: getattr(piece, f.name) for f in fields(Frames)}
        found["stress"] = piece.labelled_stress()
        for name, value in found.items():
            if name == _NAMES or (name == "bias_forces" and not self._biased):
                continue
            if name not in self._arrays:
                nothing = _OPTIONAL.get(name)
                if nothing is not None and not _says(value, nothing):
                    continue
                self._arrays[name] = _Growing(self.folder / f"{name}.npy", value[:0])
                if nothing is not None:
                    before = (self._written, *value.shape[1:])
                    self._arrays[name].add(np.full(before, nothing, value.dtype))
            self._arrays[name].add(value)
        self._written += len(piece)

    def close(self, names: list[str]) -> None:
        """Write what is left; the kinds are called so."""
        for array in self._arrays.values():
            array.close()
        if not self._biased:
            (self.folder / "bias_forces.npy").unlink(missing_ok=True)
        known = np.array(names)
        molecule = _Growing(self.folder / f"{_NAMES}.npy", known[:0])
        for which in self.which:
            molecule.add(known[which])
        molecule.close()


class _Growing:
    """An `.npy` file to whose rows others are added until it is closed.

    Args:
        path: of the file.
        like: (0, ...) what its rows are like.
    """

    def __init__(self, path: Path, like: np.ndarray) -> None:
        self.path, self.like, self.rows = path, like, 0
        with path.open("wb") as stream:
            self._header(stream)

    def add(self, rows: np.ndarray) -> None:
        """Add (m, ...) rows."""
        with self.path.open("ab") as stream:
            np.ascontiguousarray(rows, dtype=self.like.dtype).tofile(stream)
        self.rows += len(rows)

    def close(self) -> None:
        """Say in its header how many rows there are."""
        with self.path.open("r+b") as stream:
            self._header(stream)

    def _header(self, stream: IO[bytes]) -> None:
        # numpy leaves room for any number of rows, so that it is always of one length.
        kind = {"descr": npy.dtype_to_descr(self.like.dtype), "fortran_order": False}
        npy.write_array_header_1_0(stream, {**kind, "shape": (self.rows, *self.like.shape[1:])})


def _says(value: np.ndarray, nothing: float) -> bool:
    """Whether any of the values is something."""
    return bool((~np.isnan(value)).any() if np.isnan(nothing) else value.any())
