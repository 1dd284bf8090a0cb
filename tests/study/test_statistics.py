"""Intervals and p-values against scipy, Holm's method, the bold rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deepset_bench.study.statistics import Estimate, estimate, holm, p_value

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).filter(lambda v: np.ptp(v) > 1e-3)


@given(VALUES, st.sampled_from([0.9, 0.95, 0.999]))
def test_interval_is_that_of_scipy(values, confidence):
    low, high = stats.t.interval(
        confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    ours = estimate(values, confidence)
    assert ours.n == len(values)
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


@given(VALUES)
def test_p_value_is_that_of_scipy(values):
    assert p_value(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=1e-9)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_the_step_down_method(values):
    """Sorted, each is compared with 5 % over how many are left, until the first that fails."""
    adjusted = holm(values)
    accepted = 0
    for rank, p in enumerate(sorted(values)):
        if p * (len(values) - rank) >= 0.05:
            break
        accepted += 1
    assert sum(p < 0.05 for p in adjusted) == accepted
    assert all(a >= p for a, p in zip(adjusted, values, strict=True))


def test_holm_does_not_count_what_is_not_known():
    assert holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)


def test_no_scatter_and_no_mean():
    assert p_value([0.0, 0.0]) == 1.0
    assert p_value([1.0, 1.0]) == 0.0
    assert math.isnan(p_value([1.0]))


def test_one_seed_has_no_interval():
    one = estimate([5.0])
    assert (one.mean, one.n) == (5.0, 1)
    assert math.isnan(one.half)
    assert not one.excludes_zero


def test_no_value_is_no_estimate():
    assert estimate([]).n == 0
    assert not estimate([]).excludes_zero


@pytest.mark.parametrize(
    ("mean", "half", "outside"),
    [(1, 0.9, True), (-1, 0.9, True), (1, 1, False), (1, math.nan, False)],
)
def test_an_interval_excludes_zero_that_lies_outside_it(mean, half, outside):
    assert Estimate(mean, half, 3).excludes_zero == outside
