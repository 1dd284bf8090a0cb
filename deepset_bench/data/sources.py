"""What every reader of labelled geometries shares: a file in memory, and a range of its frames."""

from __future__ import annotations

import codecs
import gzip
import lzma
import re
import zlib
from pathlib import Path

from deepset_bench.errors import UserError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def read_bytes(path: Path) -> bytes:
    """The whole file, decompressed in memory if its first bytes say xz or gzip.

    Readers seek, and a seek in a compressed stream starts again from its beginning.

    Raises:
        UserError: the file is absent, unreadable, empty, or its compressed stream is damaged.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"\xfd7zXZ\x00"):
            data = lzma.decompress(data)
        elif data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (EOFError, lzma.LZMAError, zlib.error) as error:
        raise UserError(
            f"{path}: the compressed stream is cut short or damaged ({error}); copy the file again"
        ) from None
    if not data.strip():
        raise UserError(f"{path}: the file is empty")
    return data


def read_text(path: Path) -> str:
    """The whole file as ASCII text with "\\n" line ends; Windows line ends are accepted.

    Raises:
        UserError: as `read_bytes`, and for binary content or another encoding, with the line.
    """
    data = read_bytes(path).removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("ascii").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: line {line}: byte 0x{data[error.start]:02x} is not ASCII; "
            "the file is binary or in another encoding: convert it to plain text"
        ) from None
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise UserError(
            f"{path}: line {line}: control character 0x{ord(control[0]):02x}; "
            "the file is binary or damaged: give the text file that the program wrote"
        )
    return text


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
