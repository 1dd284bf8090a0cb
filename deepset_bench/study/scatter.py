"""How much of the scatter of errors comes from the split, and how much from the seed of the run.

A two-way analysis of variance with random effects and one value in each cell (Searle, Casella and
McCulloch, Variance Components, Wiley (1992), chapter 4): the logarithm of an error is a mean, an
effect of the split, one of the seed (initialisation and order), and one of both together. Rows and
columns of a grid of runs have all four in known shares, which the mean squares tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from deepset_bench.molecules.frames import FloatArray
from deepset_bench.replicate import Replicate

NOTE = (
    "Scatter: standard deviations of the logarithm of the error, in %, by a two-way analysis of "
    "variance over a grid of runs. split: which frames; seed: initialisation and order; both: what "
    "neither explains alone. An estimate that is not above zero is 0."
)
FEWEST = 2
"""Splits, and seeds, of a grid that tells them apart."""


@dataclass(frozen=True)
class Components:
    """Variances of the logarithm of an error; estimates, so that they may be negative.

    Attributes:
        split: of the split.
        seed: of initialisation and order.
        both: of what both together do beside that.
        shape: splits and seeds that they are from; None for a mean over several grids.
    """

    split: float
    seed: float
    both: float
    shape: tuple[int, int] | None = None

    @property
    def percent(self) -> tuple[float, float, float]:
        """Standard deviations: of the split, of the seed, and of both."""
        split, seed, both = (
            100 * math.sqrt(max(variance, 0.0)) for variance in (self.split, self.seed, self.both)
        )
        return split, seed, both


def components(values: Mapping[Replicate, float]) -> Components | None:
    """Of the errors of one variant; None where no grid of its runs has positive ones."""
    table = grid(values)
    return None if table is None or not (table > 0).all() else two_way(np.log(table))


def grid(values: Mapping[Replicate, float]) -> FloatArray | None:
    """The largest table (splits, seeds) without a gap; None where there is none of 2 x 2.

    Runs whose seed draws the split are in no table.
    """
    found: dict[int, dict[int, float]] = {}
    for one, value in values.items():
        if one.split is not None:
            found.setdefault(one.split, {})[one.seed] = value
    best, largest = None, 0
    # Splits with the most seeds first: each further one may cost seeds that it does not have.
    order = sorted(found, key=lambda split: (-len(found[split]), split))
    for count in range(FEWEST, len(order) + 1):
        splits = sorted(order[:count])
        seeds = sorted(set.intersection(*(set(found[split]) for split in splits)))
        size = (count - 1) * (len(seeds) - 1)
        if len(seeds) >= FEWEST and size > largest:
            best = np.array([[found[split][seed] for seed in seeds] for split in splits])
            largest = size
    return best


def two_way(table: FloatArray) -> Components:
    """The components of a table (a, b) with a random effect for each row and each column.

    With the mean squares of rows, of columns and of the rest, which are b s_row + s, a s_col + s
    and s on average.
    """
    a, b = table.shape
    rows, columns, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    rest = table - rows[:, None] - columns + mean
    both = float((rest**2).sum()) / ((a - 1) * (b - 1))
    of_rows = b * float(((rows - mean) ** 2).sum()) / (a - 1)
    of_columns = a * float(((columns - mean) ** 2).sum()) / (b - 1)
    return Components((of_rows - both) / b, (of_columns - both) / a, both, (a, b))


def pooled(each: Iterable[Components]) -> Components:
    """The mean of the variances of several variants."""
    all_of_them = [(one.split, one.seed, one.both) for one in each]
    split, seed, both = np.mean(all_of_them, axis=0).tolist()
    return Components(split, seed, both)
