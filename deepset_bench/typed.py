"""Plain values -> the dataclasses of a configuration, where nothing has to be converted.

OmegaConf converts what it can ("3" for a whole number) and says what it cannot, in twenty
milliseconds; values that already have their types need neither.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints


class NotExact(Exception):
    """A value is not of its key's type, or a key is unknown or missing."""


def exactly(kind: Any, value: Any) -> Any:
    """`value` as a `kind`: a dataclass from a mapping, its members likewise; numbers may be whole.

    Raises:
        NotExact: it would have to be converted.
    """
    if is_dataclass(kind):
        return _object(kind, value)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        for option in inner:
            with suppress(NotExact):
                return exactly(option, value)
        raise NotExact
    if origin is list and type(value) is list:
        return [exactly(inner[0], member) for member in value]
    if origin is dict and type(value) is dict:
        return {exactly(inner[0], k): exactly(inner[1], v) for k, v in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise NotExact
    return value


def _object(kind: Any, value: Any) -> Any:
    hints, needed = _hints(kind)
    if type(value) is not dict or not needed <= value.keys() <= hints.keys():
        raise NotExact
    return kind(**{key: exactly(hints[key], member) for key, member in value.items()})


@cache
def _hints(kind: Any) -> tuple[dict[str, Any], set[str]]:
    needed = {f.name for f in fields(kind) if f.default is f.default_factory is MISSING}
    return get_type_hints(kind), needed
