"""Means over seeds and paired differences, with Student's t-intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean of n values and half the width of its interval: NaN where n = 1 leaves none."""

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and zero lies outside it: what is set in bold."""
        return self.low > 0 or self.high < 0  # false for NaN

    def scaled(self, factor: float) -> Estimate:
        """The same in another unit."""
        return Estimate(self.mean * factor, self.half * abs(factor), self.n)


NOTHING = Estimate(math.nan, math.nan, 0)


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean and t-interval of independent values; n = 1 gives no interval, n = 0 nothing.

    The half-width is t(n - 1, (1 + confidence) / 2) s / sqrt(n), s with n - 1 in the denominator.
    """
    n = len(values)
    if n == 0:
        return NOTHING
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, math.nan, 1)
    t = float(stdtrit(n - 1, (1 + confidence) / 2))
    return Estimate(mean, t * float(np.std(values, ddof=1)) / math.sqrt(n), n)


def paired(
    values: Mapping[int, float], baseline: Mapping[int, float], confidence: float = CONFIDENCE
) -> Estimate:
    """Difference of two variants by seed, over the seeds that both have.

    The seed draws the split and the order of the frames, so that runs of one seed share both and
    their difference scatters less than either.
    """
    shared = sorted(values.keys() & baseline.keys())
    return estimate([values[seed] - baseline[seed] for seed in shared], confidence)
