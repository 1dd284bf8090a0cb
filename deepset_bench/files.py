"""Where things are on disk, and writing them so that nothing is ever half-written."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deepset_bench.errors import UserError

PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """The folder `conf`, `sweeps` or `datasets`: of the clone, else of the installed wheel.

    A clone comes first because an editable install leaves a stale copy in site-packages.
    """
    clone = PACKAGE.parent
    return (clone if (clone / "pyproject.toml").is_file() else PACKAGE) / name


def data_home() -> Path:
    """Where imported data live: `BENCH_DATA`, else `~/.cache/deepset_bench`."""
    return Path(os.environ.get("BENCH_DATA") or "~/.cache/deepset_bench").expanduser()


@contextmanager
def atomic_write(path: Path, mode: str = "wb") -> Iterator[IO]:
    """Open a temporary file that takes the place of `path` only once it is whole and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        encoding = None if "b" in mode else "utf-8"
        with os.fdopen(descriptor, mode, encoding=encoding) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files private; results are to be shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def digest(paths: Iterable[Path], algorithm: str = "sha256") -> str:
    """The checksum of files one after another, as if they were one, in hexadecimal.

    Raises:
        UserError: a file is absent or cannot be read.
    """
    found = hashlib.new(algorithm, usedforsecurity=False)
    for path in paths:
        try:
            with path.open("rb") as stream:
                while block := stream.read(2**20):
                    found.update(block)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return found.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or leave the old one."""
    with atomic_write(path, "w") as stream:
        stream.write(text)
