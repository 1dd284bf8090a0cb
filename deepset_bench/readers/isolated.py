"""Formats whose cells are not read: what is periodic is refused."""

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
    named = {key.lower(): (key, value) for key, value in found.items()}
    if PERIODIC in named:
        if np.any(named[PERIODIC][1]):
            raise UserError(
                f"{where}: is periodic, and cells are read of extended XYZ and ASE's files alone; "
                'write it as one, or with pbc="F F F" if its molecule is isolated'
            )
        return
    for key, value in (named[name] for name in CELLS if name in named):
        cell = np.asarray(value)
        if cell.dtype.kind not in "iuf" or cell.any():
            raise UserError(
                f"{where}: has '{key}', as periodic systems do, and cells are read of extended "
                "XYZ and ASE's files alone; write it as one, or say in the file with "
                'pbc="F F F" that its molecule is isolated'
            )
