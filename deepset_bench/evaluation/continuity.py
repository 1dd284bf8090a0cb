"""Where energies and forces along a path jump, told apart from where they are merely steep.

A step of the grid is suspicious if the function changes over it by more than the steps on either
side let expect. A suspicious step is halved again and again, each time going on with the half that
is harder to explain, until it is WIDTH wide. What is left of the change then is no slope: it would
have to be ten thousand times steeper than any bond (ENERGY / WIDTH is 10^4 eV/angstrom).

At most one break is found in each step of the grid, and none in its first and last step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deepset_bench.data.frames import FloatArray, IntArray

WIDTH = 1e-9
"""Angstrom or degrees: how far a step is narrowed down."""
ENERGY = 1e-5
"""eV: a smaller change is no jump of the energy."""
FORCE = 1e-3
"""eV/angstrom, largest component: a smaller change is no jump of the force."""
MOST = 300
"""Suspicious steps that are examined, the most suspicious first."""

Function = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""(B,) values of t -> energies (B,) in eV and forces (B, q) in eV/angstrom."""


@dataclass(frozen=True)
class Break:
    """A jump of the energy, or of the forces alone: a cusp.

    Attributes:
        before, after: bracket of t.
        energy: eV, change of the energy from `before` to `after`.
        force: eV/angstrom, largest change of a force component.
    """

    before: float
    after: float
    energy: float
    force: float

    @property
    def is_jump(self) -> bool:
        """Whether the energy itself jumps."""
        return abs(self.energy) >= ENERGY


def find_breaks(
    function: Function, t: FloatArray, energy: FloatArray, forces: FloatArray
) -> list[Break]:
    """Jumps and cusps, in the order of t.

    Args:
        function: smooth but for its breaks, with rounding errors far below ENERGY and FORCE.
        t: (T,) equally spaced, T at least 4.
        energy: (T,) eV, `function` on t.
        forces: (T, q) eV/angstrom.
    """
    found: dict[float, Break] = {}
    for channel, limit in ((0, ENERGY), (1, FORCE)):
        values = (energy[:, None], forces)[channel]
        suspicion = _unexplained(t, values)
        steps = np.flatnonzero(suspicion > limit)
        steps = steps[np.argsort(-suspicion[steps])][:MOST]
        for one in _narrow(function, t, values, steps, channel) if len(steps) else []:
            same = [at for at in found if abs(at - one.before) < 10 * WIDTH]
            if not same and (one.is_jump or one.force >= FORCE):
                found[one.before] = one
    return [found[at] for at in sorted(found)]


def _unexplained(t: FloatArray, values: FloatArray) -> FloatArray:
    """(T - 1,) largest change over each step beyond the mean of the steps on either side."""
    slopes = np.diff(values, axis=0) / np.diff(t)[:, None]
    expected = (slopes[:-2] + slopes[2:]) / 2
    beyond = np.zeros(len(t) - 1)
    beyond[1:-1] = np.abs(slopes[1:-1] - expected).max(axis=1) * np.diff(t)[1:-1]
    return beyond


def _narrow(
    function: Function, t: FloatArray, values: FloatArray, steps: IntArray, channel: int
) -> list[Break]:
    """What is left of each step after halving it down to WIDTH."""
    slopes = np.diff(values, axis=0) / np.diff(t)[:, None]
    h = t[1] - t[0]
    left, right = slopes[steps - 1], slopes[steps + 1]  # at t[steps] - h/2 and t[steps] + 3h/2

    def slope(at: FloatArray) -> FloatArray:
        """What the neighbouring steps let expect, linear between their middles."""
        place = (at - (t[steps] - h / 2)) / (2 * h)
        return left + (right - left) * place[:, None]

    a, b = t[steps].copy(), t[steps + 1].copy()
    at_a, at_b = values[steps].copy(), values[steps + 1].copy()
    while (b - a).max() > WIDTH:
        middle = (a + b) / 2
        at_middle = function(middle)[channel].reshape(len(steps), -1)
        first = at_middle - at_a - (middle - a)[:, None] * slope((a + middle) / 2)
        second = at_b - at_middle - (b - middle)[:, None] * slope((middle + b) / 2)
        in_first = np.abs(first).max(axis=1) >= np.abs(second).max(axis=1)
        b, at_b = np.where(in_first, middle, b), np.where(in_first[:, None], at_middle, at_b)
        a, at_a = np.where(in_first, a, middle), np.where(in_first[:, None], at_a, at_middle)
    (e_a, f_a), (e_b, f_b) = function(a), function(b)
    force = np.abs(f_b - f_a).max(axis=1)
    return [
        Break(float(a[i]), float(b[i]), float(e_b[i] - e_a[i]), float(force[i]))
        for i in range(len(steps))
    ]
