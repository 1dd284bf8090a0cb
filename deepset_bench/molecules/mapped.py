"""Sets larger than memory: a folder with an `.npy` file for each array of `Frames`, mapped.

What is mapped takes memory only where it is read, and the system takes it back when it needs it.
Frames are checked when they are written, and never again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from deepset_bench.errors import UserError
from deepset_bench.files import cache_home
from deepset_bench.molecules.frames import Frames

LARGE = 2_000_000
"""Atoms of a set from which on it is mapped: some 100 MB. Not more than `frames.PIECE`, so that
what is computed of a set in memory is computed of all of it at once."""

_NAMES = "molecule"
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
        raise UserError(f"{folder}: not readable frames ({error})") from None


def write(folder: Path, pieces: Iterable[Frames]) -> None:
    """Store frames, one piece after another, as one set in a new folder.

    Bias forces are kept only if every piece has them; charges, spins, cells and stress where any
    frame has one.
    """
    folder.mkdir(parents=True)
    arrays: dict[str, _Growing] = {}
    codes: dict[str, int] = {}
    names: list[np.ndarray] = []
    written, biased = 0, True
    with ExitStack() as stack:
        for piece in pieces:
            known, code = np.unique(piece.molecule, return_inverse=True)
            new = np.array([codes.setdefault(str(name), len(codes)) for name in known])
            names.append(new[code].astype(np.int32))
            biased &= piece.bias_forces is not None
            found: dict[str, Any] = {f.name: getattr(piece, f.name) for f in fields(Frames)}
            found["stress"] = piece.labelled_stress()
            for name, value in found.items():
                if name == _NAMES or (name == "bias_forces" and not biased):
                    continue
                if name not in arrays:
                    nothing = _OPTIONAL.get(name)
                    if nothing is not None and not _says(value, nothing):
                        continue
                    arrays[name] = stack.enter_context(_Growing(folder / f"{name}.npy", value[:0]))
                    if nothing is not None:
                        arrays[name].add(np.full((written, *value.shape[1:]), nothing, value.dtype))
                arrays[name].add(value)
            written += len(piece)
    if not biased:
        (folder / "bias_forces.npy").unlink(missing_ok=True)
    all_names = np.array(list(codes))
    with _Growing(folder / f"{_NAMES}.npy", all_names[:0]) as array:
        for part in names:
            array.add(all_names[part])


class _Growing:
    """An `.npy` file to whose rows others are added until it is closed.

    Args:
        path: of the file.
        like: (0, ...) what its rows are like.
    """

    def __init__(self, path: Path, like: np.ndarray) -> None:
        self.path, self.like, self.rows = path, like, 0

    def __enter__(self) -> _Growing:
        self.stream = self.path.open("wb")
        self._header()
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.seek(0)
        self._header()
        self.stream.close()

    def _header(self) -> None:
        # numpy leaves room for any number of rows, so that it is always of one length.
        kind = {"descr": npy.dtype_to_descr(self.like.dtype), "fortran_order": False}
        shape = (self.rows, *self.like.shape[1:])
        npy.write_array_header_1_0(self.stream, {**kind, "shape": shape})

    def add(self, rows: np.ndarray) -> None:
        """Add (m, ...) rows."""
        np.ascontiguousarray(rows, dtype=self.like.dtype).tofile(self.stream)
        self.rows += len(rows)


def _says(value: np.ndarray, nothing: float) -> bool:
    """Whether any of the values is something."""
    return bool((~np.isnan(value)).any() if np.isnan(nothing) else value.any())


@contextmanager
def passing(pieces: Iterable[Frames]) -> Iterator[Frames]:
    """The same as one set, mapped from files that are gone afterwards.

    On systems that let an open file be removed, the frames stay as long as anyone has them.
    """
    home = cache_home()
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as place:
        write(Path(place) / "frames", pieces)
        yield load(Path(place) / "frames")
