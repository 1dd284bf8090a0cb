"""What comes back from disk, typed before it is used: another program may have written it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import yaml

from deepset_bench.errors import UserError, nearest
from deepset_bench.surroundings import of_file

DAMAGED = "damaged"
Kinds = dict[str, type | tuple[type, ...]]
"""Key -> what its value is to be an instance of."""


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of plain values.

    Raises:
        UserError: the file cannot be read, is no YAML, gives a key twice, is nested beyond reason,
            or repeats a list or a mapping by an alias, which a few lines can blow up to any size.
    """
    try:
        return yaml_of(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({of_file(path, error)})") from None


def yaml_of(text: str) -> Any:
    """The same of a text.

    Raises:
        ValueError: says what is wrong.
    """
    try:
        return yaml.load(text, _Plain if _ODD.search(text) else _Quick)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


class _Unrepeated:
    """A mapping's keys are given once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        if len(set(map(str, keys))) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.YAMLError(f"the key {twice} is given twice{node.start_mark}")
        return super().construct_mapping(node, deep)  # type: ignore[misc]


class _Quick(_Unrepeated, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """For text without aliases or deep nesting, which libyaml, eight times as fast, lets pass."""


_ODD = re.compile(r"[&*]|(?:[-?:\[{]\s*){40}")


class _Plain(_Unrepeated, yaml.SafeLoader):
    """Scalars may be repeated by an alias, as overrides in sweeps are."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            if not isinstance(self.anchors.get(event.anchor), yaml.ScalarNode | None):
                raise yaml.YAMLError(f"*{event.anchor} repeats more than one value; write it out")
        return super().compose_node(parent, index)


def read_json(path: Path, problem: Callable[[dict[str, Any]], str], state: str) -> dict[str, Any]:
    """A JSON file that is a mapping; empty where there is none.

    What is damaged is a mapping, too: `state` is then `damaged`, and `reason` says what is wrong,
    so that one damaged file keeps nobody from reading the others.

    Args:
        path: the file.
        problem: says what a mapping lacks; empty for nothing.
        state: the key that says how things stand.
    """
    return json_of(lambda: path.read_bytes().decode(), path.name, problem, state)


def json_of(
    text: Callable[[], str], name: str, problem: Callable[[dict[str, Any]], str], state: str
) -> dict[str, Any]:
    """The same of a text, wherever it is read from."""
    try:
        content = json.loads(text(), parse_constant=_refuse)
        found = problem(content) if isinstance(content, dict) else "it is not a mapping"
    except FileNotFoundError:
        return {}
    except OSError as error:
        found = f"it cannot be read: {error.strerror}"
    except RecursionError:
        found = "it is nested too deeply"
    except ValueError as error:
        found = f"it is not JSON: {error}"
    return {state: DAMAGED, "reason": f"{name} is damaged ({found})"} if found else content


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


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
