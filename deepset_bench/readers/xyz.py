"""What the dialects of XYZ share: for every frame a count, a comment and a line for each atom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import IntArray
from deepset_bench.surroundings import of_file

DROPPED = 50_000
"""Lines that were read and are kept at most."""

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


class _Lines:
    """The lines of a text that comes in blocks, as far as they were asked for.

    Attributes:
        known: those that were read and not dropped; in the end without blank ones behind them.
        dropped: how many were.
        whole: whether there are no more.
        ended: whether the last one has a line end, once all are known.
    """

    def __init__(self, blocks: Iterable[str]) -> None:
        self._blocks, self._rest = iter(blocks), ""
        self.known: list[str] = []
        self.dropped, self.whole, self.ended = 0, False, False

    def has(self, count: int) -> bool:
        """Whether there are so many lines behind those that were dropped."""
        while len(self.known) < count and not self.whole:
            block = next(self._blocks, None)
            *lines, self._rest = ((self._rest + block) if block else self._rest).split("\n")
            self.known += lines
            if block is None:
                self.known.append(self._rest)
                self.whole, self.ended = True, not self._rest.strip()
                while self.known and not self.known[-1].strip():
                    self.known.pop()
        return len(self.known) >= count

    def drop(self, count: int) -> None:
        """Forget the first of them."""
        del self.known[:count]
        self.dropped += count


def records(
    path: Path, text: str | Iterable[str], stop: int | None = None, first: int = 0
) -> Iterator[Record]:
    """The frames of a file up to frame `stop`, or all; blank lines between them are no matter.

    Args:
        path: for messages.
        text: the file, whole or in blocks.
        stop: frames wanted; what follows is not looked at.
        first: frames in the files before this one.

    Raises:
        UserError: a frame does not begin with its number of atoms, or the file ends with that.
    """
    lines = _Lines([text] if isinstance(text, str) else text)
    at, frame = 0, first
    while frame != stop:
        while lines.has(at + 1) and not lines.known[at].strip():
            at += 1
        if not lines.has(at + 1):
            return
        A, line = count(lines.known[at]), lines.dropped + at
        if A is None:
            raise miscounted(path, frame, line, lines.known[at])
        end = at + 2 + A
        more = lines.has(end + 1)
        if not lines.has(at + 2):
            raise damaged(path, frame, line, "the file ends within this frame")
        comment, rows = lines.known[at + 1], lines.known[at + 2 : end]
        yield Record(frame, line, A, comment, rows, not more and not lines.ended)
        at, frame = end, frame + 1
        if at > DROPPED:
            lines.drop(at)
            at = 0


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


def line_of(
    path: Path, frame: int, line: int, row: int, atom: int | None, order: IntArray | None = None
) -> str:
    """Where an atom of the one frame is whose count is on a line, or where its second line is.

    Args:
        frame, line: of the `Record`; no more of it, so that its text need not be kept.
        row: there is one.
        atom: in the order of the frame.
        order: which line of the file each atom is from, if they were sorted.
    """
    if atom is None:
        return f"{path}: frame {frame + 1}, line {line + 2}"
    at = line + 3 + (atom if order is None else int(order[atom]))
    return f"{path}: frame {frame + 1}, line {at}, atom {atom + 1}"


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


def reason(path: Path, error: Exception) -> str:
    """What another library says of a damaged file, short and on one line.

    Raises:
        OSError: see `of_file`.
    """
    of_file(path, error)
    return printable(" ".join(f"{type(error).__name__}: {error}"[:200].split()))


def printable(text: str) -> str:
    """A text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
