"""What the dialects of XYZ share: for every frame a count, a comment and a line for each atom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepset_bench.errors import UserError

_COUNT = re.compile(r"\s*([1-9][0-9]{0,8})\s*")


@dataclass(frozen=True)
class Record:
    """One frame as text.

    Attributes:
        frame: its number, from 0.
        line: of its count, from 0.
        count: how many atoms it says it has.
        comment: its second line.
        rows: one line for each atom; fewer where the file ends.
        cut: whether the file ends with the last of them, and without a line end.
    """

    frame: int
    line: int
    count: int
    comment: str
    rows: list[str]
    cut: bool


def records(path: Path, text: str, stop: int | None = None, first: int = 0) -> Iterator[Record]:
    """The frames of a file up to frame `stop`, or all; blank lines between them are no matter.

    Args:
        path: for messages.
        text: the file.
        stop: frames wanted; what follows is not looked at.
        first: frames in the files before this one.

    Raises:
        UserError: a frame does not begin with its number of atoms, or the file ends with that.
    """
    lines = text.split("\n")
    ended = not lines[-1].strip()
    while lines and not lines[-1].strip():
        lines.pop()
    at, frame = 0, first
    while frame != stop:
        while at < len(lines) and not lines[at].strip():
            at += 1
        if at == len(lines):
            return
        A = count(lines[at])
        if A is None:
            raise miscounted(path, frame, at, lines[at])
        end = at + 2 + A
        if at + 1 == len(lines):
            raise damaged(path, frame, at, "the file ends within this frame")
        rows = lines[at + 2 : end]
        yield Record(frame, at, A, lines[at + 1], rows, not ended and end >= len(lines))
        at, frame = end, frame + 1


def count(line: str) -> int | None:
    """The number of atoms that a frame begins with, or None if `line` is something else."""
    found = _COUNT.fullmatch(line)
    return int(found[1]) if found else None


def damaged(path: Path, frame: int, line: int, what: str, sound: int | None = None) -> UserError:
    """One line for a frame of a set and a line of a file, both from 0, with the way out.

    Args:
        sound: how many frames can be trusted; those before `frame` for None.
    """
    sound = frame if sound is None else sound
    remedy = f"or read what is whole with --frames 1-{sound}" if sound > 0 else "or mend the line"
    return UserError(
        f"{path}: frame {frame + 1}, line {line + 1}: {what}; write the file again, {remedy}"
    )


def miscounted(
    path: Path, frame: int, line: int, text: str, expected: int | None = None
) -> UserError:
    """The same for a frame that does not begin with its number of atoms.

    The frame before may have a line too many, and is not offered as whole.
    """
    number = "the number of atoms" + (f", {expected}" if expected else "")
    return damaged(path, frame, line, f"expected {number}, found '{shown(text)}'", frame - 1)


def shown(text: str) -> str:
    """A piece of a file, short and on one line; see `printable`."""
    text = printable(" ".join(text[:1000].split()))
    return text if len(text) <= 40 else f"{text[:40]}..."


def reason(error: Exception) -> str:
    """What another library says of a damaged file, short and on one line."""
    return printable(" ".join(f"{type(error).__name__}: {error}"[:200].split()))


def printable(text: str) -> str:
    """A text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
