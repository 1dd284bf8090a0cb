"""Means over seeds with Student's t-intervals, p-values, and Holm's for several at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
Angle = TypeVar("Angle", float, NDArray[np.float64])


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
        """Whether there is an interval and zero lies outside it."""
        return self.low > 0 or self.high < 0  # false for NaN


def inside(angle: Angle, freedom: int) -> Angle:
    """How likely Student's t lies within -t to t, where tan(angle) = t / sqrt(freedom).

    Whole degrees of freedom have a closed form (Abramowitz and Stegun, 26.7.3 and 26.7.4). SciPy's
    is the same to ten digits, and takes longer to import than a table to be made.
    """
    odd, series = freedom % 2, 0.0 * angle
    term = 1.0 + series
    for n in range(odd, freedom - 1 if odd else freedom, 2):
        if n > odd:
            term = term * ((n - 1) / n * np.cos(angle) ** 2)
        series = series + term
    found = np.sin(angle) * series
    return (angle + found * np.cos(angle)) * (2 / math.pi) if odd else found


@cache
def quantile(freedom: int, confidence: float) -> float:
    """Within which -t to t Student's t lies with this probability."""
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        angle = (low + high) / 2
        low, high = (angle, high) if inside(angle, freedom) < confidence else (low, angle)
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
    return Estimate(
        mean, quantile(n - 1, confidence) * float(np.std(values, ddof=1)) / math.sqrt(n), n
    )


def p_value(values: Sequence[float]) -> float:
    """Of a mean of zero, two-sided, by Student's t; NaN where n = 1 leaves none."""
    n = len(values)
    if n < 2:
        return math.nan
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(n)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return _beyond(mean / error, n - 1)


def equality_p_value(values: Sequence[float], bound: float) -> float:
    """Of a mean of at least `bound` on either side: the larger of two one-sided t-tests; NaN for 1.

    D. Schuirmann, J. Pharmacokinet. Biopharm. 15, 657 (1987).
    """
    n = len(values)
    if n < 2:
        return math.nan
    inner = bound - abs(float(np.mean(values)))
    error = float(np.std(values, ddof=1)) / math.sqrt(n)
    if error == 0:
        return 0.0 if inner >= 0 else 1.0
    side = _beyond(inner / error, n - 1) / 2
    return side if inner >= 0 else 1 - side


def _beyond(t: float, freedom: int) -> float:
    return 1 - float(inside(math.atan(abs(t) / math.sqrt(freedom)), freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several, so that all below 0.05 are right together with 95 %.

    The step-down method of S. Holm, Scand. J. Statist. 6, 65 (1979); NaN stays NaN, and counts for
    nothing.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted, least = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        adjusted[place] = least
    return adjusted
