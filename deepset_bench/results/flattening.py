"""The files of a run as cells under the names of columns, and back.

The column `result.metrics.test.energy_mae_ev` is what result.json has under these keys. Lists, and
what is nested deeper, are one cell each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepset_bench.errors import UserError, one_line
from deepset_bench.reading import yaml_of
from deepset_bench.record import CONFIG, RESULT, STATUS
from deepset_bench.results.cells import cell, value

FILES = {"config": CONFIG, "status": STATUS, "result": RESULT}
"""How the columns of a file begin -> the file."""
_DEPTH = 3
"""Keys in the name of a column at most, behind the file's."""

Cells = dict[str, str]
"""Name of a column -> the text in it; what is not there has none."""


def content(name: str, text: str) -> Any:
    """What a file holds.

    Raises:
        ValueError, RecursionError: it is damaged.
    """
    if name == CONFIG:
        return yaml_of(text)
    return json.loads(text)


def written(name: str, holds: Mapping[str, Any]) -> str:
    """The text of a file, as the program writes it.

    Raises:
        UserError: a configuration that OmegaConf does not take.
    """
    if name == CONFIG:
        try:
            return OmegaConf.to_yaml(OmegaConf.create(dict(holds)))
        except OmegaConfBaseException as error:
            raise UserError(f"a configuration cannot be written ({one_line(error)})") from None
    return json.dumps(holds, indent=2) + "\n"


def flattened(prefix: str, holds: Mapping[Any, Any], depth: int = _DEPTH) -> Cells:
    """One cell a leaf.

    Raises:
        ValueError, TypeError, RecursionError: something in it is not JSON.
    """
    found: Cells = {}
    for key, member in holds.items():
        name = f"{prefix}.{key}"
        if isinstance(member, Mapping) and member and depth > 1:
            found |= flattened(name, member, depth - 1)
        else:
            found[name] = cell(member)
    return found


def nested(cells: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What `flattened` was given, its keys in the order of the cells.

    Raises:
        ValueError: a cell that is none, or that two columns contradict each other; the message
            begins with the column.
    """
    found: dict[str, Any] = {}
    for name, text in cells:
        place = found
        *keys, last = name.split(".")[1:]
        for key in keys:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ValueError(f"column {name}: another column says that there is no such key")
        if last in place:
            raise ValueError(f"column {name}: other columns say that it holds keys")
        try:
            place[last] = value(text)
        except ValueError as error:
            raise ValueError(f"column {name}: {error}") from None
    return found
