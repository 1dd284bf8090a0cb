"""Plain values -> the dataclasses of a configuration, where nothing has to be converted.

OmegaConf converts what it can ("3" for a whole number) and says what it cannot, in twenty
milliseconds; values that already have their types need neither.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepset_bench.composing import first_line
from deepset_bench.errors import UserError
from deepset_bench.schema import Config


class NotExact(Exception):
    """A value is not of its key's type, or a key is unknown or missing."""


def as_config(values: dict[str, Any] | DictConfig) -> Config:
    """A configuration of plain values.

    Raises:
        UserError: a key that is unknown or missing, or a value of another type.
    """
    with suppress(NotExact):
        exact: Config = exactly(Config, values)
        return exact
    try:
        typed = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), values))
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", None))
        if key.endswith("_size") and re.search(r"'0?\.\d+' of type 'float'", str(error)):
            raise UserError(f"{key} is a number of frames, not a fraction of them") from None
        raise UserError(mistyped(Config, values, error)) from None
    assert isinstance(typed, Config)
    return typed


def mistyped(kind: Any, values: Any, error: OmegaConfBaseException) -> str:
    """Which key has a value of another type, and what it takes; else what OmegaConf says.

    Args:
        kind: the dataclass that the values were to become.
        values: a mapping.
        error: of OmegaConf.
    """
    key = str(getattr(error, "full_key", None))
    hint, value, said = kind, values, first_line(error)
    for name in key.split("."):
        hint = get_type_hints(hint).get(name) if is_dataclass(hint) else _member(hint)
        value = value.get(name, MISSING) if hasattr(value, "get") else MISSING
    words = [_TYPES.get(get_origin(one) or one, "") for one in _options(hint)]
    if value is MISSING or not all(words):
        return f"{key}: {said}"
    written = str(value).lower() if isinstance(value, bool) else "null" if value is None else value
    return f"{key}={written} must be {' or '.join(words)}"


_TYPES: dict[Any, str] = {
    **{int: "a whole number", float: "a number", bool: "true or false", str: "text"},
    **{list: "a list, as in [a,b]", dict: "a mapping of keys to values", NoneType: "null"},
}


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) is UnionType else (hint,)


def _member(hint: Any) -> Any:
    return get_args(hint)[1] if get_origin(hint) is dict else None


def exactly(kind: Any, value: Any) -> Any:
    """`value` as a `kind`: a dataclass from a mapping, its members likewise; numbers may be whole.

    Raises:
        NotExact: it would have to be converted.
    """
    if is_dataclass(kind):
        return _object(kind, value)
    if kind is Any:
        return value
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
        with suppress(OverflowError):
            return float(value)
        raise NotExact
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
