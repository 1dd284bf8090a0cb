"""Jumps and cusps on functions whose breaks are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.evaluation.continuity import ENERGY, WIDTH, Point, find_breaks

GRID = np.linspace(1.0, 3.0, 1001)  # angstrom, steps of 0.002


def search(energy, slope):
    """Breaks of a function of one coordinate and its derivative."""

    def function(t):
        return Point(energy(t), slope(t), -slope(t)[:, None])

    return find_breaks(function, GRID, function(GRID))


def well(t):
    """A Morse bond, 40 eV/angstrom^2 at its minimum."""
    x = np.exp(-2.0 * (t - 1.3))
    return 5.0 * (1 - x) ** 2, 20.0 * (1 - x) * x


@settings(max_examples=40, deadline=None)
@given(
    at=st.floats(1.05, 2.95),
    size=st.floats(1.5 * ENERGY, 0.1),
    sign=st.sampled_from([-1, 1]),
)
def test_a_jump_is_found_wherever_it_is(at, size, sign):
    found = search(lambda t: well(t)[0] + sign * size * (t > at), lambda t: well(t)[1])
    (one,) = found
    assert one.is_jump
    assert one.before <= at <= one.after
    assert one.after - one.before <= WIDTH
    # What the slope, below 100 eV/angstrom, adds over the bracket is 1e-7 eV.
    assert one.energy == pytest.approx(sign * size, abs=2e-7)


@settings(max_examples=40, deadline=None)
@given(at=st.floats(1.05, 2.95), size=st.floats(0.01, 5.0))
def test_a_cusp_is_a_jump_of_the_force_alone(at, size):
    found = search(
        lambda t: well(t)[0] + size * np.maximum(t - at, 0),
        lambda t: well(t)[1] + size * (t > at),
    )
    (one,) = found
    assert not one.is_jump
    assert one.before <= at <= one.after
    assert one.force == pytest.approx(size, rel=1e-3)


@pytest.mark.parametrize("width", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
def test_a_steep_slope_is_none(width):
    """0.1 eV over a width: up to 2,500 eV/angstrom, and 2e-5 of the grid's step wide."""

    def step(t):
        return 0.1 / (1 + np.exp(-np.clip((t - 2.0003) / width, -500, 500)))

    def slope(t):
        return step(t) * (1 - step(t) / 0.1) / width

    assert search(lambda t: well(t)[0] + step(t), lambda t: well(t)[1] + slope(t)) == []


def test_each_of_several_breaks():
    """Two of them within one step of the grid."""
    places = np.array([1.2341, 1.7003, 1.7003 + 3e-8, 1.7041, 2.9001])

    def energy(t):
        return well(t)[0] + 0.01 * (t[:, None] > places[:4]).sum(1) + np.maximum(t - places[4], 0)

    def slope(t):
        return well(t)[1] + (t > places[4])

    found = search(energy, slope)
    np.testing.assert_allclose([one.before for one in found], places, atol=2 * WIDTH)
    assert [one.is_jump for one in found] == [True, True, True, True, False]


def test_none_below_the_limits():
    found = search(lambda t: well(t)[0] + 0.5 * ENERGY * (t > 2.0001), lambda t: well(t)[1])
    assert found == []
