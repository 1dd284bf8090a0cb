"""Tables as runs would make them: errors that scatter over seeds, rows with one baseline."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LOOKS = (3, 5, 8, 12, 20)
MARGIN = 0.05
SCATTER = (0.118, 0.059)
"""Standard deviations of paired differences of log errors, of energies and forces: those of the
case study's runs."""
ROWS = 7


def tables(
    count: int, effect: float, rows: int = ROWS, real: int | None = None, seed: int = 1
) -> NDArray[np.float64]:
    """Differences of log errors: (seeds, rows x metrics, tables), normal.

    Half of their variance is that of the baseline, which the rows of a table share; energies and
    forces of a run are correlated, too.

    Args:
        count: of tables.
        effect: by what fraction the first `real` rows are worse than the baseline.
        rows: beside the baseline.
        real: how many have the effect; None: all.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    n = LOOKS[-1]
    of_run = rng.standard_normal((n, rows + 1, 1, count))
    own = rng.standard_normal((n, rows + 1, len(SCATTER), count))
    logs = (of_run + own) / math.sqrt(2) * np.reshape(SCATTER, (-1, 1)) / math.sqrt(2)
    logs[:, 1 : 1 + (rows if real is None else real)] += math.log1p(effect)
    return (logs[:, 1:] - logs[:, :1]).reshape(n, -1, count)


def p_values(changes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of no change and of no equality at each look: (looks, effects, tables)."""
    change, equality = [], []
    for n in LOOKS:
        seen = changes[:n]
        error = seen.std(0, ddof=1) / math.sqrt(n)
        mean = np.abs(seen.mean(0))
        change.append(2 * stats.t.sf(mean / error, n - 1))
        equality.append(stats.t.sf((math.log1p(MARGIN) - mean) / error, n - 1))
    return np.array(change), np.array(equality)
