"""Where energies and forces along a path jump, told apart from where they are merely steep.

A step of the grid is suspicious if the energy changes over it by more than its slopes at both ends
account for, or a force by more than over the steps on either side. A suspicious step is halved
again and again, each time going on with the half that is harder to explain, until it is WIDTH wide.
What is left of the change then is no slope: it would have to be ENERGY / WIDTH = 10^4 eV/angstrom.
What remains of the step on either side of a jump is examined in the same way.

Of cusps at most one is found in each step of the grid, and none in its first and last step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepset_bench.molecules.frames import FloatArray, IntArray

WIDTH = 1e-9
"""Angstrom or degrees: how far a step is narrowed down."""
ENERGY = 1e-5
"""eV: a smaller change is no jump of the energy."""
FORCE = 1e-3
"""eV/angstrom, largest component: a smaller change is no jump of the force."""
MOST = 300
"""Suspicious steps that are examined at a time, the most suspicious first."""


class Point(NamedTuple):
    """A function at B values of t: (B,) energy in eV, (B,) its slope dE/dt, (B, q) forces."""

    energy: FloatArray
    slope: FloatArray
    forces: FloatArray

    def at(self, rows: IntArray) -> Point:
        """Some of them."""
        return Point(self.energy[rows], self.slope[rows], self.forces[rows])


Function = Callable[[FloatArray], Point]


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


def find_breaks(function: Function, t: FloatArray, values: Point) -> list[Break]:
    """Jumps and cusps, in the order of t.

    Args:
        function: smooth but for its breaks, with rounding errors far below ENERGY and FORCE.
        t: (T,) equally spaced, T at least 4.
        values: `function` on t.
    """
    found = _jumps(function, t, values)
    for cusp in _cusps(function, t, values):
        if all(abs(cusp.before - other.before) > 10 * WIDTH for other in found):
            found.append(cusp)
    return sorted(found, key=lambda one: one.before)


def _jumps(function: Function, t: FloatArray, values: Point) -> list[Break]:
    def unexplained(_: IntArray, a: FloatArray, b: FloatArray, x: Point, y: Point) -> FloatArray:
        """What the trapezoid rule on the slopes leaves of the change."""
        return np.abs(y.energy - x.energy - (b - a) * (x.slope + y.slope) / 2)

    found: list[Break] = []
    steps = np.arange(len(t) - 1)
    a, b, at_a, at_b = t[:-1], t[1:], values.at(steps), values.at(steps + 1)
    while len(rows := _suspicious(unexplained(steps, a, b, at_a, at_b), ENERGY)):
        a, b, at_a, at_b = a[rows], b[rows], at_a.at(rows), at_b.at(rows)
        kept, left, right = _narrow(function, a, b, at_a, at_b, unexplained, ENERGY)
        if not len(kept):
            break
        at_left, at_right = function(left), function(right)
        breaks = _breaks(left, right, at_left, at_right)
        real = np.flatnonzero([one.is_jump for one in breaks])
        found += [breaks[row] for row in real]
        kept = kept[real]
        a, b = np.concatenate([a[kept], right[real]]), np.concatenate([left[real], b[kept]])
        at_a = _joined(at_a.at(kept), at_right.at(real))
        at_b = _joined(at_left.at(real), at_b.at(kept))
        steps = np.arange(len(a))
    return found


def _cusps(function: Function, t: FloatArray, values: Point) -> list[Break]:
    h = t[1] - t[0]
    slopes = np.diff(values.forces, axis=0) / h
    beside = np.zeros(len(slopes))
    beside[1:-1] = h * np.abs(slopes[1:-1] - (slopes[:-2] + slopes[2:]) / 2).max(axis=1)
    steps = _suspicious(beside, FORCE)
    if not len(steps):
        return []
    start, left, right = t[steps], slopes[steps - 1], slopes[steps + 1]

    def unexplained(rows: IntArray, a: FloatArray, b: FloatArray, x: Point, y: Point) -> FloatArray:
        """What the steps beside do not let expect, linear between their middles."""
        place = ((a + b) / 2 - (start[rows] - h / 2)) / (2 * h)
        expected = left[rows] + (right - left)[rows] * place[:, None]
        return np.abs(y.forces - x.forces - (b - a)[:, None] * expected).max(axis=1)

    ends = start, t[steps + 1], values.at(steps), values.at(steps + 1)
    _, before, after = _narrow(function, *ends, unexplained, FORCE)
    if not len(before):
        return []
    breaks = _breaks(before, after, function(before), function(after))
    return [one for one in breaks if one.force >= FORCE]


def _suspicious(unexplained: FloatArray, limit: float) -> IntArray:
    """The rows above the limit, the most suspicious first."""
    rows = np.argsort(-unexplained)[:MOST]
    return rows[unexplained[rows] > limit]


def _narrow(
    function: Function,
    a: FloatArray,
    b: FloatArray,
    at_a: Point,
    at_b: Point,
    unexplained: Callable[[IntArray, FloatArray, FloatArray, Point, Point], FloatArray],
    limit: float,
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Halve steps down to WIDTH; those of which nothing unexplained is left drop out.

    Returns:
        The rows that are left, and both ends of what is left of them.
    """
    rows = np.arange(len(a))
    while len(rows) and (b - a).max() > WIDTH:
        middle = (a + b) / 2
        at_middle = function(middle)
        first = unexplained(rows, a, middle, at_a, at_middle)
        second = unexplained(rows, middle, b, at_middle, at_b)
        go = first >= second
        a, b = np.where(go, a, middle), np.where(go, middle, b)
        at_a, at_b = _either(go, at_a, at_middle), _either(go, at_middle, at_b)
        # Of a break, all of it is left; halving what is smooth leaves a quarter at most.
        left = np.flatnonzero(np.maximum(first, second) > limit / 2)
        rows, a, b, at_a, at_b = rows[left], a[left], b[left], at_a.at(left), at_b.at(left)
    return rows, a, b


def _either(first: NDArray[np.bool_], one: Point, other: Point) -> Point:
    return Point(
        energy=np.where(first, one.energy, other.energy),
        slope=np.where(first, one.slope, other.slope),
        forces=np.where(first[:, None], one.forces, other.forces),
    )


def _joined(one: Point, other: Point) -> Point:
    return Point(*(np.concatenate([x, y]) for x, y in zip(one, other, strict=True)))


def _breaks(left: FloatArray, right: FloatArray, at_left: Point, at_right: Point) -> list[Break]:
    energy = at_right.energy - at_left.energy
    force = np.abs(at_right.forces - at_left.forces).max(axis=1)
    return [Break(*map(float, row)) for row in zip(left, right, energy, force, strict=True)]
