"""How sure one has to be to stop after some of the seeds: levels of tests that look several times.

A test at 5 % that is repeated after every new seed finds an effect where there is none in far more
than 5 % of the cases. Here what may go wrong is spent over the looks (K. Lan, D. DeMets, Biometrika
70, 659, 1983): by a look at n of at most N seeds, the chance of a false verdict is at most
`level` n / N. The level of each look follows by the recursion of P. Armitage, C. McPherson and
B. Rowe (J. R. Stat. Soc. A 132, 235, 1969) over what earlier looks have let pass.

That recursion is usually done for normal statistics, and its levels are handed to t-tests (the
significance-level approach; C. Jennison, B. Turnbull, Group Sequential Methods, 2000, chapter 4).
With three to five seeds that is not good enough: 5.6 % instead of 5. The statistics of successive
t-tests are a chain of Markov themselves, so that the recursion holds for them as it is (the same
authors, Biometrika 78, 133, 1991, have such calculations). With x the vector of n changes,

    c_n = sum(x) / (sqrt(n) |x|) = sin(angle),  tan(angle) = t / sqrt(n - 1),

where there is no effect |x| is independent of all c so far, and m more changes make it

    c_(n+m) = (sqrt(n) c_n sqrt(B) + sqrt(m) c_m' sqrt(1 - B)) / sqrt(n + m)

with B from the Beta distribution of n / 2 and m / 2 and c_m' that of the new ones alone.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from deepset_bench.study.statistics import inside

Looks = tuple[int, ...]
"""Numbers of seeds at which one looks, ascending, from 2 on; none after the last."""
_CELLS, _NODES = 96, 64
"""Of the angle, and of the integral over B: levels are right to half a per cent of them."""
_TINY = 1e-300


def spent(n: int, looks: Looks) -> float:
    """The share of its level that a test may have spent by a look at n seeds: n / N.

    Of the powers of n / N (K. Kim, D. DeMets, Biometrika 74, 149, 1987) the first needs the fewest
    seeds for effects of 10 and 20 % among 14 comparisons, on average. Lower ones leave less for the
    last look; with the third or with that of O'Brien and Fleming, which is steeper, three seeds
    would decide nothing.
    """
    return n / looks[-1]


@cache
def levels(looks: Looks, level: float) -> tuple[float, ...]:
    """The two-sided level of the t-test at each look, so that all together have one of `level`.

    Args:
        looks: see `Looks`.
        level: how often at most, over all looks, a test finds an effect where there is none.
    """
    found, before = [], 0.0
    reached = inside(_edges(), looks[0] - 1)  # how likely |angle| is below each edge
    for place, n in enumerate(looks):
        wanted = level * (spent(n, looks) - before)
        before = spent(n, looks)
        # What is beyond an edge without a look before, in logarithms nearly what is beyond with it.
        alone = np.maximum(1 - inside(_edges(), n - 1), _TINY)
        beyond = np.maximum(reached[-1] - reached, _TINY)
        limits = np.log(beyond)[::-1], np.log(alone)[::-1]
        nominal = math.exp(float(np.interp(math.log(wanted), *limits)))
        found.append(nominal)
        if place < len(looks) - 1:
            inner, outer = alone[:-1], alone[1:]
            kept = np.clip((inner - nominal) / np.maximum(inner - outer, _TINY), 0, 1)
            reached = (np.diff(reached) * kept) @ _step(n, looks[place + 1] - n)
    return tuple(found)


def _edges() -> NDArray[np.float64]:
    """Of cells of the |angle|, the smaller the closer to a right angle: levels are small."""
    return math.pi / 2 * (1 - np.linspace(1, 0, _CELLS + 1) ** 3)


@cache
def _step(n: int, m: int) -> NDArray[np.float64]:
    """Of an |angle| of n changes in each cell: how likely it is below each edge after m more.

    Returns:
        (cells, edges)
    """
    edges = _edges()
    middles = (edges[1:] + edges[:-1])[:, None, None] / 2
    # The distribution of one new change has steps.
    nodes, weights = np.polynomial.legendre.leggauss(_NODES if m > 1 else 8 * _NODES)
    half = (nodes + 1) * math.pi / 4  # B = sin(half)^2
    weights = weights * np.sin(half) ** (n - 1) * np.cos(half) ** (m - 1)
    old = math.sqrt(n) * np.sin(middles) * np.sin(half)
    limit = math.sqrt(n + m) * np.sin(edges)[:, None]
    new = math.sqrt(m) * np.cos(half)
    both = _side((limit - old) / new, m) + _side((limit + old) / new, m)
    return both @ (weights / weights.sum()) / 2


def _side(c: NDArray[np.float64], m: int) -> NDArray[np.float64]:
    """P(|c_m'| < |c|) with the sign of c."""
    if m == 1:  # c' is 1 or -1
        return np.where(np.abs(c) < 1, 0.0, np.sign(c))
    return inside(np.arcsin(np.clip(c, -1, 1)), m - 1)
