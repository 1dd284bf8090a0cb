"""Where things are on disk, and writing them so that nothing is ever half-written."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from deepset_bench.errors import UserError
from deepset_bench.surroundings import of_file, visible

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = Path(__file__).resolve().parent
_NAME = "deepset_bench"  # of the program's folders among those of the user
_UNFINISHED = ".bench-unfinished"
"""How the names end of what nobody may count on yet."""
_ABANDONED = 7 * 86_400.0
"""Seconds after which what is unfinished is that of a process that was killed."""


def resource(name: str) -> Path:
    """The folder `conf`, `sweeps` or `datasets`: of the clone, else of the installed wheel.

    A clone comes first because an editable install leaves a stale copy in site-packages.
    """
    clone = PACKAGE.parent
    return (clone if (clone / "pyproject.toml").is_file() else PACKAGE) / name


def expanded(path: str | Path) -> Path:
    """The path with `~` at its beginning replaced by the home folder.

    Raises:
        UserError: there is none, as for a user of a container whom the system does not know.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{path}: this user has no home folder; name another folder") from None


def data_home() -> Path:
    """Where imported, generated and fetched data go: `BENCH_DATA`, else the platform's data folder.

    Raises:
        UserError: this user has no home folder, and `BENCH_DATA` is not set.
    """
    if chosen := os.environ.get("BENCH_DATA"):
        return expanded(chosen)
    if own := _own_folder("user_data_path"):
        return own
    raise UserError("this user has no home folder; set BENCH_DATA to a folder for data")


def data_homes() -> list[Path]:
    """Where data are looked up: `data_home()`, then where earlier versions put them.

    Without what is not there or may not be read, so that it is empty for a user without a home.
    """
    if chosen := os.environ.get("BENCH_DATA"):
        homes = [expanded(chosen)]
    else:
        homes = [home for home in [_own_folder("user_data_path")] if home]
        with suppress(UserError):
            homes.append(expanded("~/.cache") / _NAME)
    return [home for home in homes if os.access(home, os.R_OK | os.X_OK)]


def data_place(name: str) -> Path:
    """Where `name` is: in the first of `data_homes()` that holds it, else in `data_home()`.

    Raises:
        UserError: see `data_home`.
    """
    places = (home / name for home in data_homes())
    return next((place for place in places if place.exists()), None) or data_home() / name


def cache_home() -> Path | None:
    """Where what can be made again is kept: in `BENCH_DATA`, else the platform's cache folder."""
    if chosen := os.environ.get("BENCH_DATA"):
        return expanded(chosen) / "cache"
    return _own_folder("user_cache_path")


def _own_folder(kind: str) -> Path | None:
    """The program's folder of this kind; None for a user without a home."""
    import platformdirs

    try:
        found: Path = getattr(platformdirs, kind)(_NAME, appauthor=False)
    except RuntimeError:
        return None
    # Where there is no home, /dev/null stands for it.
    return found if found.is_absolute() and Path(os.devnull) not in found.parents else None


def check_writable(folder: Path) -> None:
    """Find out before long work whether files can be written below a folder, there or not.

    Raises:
        OSError: they cannot.
    """
    folder = folder.absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An `OSError` that names no file, as of a write to a full disk, gets the name of this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def atomic_write(path: Path, mode: str = "wb") -> Iterator[IO]:
    """Open a temporary file that takes the place of `path` only once it is whole and on disk.

    What is no file, such as `/dev/stdout`, is written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    text: dict[str, Any] = {}
    if "b" not in mode:  # names of old files may be no Unicode
        text = {"encoding": "utf-8", "errors": "backslashreplace"}
    if path.exists() and not path.is_file():
        with naming(path), path.open(mode, **text) as stream:
            yield stream
        return
    name = ""
    try:
        descriptor, name = tempfile.mkstemp(_UNFINISHED, f".{path.name[:50]}.", path.parent)
        with os.fdopen(descriptor, mode, **text) as stream:
            tidy(path.parent, os.fstat(descriptor).st_mtime - _ABANDONED)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files private; results are to be shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
        sync(path.parent)
    except BaseException as error:
        if isinstance(error, OSError) and (not name or error.filename in (None, name)):
            error.filename = str(path)  # nobody knows the other one
        if name:
            with suppress(OSError):  # it has its place, or nothing can be changed any more
                Path(name).unlink()
        raise


def unfinished(home: Path, name: str = "") -> Path:
    """A new folder below `home`, whose name says that nobody may count on it."""
    made = Path(tempfile.mkdtemp(_UNFINISHED, f".{name}.", home))
    tidy(home, made.stat().st_mtime - _ABANDONED)
    return made


@contextmanager
def unfinished_folder(home: Path, name: str = "") -> Iterator[Path]:
    """The same for what is to be moved away when it is whole; gone afterwards."""
    made = unfinished(home, name)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def is_unfinished(path: Path) -> bool:
    """Whether this is what a process was writing, or is."""
    return path.name.endswith(_UNFINISHED)


def tidy(folder: Path, before: float = math.inf) -> None:
    """Remove what writing into a folder left unfinished, because its process was killed.

    Args:
        folder: whose own files and folders are looked at.
        before: seconds by the clock of the file system; what was changed since may be another
            process's that goes on.
    """
    for path in folder.glob(f".*{_UNFINISHED}"):
        with suppress(OSError):  # gone meanwhile, or not ours
            if path.lstat().st_mtime >= before:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def sync(path: Path) -> None:
    """Have the content of a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(paths: Iterable[Path], algorithm: str = "sha256") -> str:
    """The checksum of files one after another, as if they were one, in hexadecimal.

    Raises:
        UserError: a file is absent.
    """
    found = hashlib.new(algorithm, usedforsecurity=False)
    for path in paths:
        try:
            with path.open("rb") as stream:
                while block := stream.read(2**20):
                    found.update(block)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({of_file(path, error)})") from None
    return found.hexdigest()


def csv_text(frame: pd.DataFrame) -> str:
    """A table as CSV in which no text is a formula to a spreadsheet or steers a terminal."""

    def plain(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        shown = visible(cell)
        formula = shown.startswith(("=", "@")) or re.match(r"[+-](?![0-9.]+$)", shown)
        return f"'{shown}" if formula else shown

    texts = frame.select_dtypes(exclude="number")
    safe = frame.assign(**{str(name): texts[name].map(plain) for name in texts})
    return str(safe.rename(columns=plain).to_csv(index=False, lineterminator="\n"))


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or leave the old one."""
    with atomic_write(path, "w") as stream:
        stream.write(text)
