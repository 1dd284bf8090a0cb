"""Means over seeds and paired differences, with Student's t-intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from deepset_bench.replicate import Replicate

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


@cache
def _t(freedom: int, confidence: float) -> float:
    """Within which -t to t Student's t lies with this probability.

    Whole degrees of freedom have a closed form in the angle of t / sqrt(freedom) (Abramowitz and
    Stegun, 26.7.3 and 26.7.4), here solved by halving. SciPy's is the same to ten digits, and takes
    longer to import than a table to be made.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        angle = (low + high) / 2
        odd, term, series = freedom % 2, 1.0, 0.0
        for n in range(odd, freedom - 1 if odd else freedom, 2):
            if n > odd:
                term *= (n - 1) / n * math.cos(angle) ** 2
            series += term
        inside = math.sin(angle) * series
        if odd:
            inside = (angle + inside * math.cos(angle)) * 2 / math.pi
        low, high = (angle, high) if inside < confidence else (low, angle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


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
    return Estimate(mean, _t(n - 1, confidence) * float(np.std(values, ddof=1)) / math.sqrt(n), n)


def paired(
    values: Mapping[Replicate, float],
    baseline: Mapping[Replicate, float],
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Difference of two variants by replicate, over those that both have.

    Its seeds draw the split and the order of the frames, so that runs of one replicate share both
    and their difference scatters less than either.
    """
    shared = sorted(values.keys() & baseline.keys())
    return estimate([values[one] - baseline[one] for one in shared], confidence)
