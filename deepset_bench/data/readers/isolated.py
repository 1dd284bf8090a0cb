"""Models here see molecules in vacuum: what is periodic is refused, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepset_bench.errors import UserError

CELLS = ("lattice", "cell", "cells", "box", "unitcell", "unit_cell", "lattice_vectors")
"""What arrays of a periodic cell are called, in any case of letters."""
PERIODIC = "pbc"


def check_isolated(where: str, found: Mapping[str, Any]) -> None:
    """Refuse a periodic system, and a cell that does not say whether it is one.

    Args:
        where: for the message.
        found: what a file holds, by name; only cells and `pbc` are looked at.

    Raises:
        UserError: one line with what to do.
    """
    for key, value in found.items():
        if key.lower() == PERIODIC:
            refuse_periodic(where, bool(np.any(value)), cell=False)
            return
    for key, value in found.items():
        if key.lower() in CELLS:
            array = np.asarray(value)
            refuse_periodic(where, False, array.dtype.kind not in "iuf" or bool(np.any(array)), key)


def refuse_periodic(where: str, periodic: bool, cell: bool, key: str = "") -> None:
    """The two reasons, in words.

    Args:
        where: for the message.
        periodic: the file says that it is, along one direction or more.
        cell: the file has a cell and does not say.
        key: of that cell.
    """
    if periodic:
        raise UserError(
            f"{where}: is periodic, but models here see molecules in vacuum; if its molecule is "
            'isolated, write it with pbc="F F F"'
        )
    if cell:
        raise UserError(
            f"{where}: has '{key}', as periodic systems do, but models here see molecules in "
            'vacuum; if its molecule is isolated, say so in the file with pbc="F F F"'
        )
