"""Intervals against scipy, pairs over shared seeds, the bold rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deepset_bench.study.statistics import Estimate, estimate, paired

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).filter(lambda v: np.ptp(v) > 1e-3)


@given(VALUES, st.sampled_from([0.9, 0.95, 0.999]))
def test_interval_is_that_of_scipy(values, confidence):
    low, high = stats.t.interval(
        confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    ours = estimate(values, confidence)
    assert ours.n == len(values)
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


@given(VALUES, st.integers(0, 2**32 - 1))
def test_paired_difference_is_the_paired_t_test(values, seed):
    """Bold exactly where scipy's paired t-test has p < 0.05."""
    other = np.asarray(values) + np.random.default_rng(seed).normal(0.5, 1.0, len(values))
    ours = paired(dict(enumerate(other)), dict(enumerate(values)))
    test = stats.ttest_rel(other, values)
    interval = test.confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)
    if abs(test.pvalue - 0.05) > 1e-9:
        assert ours.excludes_zero == (test.pvalue < 0.05)


@given(
    st.dictionaries(st.integers(0, 9), st.floats(-1, 1)),
    st.dictionaries(st.integers(0, 9), st.floats(-1, 1)),
)
def test_only_shared_seeds_count(a, b):
    shared = a.keys() & b.keys()
    ours = paired(a, b)
    assert ours.n == len(shared)
    if shared:
        assert ours.mean == pytest.approx(np.mean([a[s] - b[s] for s in shared]), abs=1e-12)
    only = paired({s: a[s] for s in shared}, {s: b[s] for s in shared})
    assert only == ours or math.isnan(only.half)


def test_one_seed_has_no_interval_and_is_never_bold():
    one = estimate([5.0])
    assert (one.mean, one.n) == (5.0, 1)
    assert math.isnan(one.half)
    assert not one.excludes_zero


def test_no_value_is_no_estimate():
    assert estimate([]).n == 0
    assert not estimate([]).excludes_zero


@pytest.mark.parametrize(
    ("mean", "half", "bold"), [(1, 0.9, True), (-1, 0.9, True), (1, 1, False), (1, math.nan, False)]
)
def test_bold_where_the_interval_excludes_zero(mean, half, bold):
    assert Estimate(mean, half, 3).excludes_zero == bold
