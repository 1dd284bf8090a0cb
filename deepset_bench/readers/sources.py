"""What every reader of labelled geometries shares: a file's content, and a range of its frames."""

from __future__ import annotations

import bz2
import codecs
import gzip
import importlib
import io
import lzma
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from deepset_bench import bounds
from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.files import naming
from deepset_bench.surroundings import of_file

_LARGEST = 2**31  # bytes of text; several times as much while it is taken apart
BLOCK = 2**25
"""Bytes of a text that are taken apart at a time, and up to which it is read as one."""
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def _zstd(stream: IO[bytes]) -> Any:
    """Python 3.14 reads zstd, before it the same code as a package.

    Not the package zstandard, whose streams end without a word where a file is cut short.
    """
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        module = importlib.import_module("backports.zstd")
    return module.open(stream, "rb")


_PACKED: dict[bytes, Any] = {
    b"\xfd7zXZ\x00": lzma.open,
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\x28\xb5\x2f\xfd": _zstd,
}
"""First bytes -> how to open what they begin."""
_ARCHIVES = {"tar": (257, b"ustar"), "7z": (0, b"7z\xbc\xaf\x27\x1c"), "rar": (0, b"Rar!")}
"""Files of several files: where in it which bytes are. A zip may be an npz, see there."""


@dataclass(frozen=True)
class Source:
    """A regular file, whose content counts and not its name; a packed one is what is packed.

    Attributes:
        path: as given, for messages.
        head: the first bytes of the content.
        packed: whether the content is not in the file as it is.
    """

    path: Path
    head: bytes
    packed: bool

    @classmethod
    def open(cls, path: Path) -> Source:
        """Look at the beginning of a file.

        Raises:
            UserError: it is absent, unreadable, empty, a pipe or a device, packed twice, or an
                archive of several files.
        """
        with _opened(path) as (stream, packed):
            head = stream.read(4096)
        if not head:
            raise UserError(f"{path}: the file is empty")
        for kind, (at, mark) in _ARCHIVES.items():
            if head.startswith(mark, at):
                raise UserError(f"{path}: is a {kind} archive; unpack it and give the files in it")
        return cls(path, head, packed)

    @contextmanager
    def plain(self) -> Iterator[Path]:
        """A file with the content: itself, or for a packed one a copy for the time being.

        Readers of arrays seek, and a seek in a packed stream starts again from its beginning.
        """
        if not self.packed:
            yield self.path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "unpacked"
            with naming(copy):  # TMPDIR may be small
                copy.write_bytes(read_bytes(self.path))
            yield copy


def read_bytes(path: Path) -> bytes:
    """The whole file, unpacked in memory if its first bytes say xz, gzip, bzip2 or zstd.

    Raises:
        UserError: the file is absent, unreadable, empty or huge, a pipe or a device, packed twice,
            or its stream is damaged.
    """
    with _opened(path) as (stream, packed):
        most = _most(path, packed)
        data: bytes = stream.read(most + 1)
    if len(data) > most:
        raise _too_large(path, packed, most)
    if not data.strip():
        raise UserError(f"{path}: the file is empty")
    return data


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The content of a file as a stream, and whether it was packed."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a directory" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise UserError(f"{path}: is {what}; give a file")
        with path.open("rb") as plain:
            unpack = _packing(plain.read(6))
            plain.seek(0)
            if unpack is None:
                yield plain, False
                return
            with io.BufferedReader(unpack(plain), 2**20) as stream:
                if _packing(stream.peek(6)) is not None:
                    raise UserError(f"{path}: is packed twice; unpack it once")
                yield stream, True
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ImportError:
        raise NotInstalled(
            f"{path}: is packed by zstd, which Python reads from 3.14 on and before with: "
            "pip install 'deepset-bench[zstd]'; or unpack it with: unzstd"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({of_file(path, error)})") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # of whichever library unpacks
        raise UserError(
            f"{path}: the compressed stream is cut short or damaged ({error}); copy the file again"
        ) from None


def _most(path: Path, packed: bool) -> int:
    """Bytes of content that are read at once."""
    whole = bounds.most(_LARGEST)
    return min(whole, bounds.unpacked(path.stat().st_size)) if packed else whole


def _too_large(path: Path, packed: bool, most: int) -> UserError:
    said = bounds.too_large("unpacks to" if packed else "holds", most)
    return UserError(f"{path}: {said}; or split it into files of whole frames")


def _packing(head: bytes) -> Any:
    return next((unpack for first, unpack in _PACKED.items() if head.startswith(first)), None)


def read_text(path: Path) -> str:
    """The whole file as text with "\\n" line ends; Windows line ends are accepted.

    Text is UTF-8, UTF-16 if it begins with that mark, else latin-1: letters beyond ASCII are in
    comments alone, and elements and numbers are looked at one by one.

    Raises:
        UserError: as `read_bytes`, and for binary content, with the line.
    """
    return _decoded(path, read_bytes(path))


def read_blocks(path: Path) -> Iterator[str]:
    """The same of a file of any size, in blocks of whole lines: a large one is never whole here.

    A large file of UTF-16 is read as `read_text` reads it.

    Raises:
        UserError: as `read_text`, for what is wrong in a large file when that is reached.
    """
    with _opened(path) as (stream, packed):
        most = bounds.unpacked(path.stat().st_size)
        data = stream.read(BLOCK + 1)
        read = len(data)
        large = len(data) > BLOCK and not data.startswith(_WIDE)
        lines = 0
        while large and data:
            more = stream.read(BLOCK)
            read += len(more)
            if packed and read > most:
                raise _too_large(path, packed, most)
            end = data.rfind(b"\n") + 1 if more else len(data)
            if not end:
                what = f"is longer than {BLOCK / 2**20:.3g} MiB; that is no line of a trajectory"
                raise UserError(f"{path}: line {lines + 1} {what}")
            text = _decoded(path, data[:end], lines)
            lines += text.count("\n")
            yield text
            data = data[end:] + more
    if not large:
        yield read_text(path)


def _decoded(path: Path, data: bytes, before: int = 0) -> str:
    """What `read_text` makes of bytes; `before` lines are before them."""
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-16" if data.startswith(_WIDE) else "utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = text.replace("\r\n", "\n")
    if control := _CONTROL.search(text):
        line = before + text.count("\n", 0, control.start()) + 1
        raise UserError(
            f"{path}: line {line}: control character 0x{ord(control[0]):02x}; "
            "the file is binary or damaged: give the text file that the program wrote"
        )
    return text


def expand(given: Path) -> list[Path]:
    """The files that a path names: itself, or those that match it as a pattern, 2 before 10.

    Raises:
        UserError: a directory, or a pattern that nothing matches.
    """
    if given.is_dir():
        raise UserError(
            f"{given}: is a directory; name its files by a pattern in quotes, as '{given}/*.xyz'"
        )
    if given.exists() or not re.search(r"[*?\[]", str(given)):
        return [given]
    # A folder that is there is no pattern, whatever characters its path has.
    folder = next(place for place in given.parents if place.is_dir())
    found = list(folder.glob(str(given.relative_to(folder))))
    if not found:
        raise UserError(f"{given}: no file matches")
    return sorted(found, key=lambda path: natural(path.name))


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers within names by their value."""
    return [(int(digits or 0), text) for digits, text in re.findall(r"([0-9]+)|([^0-9]+)", name)]


def frame_range(frames: str | None) -> slice:
    """The frames that `A-B` names, counted from 1 with both ends in; all of them for None.

    Raises:
        UserError: it is not two numbers with 1 <= A <= B.
    """
    if frames is None:
        return slice(0, None)
    ends = re.fullmatch(r"([0-9]{1,12})-([0-9]{1,12})", frames.strip())
    if ends is None or not 1 <= int(ends[1]) <= int(ends[2]):
        raise UserError(
            f"--frames {frames}: expected FIRST-LAST, counted from 1 with both ends in, "
            "for example 100-6600"
        )
    return slice(int(ends[1]) - 1, int(ends[2]))


def check_range(path: Path, chosen: slice, n_frames: int) -> None:
    """Refuse a range that ends beyond the file's `n_frames` whole frames.

    Raises:
        UserError: says how many frames there are.
    """
    if chosen.stop is not None and chosen.stop > n_frames:
        raise UserError(
            f"{path}: --frames {chosen.start + 1}-{chosen.stop} asks for more than its "
            f"{n_frames} whole frames"
        )
