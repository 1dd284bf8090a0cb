"""What the dialects of XYZ share: for every frame a count, a comment and a line for each atom."""

from __future__ import annotations

import re
from pathlib import Path

from deepset_bench.errors import UserError

# Two digits of exponent: what is larger is no float64, and programs print no more.
NUMBER = r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?)"
_COUNT = re.compile(r"\s*([1-9][0-9]{0,8})\s*")


def whole_lines(text: str) -> tuple[list[str], bool]:
    """The lines of a file without blank ones at its end, and whether the last one was ended.

    A number cut short is still a number, so a last line counts only with its line end; one
    without is left out.
    """
    lines = text.split("\n")
    ended = not lines.pop().strip()
    while lines and not lines[-1].strip():
        lines.pop()
    return lines, ended


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


def miscounted(path: Path, frame: int, line: int, text: str, expected: int | None) -> UserError:
    """The same for a frame that does not begin with its number of atoms.

    The frame before may have a line too many, and is not offered as whole.
    """
    number = "the number of atoms" + (f", {expected}" if expected else "")
    return damaged(path, frame, line, f"expected {number}, found '{shown(text)}'", frame - 1)


def shown(text: str) -> str:
    """A piece of a damaged file, short and on one line."""
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:40]}..."


def not_a_number(words: list[str]) -> str | None:
    """What is wrong with the first of `words` that is no finite number."""
    for word in words:
        if not re.fullmatch(NUMBER, word):
            return f"'{shown(word)}' is not a finite number"
    return None
