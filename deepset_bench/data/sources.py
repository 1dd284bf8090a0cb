"""What every reader of labelled geometries shares: a file in memory, and a range of its frames."""

from __future__ import annotations

import codecs
import gzip
import lzma
import re
import zlib
from pathlib import Path

from deepset_bench.errors import UserError

_LARGEST = 2**31  # bytes of text; several times as much while it is taken apart
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def read_bytes(path: Path) -> bytes:
    """The whole file, decompressed in memory if its first bytes say xz or gzip.

    Readers seek, and a seek in a compressed stream starts again from its beginning.

    Raises:
        UserError: the file is absent, unreadable, empty or huge, or its stream is damaged.
    """
    try:
        with path.open("rb") as plain:
            magic = plain.read(6)
            plain.seek(0)
            if magic == b"\xfd7zXZ\x00":
                with lzma.open(plain) as stream:
                    data = stream.read(_LARGEST + 1)
            elif magic.startswith(b"\x1f\x8b"):
                with gzip.open(plain) as unzipped:
                    data = unzipped.read(_LARGEST + 1)
            else:
                data = plain.read(_LARGEST + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (EOFError, lzma.LZMAError, zlib.error) as error:
        raise UserError(
            f"{path}: the compressed stream is cut short or damaged ({error}); copy the file again"
        ) from None
    if len(data) > _LARGEST:
        raise UserError(
            f"{path}: holds more than {_LARGEST / 2**30:g} GiB; split it into files of whole frames"
        )
    if not data.strip():
        raise UserError(f"{path}: the file is empty")
    return data


def read_text(path: Path, encoding: str = "ascii") -> str:
    """The whole file as text with "\\n" line ends; Windows line ends are accepted.

    Raises:
        UserError: as `read_bytes`, and for binary content or another encoding, with the line.
    """
    data = read_bytes(path).removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: line {line}: byte 0x{data[error.start]:02x} is not {encoding.upper()}; "
            "the file is binary or in another encoding: convert it to plain text"
        ) from None
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
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
    found = list(Path(given.anchor).glob(str(given.relative_to(given.anchor))))
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
