"""Extended XYZ, line by line: ASE reads it, but is silent about much that is damaged.

ASE stops at a blank line, leaves out columns beyond the named ones, takes the last of two equal
keys and names no line; so every line is looked at before ASE sees the file.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

from ase.data import chemical_symbols

from deepset_bench.data.xyz import (
    NUMBER,
    count,
    damaged,
    miscounted,
    not_a_number,
    shown,
    whole_lines,
)
from deepset_bench.errors import UserError

Columns = tuple[tuple[str, int], ...]
"""(name, number of columns) in the order of the file."""

_PLAIN: Columns = (("species", 1), ("pos", 3))
_PROPERTIES = re.compile(r"\bProperties\s*=\s*([\"']?)(\S+?)\1(?=\s|$)")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\{[^}]*\}|\[[^\]]*\]")
_KEY = re.compile(r"([^\s=]+)\s*=")
_CP2K = re.compile(r"\s*i\s*=.*\bE\s*=")


def check_extxyz(path: Path, text: str, numeric: set[str], stop: int | None) -> list[int]:
    """Look at the first `stop` frames, or all; returns the comment line of each, from 0.

    Args:
        path: for messages.
        text: the file.
        numeric: properties whose columns must hold finite numbers, next to `pos`.
        stop: frames wanted; what follows is not looked at.

    Raises:
        UserError: a line that is not what its place asks for, or the file ends within a frame.
    """
    lines, ended = whole_lines(text)
    wanted = frozenset(numeric | {"pos"})
    columns = _PLAIN
    comments: list[int] = []
    at = 0
    while at < len(lines) and len(comments) != stop:
        m = len(comments)
        A = count(lines[at])
        if A is None:
            raise miscounted(path, m, at, lines[at], None)
        if at + 1 < len(lines):
            columns = _columns(path, m, at + 1, lines[at + 1])
        rows = lines[at + 2 : at + 2 + A]
        for a, row in enumerate(rows):
            what = _row_problem(row, columns, wanted)
            if what:
                raise damaged(path, m, at + 2 + a, what)
        if len(rows) < A:
            raise damaged(path, m, len(lines) - ended, "the file ends within this frame")
        comments.append(at + 1)
        at += A + 2
    if not ended and at >= len(lines) and len(comments) != stop:
        raise damaged(path, len(comments), len(lines), "the file ends within this line")
    return comments


def _columns(path: Path, frame: int, line: int, comment: str) -> Columns:
    """What the comment line says about the columns."""
    if _CP2K.match(comment):
        raise UserError(
            f"{path}: frame {frame + 1}, line {line + 1}: a CP2K trajectory, without forces; give "
            "it with --positions, and its partner with --forces"
        )
    keys = Counter(_KEY.findall(_QUOTED.sub("", comment)))
    twice = [key for key, times in keys.items() if times > 1]
    if twice:
        raise damaged(path, frame, line, f"'{twice[0]}' is given twice")
    if "Properties" not in keys:
        return _PLAIN
    found = _PROPERTIES.search(comment)
    parts = found[2].split(":") if found else []
    triplets = [parts[i : i + 3] for i in range(0, len(parts), 3)]
    if not found or any(
        len(t) < 3 or t[1] not in ("S", "R", "I", "L") or not re.fullmatch(r"[1-9][0-9]?", t[2])
        for t in triplets
    ):
        what = "expected Properties=name:type:columns:..., as species:S:1:pos:R:3:forces:R:3"
        raise damaged(path, frame, line, what)
    columns = tuple((name, int(n)) for name, _, n in triplets)
    names = [name for name, _ in columns]
    widths = dict(columns)
    elements = {widths[key] for key in ("species", "Z") if key in widths}
    if widths.get("pos") != 3 or elements != {1}:
        raise damaged(path, frame, line, "Properties without species:S:1 or pos:R:3")
    if len(set(names)) < len(names):
        raise damaged(path, frame, line, "Properties names a column twice")
    return columns


@lru_cache
def _pattern(columns: Columns, numeric: frozenset[str]) -> re.Pattern[str]:
    """A row of an atom; its element is the group `species`."""
    words: list[str] = []
    for name, n in columns:
        word = NUMBER if name in numeric else r"(?P<species>\S+)" if name == "species" else r"\S+"
        words += [word] * n
    return re.compile(r"\s*" + r"\s+".join(words) + r"\s*")


def _row_problem(row: str, columns: Columns, numeric: frozenset[str]) -> str | None:
    found = _pattern(columns, numeric).fullmatch(row)
    if found:
        symbol = found.groupdict().get("species")
        if symbol is None or symbol.capitalize() in chemical_symbols[1:]:
            return None
        return f"unknown element symbol '{symbol}'"
    words = row.split()
    expected = sum(n for _, n in columns)
    if len(words) != expected:
        names = ", ".join(name for name, _ in columns)
        return f"expected {expected} columns ({names}), found {len(words)}: '{shown(row)}'"
    kinds = [name for name, n in columns for _ in range(n)]
    return not_a_number([w for w, kind in zip(words, kinds, strict=True) if kind in numeric])
