"""figures.yaml: a list of figures, each with a name, a kind, and the keys that the kind takes.

The keys of a kind are the keyword parameters of its function, with their types and defaults.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from deepset_bench.errors import UserError, nearest
from deepset_bench.figures.asked import Entry
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.figure_kinds import KINDS
from deepset_bench.reading import read_yaml
from deepset_bench.typed import NotExact, exactly

FILE = "figures.yaml"
_OWN = ("name", "kind", "title", "caption")
_WORDS: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Sequence[str]: "a list of texts",
    Mapping[str, float]: "names with a number each",
}
"""Type of a kind's key -> what a person is to give."""
_YAML: dict[Any, Any] = {Sequence[str]: list[str], Mapping[str, float]: dict[str, float]}


def read(path: Path) -> list[Entry]:
    """Read and check the list.

    Raises:
        UserError: not YAML, no list, an unknown or missing key, a value of the wrong type.
    """
    content = read_yaml(path)
    if not isinstance(content, list):
        raise UserError(f"{path}: must be a list of figures, each with a name and a kind")
    found: list[Entry] = []
    for number, one in enumerate(content, 1):
        entry = _entry(one, f"{path}: entry {number}", path)
        if entry.name in {other.name for other in found}:
            raise UserError(f"{path}: the name {entry.name} is another figure's already")
        found.append(entry)
    return found


def keys_of(kind: Callable[..., Figure]) -> dict[str, tuple[Any, bool]]:
    """What a kind takes: key -> its type, and whether it must be given."""
    hints = get_type_hints(kind)
    return {
        name: (hints[name], parameter.default is inspect.Parameter.empty)
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _entry(content: Any, where: str, path: Path) -> Entry:
    if not isinstance(content, dict):
        raise UserError(f"{where}: must be a mapping with a name and a kind")
    for key in ("name", "kind"):
        if not isinstance(content.get(key), str):
            raise UserError(f"{where}: {key} is missing or not text")
    name, kind = content["name"], content["kind"]
    if not re.fullmatch(r"\w[\w.-]{0,63}", name):
        raise UserError(f"{where}: the name {name!r} names files: letters, digits, _, . and - only")
    place = f"{path}: {name}"
    if kind not in KINDS:
        raise UserError(f"{place}: unknown kind {kind!r}; {nearest(kind, KINDS)}")
    takes = keys_of(KINDS[kind])
    given = {str(key): value for key, value in content.items() if key not in _OWN}
    for key in given:
        if key not in takes:
            raise UserError(f"{place}: unknown key {key!r}; {nearest(key, [*_OWN, *takes])}")
    keys = {}
    for key, (expected, needed) in takes.items():
        if key in given:
            try:
                keys[key] = exactly(_YAML.get(expected, expected), given[key])
            except NotExact:
                what = f"must be {_WORDS[expected]}, not {given[key]!r}"
                raise UserError(f"{place}, {key}: {what}") from None
        elif needed:
            raise UserError(f"{place}: {key} is missing: {_WORDS[expected]}")
    for key in ("title", "caption"):
        if not isinstance(content.get(key, ""), str):
            raise UserError(f"{place}, {key}: must be text, not {content[key]!r}")
    return Entry(name, kind, content.get("title"), content.get("caption"), keys, place)
