"""What comes back from disk, typed before it is used: another program may have written it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from deepset_bench import bounds
from deepset_bench.errors import UserError, nearest
from deepset_bench.surroundings import check_is_its_own, of_file

DAMAGED = "damaged"
Kinds = dict[str, type | tuple[type, ...]]
"""Key -> what its value is to be an instance of."""


def read_yaml(path: Path, usual: int = bounds.SHEET) -> Any:
    """The content of a YAML file of plain values.

    Args:
        path: the file.
        usual: bytes that it may have; see `bounds`.

    Raises:
        UserError: the file cannot be read, is no YAML, gives a key twice, is nested beyond reason,
            or repeats a list or a mapping by an alias, which a few lines can blow up to any size.
    """
    return text_and_yaml(path, usual)[1]


def text_and_yaml(path: Path, usual: int = bounds.SHEET) -> tuple[str, Any]:
    """The text of such a file, for who has it parsed by others, too; and `read_yaml` of it."""
    try:
        text = bounds.text(path, usual)
        return text, yaml_of(text)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({of_file(path, error)})") from None


def yaml_of(text: str) -> Any:
    """The same of a text.

    Raises:
        ValueError: says what is wrong.
    """
    try:
        if _ODD.search(text) or text.count("[") + text.count("{") > _DEEPEST:
            _check_events(text)
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _check_events(text: str) -> None:
    """Look at what libyaml would make nodes of, by recursion without a bound.

    Scalars may be repeated by an alias, as overrides in sweeps are.

    Raises:
        ValueError: more than those are repeated, it is nested too deeply, or has huge numbers.
    """
    if _DIGITS.search(text):
        raise ValueError("a number has too many digits")
    depth, scalars = 0, set()
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if isinstance(event, yaml.ScalarEvent):
            scalars.add(event.anchor)
        elif isinstance(event, yaml.CollectionStartEvent):
            scalars.discard(event.anchor)
        elif isinstance(event, yaml.AliasEvent) and event.anchor not in scalars:
            raise ValueError(f"*{event.anchor} repeats more than one value; write it out")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain values alone; the keys of a mapping are given once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            if len(set(map(str, keys))) < len(keys):
                twice = next(key for key in keys if keys.count(key) > 1)
                raise yaml.YAMLError(f"the key {twice} is given twice{node.start_mark}")
        return super().construct_mapping(node, deep)


_DEEPEST = 100
"""Lists and mappings within each other."""
_DIGITS = re.compile(r"0x[0-9a-fA-F_]{400}|[-+0-9_:.]{400}")
# What may hold an alias, be nested without brackets, or be a number that takes long to convert.
_ODD = re.compile(rf"[&*]|(?:[-?:\[{{]\s*){{40}}|^ {{80}}|{_DIGITS.pattern}", re.MULTILINE)


def read_json(path: Path, problem: Callable[[dict[str, Any]], str], state: str) -> dict[str, Any]:
    """A JSON file that is a mapping; empty where there is none.

    What is damaged is a mapping, too: `state` is then `damaged`, and `reason` says what is wrong,
    so that one damaged file keeps nobody from reading the others.

    Args:
        path: the file.
        problem: says what a mapping lacks; empty for nothing.
        state: the key that says how things stand.
    """
    return json_of(lambda: bounds.text(path, bounds.RECORD), path.name, problem, state)


def json_of(
    text: Callable[[], str], name: str, problem: Callable[[dict[str, Any]], str], state: str
) -> dict[str, Any]:
    """The same of a text, wherever it is read from."""
    try:
        content = _JSON.decode(text())
        _check_finite([content])
        found = problem(content) if isinstance(content, dict) else "it is not a mapping"
    except FileNotFoundError:
        return {}
    except OSError as error:
        check_is_its_own(error)
        found = f"it cannot be read: {error.strerror}"
    except RecursionError:
        found = "it is nested too deeply"
    except bounds.Unbounded as error:
        found = f"it {error}"
    except ValueError as error:
        found = f"it is not JSON: {error}"
    return {state: DAMAGED, "reason": f"{name} is damaged ({found})"} if found else content


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _whole(digits: str) -> int:
    """A whole number that other programs can hold; a hundred digits take no part in any result."""
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise ValueError(f"{digits[:20]}... is too large a number")
    return int(digits)


_JSON = json.JSONDecoder(parse_constant=_refuse, parse_int=_whole)
_NESTED = (dict, list)


def _check_finite(content: Any) -> None:
    """Refuse what JSON may write and no float holds, 1e999. `parse_float` takes as long as reading.

    Raises:
        ValueError: there is such a number.
    """
    for value in content.values() if isinstance(content, dict) else content:
        if isinstance(value, float):
            if not isfinite(value):
                raise ValueError("a number is too large")
        elif isinstance(value, _NESTED):
            _check_finite(value)


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a finite number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -1e300 < value < 1e300


def lacking(content: dict[str, Any], kinds: Kinds) -> str:
    """The first key that is missing or of another kind; empty for none."""
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind):
            return f"{key} is missing" if key not in content else f"{key} is {content[key]!r:.40}"
    return ""


def mapping(content: Any, where: str, keys: Collection[str]) -> dict[str, Any]:
    """What a file or an entry of one holds, which may have these keys alone.

    Raises:
        UserError: it is no mapping, or has another key; the message has the nearest ones.
    """
    if not isinstance(content, dict):
        raise UserError(f"{where}: must be a mapping with the keys {', '.join(keys)}")
    for key in content:
        if key not in keys:
            raise UserError(f"{where}: unknown key {str(key)!r}; {nearest(str(key), keys)}")
    return content
