"""The lines of atoms in text: columns by name, elements and numbers, each looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.readers.elements import LabelError, element
from deepset_bench.readers.xyz import Record, damaged, shown

# Fortran writes 1.0D+00, too. Bounded: a line of any length takes no longer than reading it.
NUMBER = r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eEdD][-+]?[0-9]{1,3})?"
_NUMBER = re.compile(NUMBER)
_NUMBERS = re.compile(rf"(?:{NUMBER} )*+")
# What programs write where there is not a number.
_NO_VALUE = re.compile(r"[-+]?(?:nan|inf(?:inity)?)|none|null|n/a|\*+", re.IGNORECASE)

Columns = tuple[tuple[str, int], ...]
"""(name, number of columns) in the order of the file."""
ELEMENT_COLUMNS = ("species", "Z")


@dataclass(frozen=True, eq=False)
class AtomRows:
    """The rows of a frame.

    Attributes:
        numbers: (A,) atomic numbers.
        values: (A, n) numbers by the name of their columns; NaN for what is not a finite number.
        gap: what is said of the first that is not finite, where any is.
    """

    numbers: IntArray
    values: dict[str, FloatArray]
    gap: UserError | None


def number(word: str) -> float | None:
    """A number as programs write it, NaN for one that is not finite, or None."""
    if _NUMBER.fullmatch(word):
        value = float(word.replace("D", "e").replace("d", "e"))
        return value if np.isfinite(value) else np.nan
    return np.nan if _NO_VALUE.fullmatch(word) else None


def no_value(word: str) -> bool:
    """Whether a word is what programs write where there is not a number."""
    return _NO_VALUE.fullmatch(word) is not None


def table(
    path: Path,
    record: Record,
    columns: Columns,
    numeric: Collection[str],
    elements: Mapping[str, int],
) -> AtomRows:
    """Take the rows of a frame apart.

    Args:
        path: for messages.
        record: the frame.
        columns: what each row has.
        numeric: names of those that hold numbers.
        elements: atomic numbers of labels that are no chemical symbols.

    Raises:
        UserError: a row with other columns, a word that is not a number or no element, or the file
            ends within the frame; names the line.
    """
    words = [row.split() for row in record.rows]
    width = sum(n for _, n in columns)

    def wrong(a: int, what: str) -> UserError:
        if record.cut and a == len(words) - 1:
            what = f"the file ends within this line: {what}"
        return damaged(path, record.frame, record.line + 2 + a, what)

    for a, row in enumerate(words):
        if len(row) != width:
            names = ", ".join(name for name, _ in columns)
            what = f"expected {width} columns ({names}), found {len(row)}"
            raise wrong(a, f"{what}: '{shown(record.rows[a])}'")
    if len(words) < record.count:
        last = record.line + 1 + len(words)
        raise damaged(path, record.frame, last, "the file ends within this frame")

    values: dict[str, FloatArray] = {}
    numbers: list[IntArray] = []
    gap: UserError | None = None
    start = 0
    for name, n in columns:
        part = slice(start, start + n)
        start += n
        if name in numeric:
            flat = [word for row in words for word in row[part]]
            column = values[name] = _numbers(flat).reshape(-1, n)
            for a, k in np.argwhere(np.isnan(column)):
                word = words[a][part][k]
                what = f"'{shown(word)}' is not a finite number"
                if number(word) is None:
                    raise wrong(int(a), what)
                gap = gap or wrong(int(a), f"{what} (--skip-incomplete leaves such frames out)")
        elif name in ELEMENT_COLUMNS:
            numbers.append(_elements([row[part][0] for row in words], elements, wrong))
    if record.cut and columns[-1][0] in numeric and not _whole(words):
        what = "is its last number whole? then add a line break"
        raise wrong(len(words) - 1, what)
    for a in np.flatnonzero(numbers[0] != numbers[-1])[:1]:
        raise wrong(int(a), "species and Z are different elements")
    return AtomRows(numbers[0], values, gap)


def _numbers(words: list[str]) -> FloatArray:
    """All words as numbers, NaN for what is none."""
    if _NUMBERS.fullmatch(" ".join([*words, ""])):
        try:
            found = np.array([float(word) for word in words])
        except ValueError:  # Fortran's exponents
            found = np.array([number(word) for word in words])
        return np.where(np.isfinite(found), found, np.nan)
    return np.array([number(word) for word in words], dtype=np.float64)


def _elements(
    labels: list[str], known: Mapping[str, int], wrong: Callable[[int, str], UserError]
) -> IntArray:
    found = []
    for a, label in enumerate(labels):
        try:
            Z = known.get(label) or element(label)
        except LabelError as error:
            raise wrong(a, str(error)) from None
        if Z is None:
            what = f"unknown element symbol '{shown(label)}'"
            raise wrong(a, f"{what} (--elements {shown(label)}=C would say that it is carbon)")
        found.append(Z)
    return np.array(found, dtype=np.int64)


def _whole(words: list[list[str]]) -> bool:
    """Whether the last number of all has the digits that its neighbours have.

    A number that was cut short is still a number, but of fewer decimals: than those above it, or
    where there are none, than those beside it.
    """
    above = [row[-1] for row in words[:-1]] or [w for w in words[-1][:-1] if number(w) is not None]
    return _decimals(words[-1][-1]) >= min(map(_decimals, above), default=0)


def _decimals(word: str) -> int:
    return len(word.partition(".")[2])
