"""Fewer functions of a distance that say the same: an extended basis is nearly dependent.

Gaussians of d, d^2, d^4 and ln d, 128 in all, are combinations of some 75 on the distances that a
set has. An orthonormal change of basis finds them; the parameters stay those of all functions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepset_bench.model.batches import with_slope

ERROR = {torch.float32: (3e-7, 2e-6), torch.float64: (1e-13, 1e-12)}
"""Largest error of a function, which is of order 1, and of its slope beside the steepest.

Less than its own rounding: 1e-6 and 4e-6 of d^3's Gaussians in float32.
"""

SLOPES = 0.02
"""Angstrom; how much slopes count beside values when functions are chosen."""

WORTHWHILE = 0.85
"""Share of the functions above which they stay as they are."""

POINTS = 4096
"""Evenly over the range, and of the set's own distances."""


def expansion(
    function: Callable[[Tensor], Tensor], d: Tensor, cutoff: float, dtype: torch.dtype
) -> Tensor | None:
    """(P', P) with orthonormal rows, U in f = f U^T U to `ERROR` for functions f(d); None if P' is
    hardly less than P.

    Args:
        function: (...) -> (..., P).
        d: (E,) the distances of a set.
        cutoff: in angstrom, as they are.
        dtype: of what is computed with them.
    """
    if dtype not in ERROR or not len(d):
        return None
    own = d[:: -(-len(d) // POINTS)].double()
    even = torch.linspace(float(d.min()), cutoff, POINTS, dtype=torch.float64, device=d.device)
    f, slopes = with_slope(function, torch.cat([own, even]))
    both = torch.cat([f, SLOPES * slopes])
    rows = torch.linalg.svd(both, full_matrices=False).Vh
    steepest = slopes.abs().max(0).values.clamp_min(1.0)

    def enough(count: int) -> bool:
        U = rows[:count]
        error = (f @ U.T @ U - f).abs().max()
        of_slopes = ((slopes @ U.T @ U - slopes).abs() / steepest).max()
        largest, largest_of_slopes = ERROR[dtype]
        return bool(error <= largest) and bool(of_slopes <= largest_of_slopes)

    low, high = 1, len(rows)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return rows[:low].to(dtype) if low <= WORTHWHILE * len(rows) else None
