"""Plain values -> the dataclasses of a configuration, where nothing has to be converted.

OmegaConf converts what it can ("3" for a whole number) and says what it cannot, in twenty
milliseconds; values that already have their types need neither.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
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
        raise UserError(f"{key}: {first_line(error)}") from None
    assert isinstance(typed, Config)
    return typed


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
