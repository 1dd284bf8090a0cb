"""The second line of extended XYZ: `key=value` pairs, with quotes, brackets and JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from deepset_bench.readers.rows import number

_BARE_KEY = re.compile(r"[^\s=]+")
_BARE = re.compile(r"\S+")
_PAIR = re.compile(r"[^\s='\"{\[]+=")
_BLANK = re.compile(r"\s*")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"'),
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'"),
    "{": re.compile(r"\{([^}]*)\}"),
}
_BRACKET = re.compile(r"[\[\]]")
_ESCAPED = re.compile(r"\\(.)")
_LONGEST = 10_000  # characters of an array that is looked into


class TwiceError(Exception):
    """A key that a line gives twice."""


def pairs(line: str) -> dict[str, str]:
    """The keys of a line with their values as text; a word without a value is left out.

    Takes time in proportion to the length of the line, whatever it holds.

    Raises:
        TwiceError: a key is given twice.
    """
    found: dict[str, str] = {}
    open_ended: set[str] = set()  # brackets that are closed nowhere behind
    at = _blank(line, 0)
    while at < len(line):
        if line[at] == "=":  # a value without a key
            at = _blank(line, at + 1)
            continue
        key, at = _word(line, at, _BARE_KEY, open_ended)
        at = _blank(line, at)
        if line.startswith("=", at):
            if key in found:
                raise TwiceError(key)
            after = _blank(line, at + 1)
            if after > at + 1 and _PAIR.match(line, after):  # ASE writes nothing as nothing
                found[key], at = "", after
                continue
            found[key], at = _word(line, after, _BARE, open_ended)
            at = _blank(line, at)
    return found


def value_of(text: str) -> Any:
    """A value as a number, a list of numbers however it is bracketed, or as the text it is."""
    text = text.strip()
    single = number(text)
    if single is not None or len(text) > _LONGEST:
        return text if single is None else single
    if text.startswith("_JSON"):
        try:
            return json.loads(text.removeprefix("_JSON"))
        except (ValueError, RecursionError):
            return text
    numbers = [number(word) for word in re.sub(r"[\[\]{}(),]", " ", text).split()]
    return numbers if numbers and None not in numbers else text


def flags(text: str) -> list[bool] | None:
    """What `T T F`, `[True, False, False]` or `0 0 0` says, one or three; None for what is else."""
    words = re.sub(r"[\[\]{}(),]", " ", text.removeprefix("_JSON")).upper().split()
    known = {"T": True, "TRUE": True, "1": True, "F": False, "FALSE": False, "0": False}
    return [known[word] for word in words] if words and set(words) <= set(known) else None


def _blank(line: str, at: int) -> int:
    found = _BLANK.match(line, at)
    return found.end() if found else at


def _word(line: str, at: int, bare: re.Pattern[str], open_ended: set[str]) -> tuple[str, int]:
    """The word that begins at `at`, without its quotes, and where it ends."""
    kind = line[at : at + 1]
    if kind == "[" and kind not in open_ended:
        end = _closing(line, at)
        if end:
            return line[at:end], end
        open_ended.add(kind)
    elif kind in _QUOTED and kind not in open_ended:
        quoted = _QUOTED[kind].match(line, at)
        if quoted:
            return _ESCAPED.sub(r"\1", quoted[1]), quoted.end()
        open_ended.add(kind)
    found = bare.match(line, at)
    return (found[0], found.end()) if found else ("", at)


def _closing(line: str, at: int) -> int:
    """Behind the bracket that closes the one at `at`; 0 if none does."""
    depth = 0
    for found in _BRACKET.finditer(line, at):
        depth += 1 if found[0] == "[" else -1
        if depth == 0:
            return found.end()
    return 0
