"""Rows of whole numbers that differ, as compositions of many frames do in a few ways."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepset_bench.molecules.frames import IntArray

_MOST = 2**62


def distinct_rows(values: NDArray[np.generic]) -> tuple[IntArray, IntArray]:
    """Each row of (m, c) whole numbers once, ascending, and which of them each row is, (m,).

    As np.unique along axis 0, by one sort of whole numbers.
    """
    rows = np.asarray(values).astype(np.int64)
    if not rows.size:
        return np.unique(rows, axis=0), np.zeros(len(rows), dtype=np.int64)
    low, span = rows.min(axis=0), 1
    sizes = (rows.max(axis=0) - low + 1).tolist()
    code = np.zeros(len(rows), dtype=np.int64)
    for column, first, size in zip(rows.T, low, sizes, strict=True):
        if span * size > _MOST:
            code = np.unique(code, return_inverse=True)[1]
            span = len(rows)
        code = code * size + (column - first)
        span *= size
    _, first_row, which = np.unique(code, return_index=True, return_inverse=True)
    return rows[first_row], which
