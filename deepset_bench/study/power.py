"""How many seeds decide: what a t-test of paired changes finds of an effect, before it is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from deepset_bench.study.boundary import Looks, levels
from deepset_bench.study.effect import Effect
from deepset_bench.study.statistics import quantile

POWER = 0.8
"""How likely an effect is to be found where a plan says that it is."""
MOST = 200
"""Seeds; a plan looks no further."""
_NODES = 64
_LEAST = 1e-9
"""Scatter: runs that are the same to the last digit are taken to differ somewhere."""


def finds(change: float, scatter: float, n: int, level: float) -> float:
    """How likely a two-sided t-test of n changes finds an effect: by the noncentral t.

    Args:
        change: mean of the log ratios.
        scatter: their standard deviation over seeds.
        n: seeds, two at least.
        level: of the test.
    """
    from scipy.special import ndtr

    limit = quantile(n - 1, 1 - level) * _spread(n)
    shift = abs(change) * math.sqrt(n) / scatter
    return _mean(ndtr(shift - limit) + ndtr(-shift - limit))


def finds_equal(change: float, scatter: float, n: int, margin: float, level: float) -> float:
    """How likely two one-sided t-tests find that a change is within the margin.

    Args:
        change: mean of the log ratios.
        scatter: their standard deviation over seeds.
        n: seeds, two at least.
        margin: a fraction.
        level: of each test.
    """
    from scipy.special import ndtr

    limit = quantile(n - 1, 1 - 2 * level) * _spread(n)
    unit = math.sqrt(n) / scatter
    low, high = (change - math.log1p(margin)) * unit, (change + math.log1p(margin)) * unit
    return _mean(np.maximum(ndtr(high - limit) - ndtr(low + limit), 0.0))


@cache
def _spread(n: int) -> NDArray[np.float64]:
    """Standard deviations that n values of a unit normal have, at the nodes of `_mean`."""
    from scipy.special import gammaincinv

    nodes, _ = np.polynomial.legendre.leggauss(_NODES)
    half: NDArray[np.float64] = gammaincinv((n - 1) / 2, (nodes + 1) / 2)
    return np.sqrt(2 * half / (n - 1))


def _mean(values: NDArray[np.float64]) -> float:
    _, weights = np.polynomial.legendre.leggauss(_NODES)
    return float(values @ weights) / 2


def detectable(scatter: float, n: int, level: float) -> float:
    """The smallest increase, a fraction, that a test finds with POWER."""
    low, high = 0.0, 50.0 * scatter
    while finds(high, scatter, n, level) < POWER:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if finds(middle, scatter, n, level) > POWER else (middle, high)
    return math.expm1(high) if high < 700 else math.inf


def fewest(chance: Callable[[int], float]) -> int | None:
    """The fewest seeds, two at least, that decide with POWER; None where MOST do not.

    Args:
        chance: of a decision with a number of seeds; more make it likelier.
    """
    if chance(MOST) < POWER:
        return None
    low, high = 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= POWER else (middle, high)
    return high


def by_looks(change: float, scatter: float, looks: Looks, level: float) -> tuple[float, float]:
    """Seeds that an effect takes on average, and how likely a look finds it at all.

    What a look has found, later ones mostly would find, too: the chance that one of them has is
    taken to be that of the likeliest, so that an effect takes a little less than this.

    Args:
        change: mean of the log ratios.
        scatter: their standard deviation over seeds.
        looks: numbers of seeds.
        level: of all looks together.
    """
    pairs = zip(looks, levels(looks, level), strict=True)
    by_now = np.maximum.accumulate([finds(change, scatter, n, nominal) for n, nominal in pairs])
    going_on = 1 - np.array([0.0, *by_now[:-1]])
    return float(going_on @ np.diff(looks, prepend=0)), float(by_now[-1])


def scatter_of(effects: Sequence[Effect]) -> tuple[float, int]:
    """Standard deviation of changes over seeds, pooled over effects, and its degrees of freedom.

    NaN and 0 where no effect has two seeds.
    """
    there = [np.array(one.changes) for one in effects if one.n > 1 and one.relative]
    freedom = sum(len(one) - 1 for one in there)
    if not freedom:
        return math.nan, 0
    squares = sum(float(((one - one.mean()) ** 2).sum()) for one in there)
    return max(math.sqrt(squares / freedom), _LEAST), freedom
