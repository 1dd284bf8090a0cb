"""Power: against the noncentral t, simulated tests, and the seeds that looks take."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from deepset_bench.study.boundary import levels
from deepset_bench.study.effect import Effect
from deepset_bench.study.looks import first_looks
from deepset_bench.study.power import (
    MOST,
    POWER,
    by_looks,
    detectable,
    fewest,
    finds,
    finds_equal,
    scatter_of,
)
from deepset_bench.study.verdict import ALPHA
from tests.study.simulated import LOOKS, MARGIN, ROWS, SCATTER, p_values, tables


@pytest.mark.parametrize("n", [2, 3, 5, 20, 100])
@pytest.mark.parametrize("level", [0.05, 0.0005])
@pytest.mark.parametrize("change", [0.0, 0.05, -0.2, 0.4])
def test_power_is_that_of_the_noncentral_t(n, level, change):
    limit, shift = stats.t.isf(level / 2, n - 1), change * math.sqrt(n) / 0.118
    exact = stats.nct.sf(limit, n - 1, shift) + stats.nct.cdf(-limit, n - 1, shift)
    if not math.isnan(exact):  # SciPy's fails far out, which is why there is another
        assert finds(change, 0.118, n, level) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize(("change", "n", "scatter"), [(0.0, 5, 0.03), (0.02, 12, 0.03), (0, 2, 1)])
def test_power_of_equality_is_that_of_simulated_tests(change, n, scatter):
    count = 20_000
    changes = change + scatter * np.random.default_rng(5).standard_normal((n, count))
    reach = stats.t.isf(0.05, n - 1) * changes.std(0, ddof=1) / math.sqrt(n)
    share = (np.abs(changes.mean(0)) + reach < math.log1p(MARGIN)).mean()
    assert finds_equal(change, scatter, n, MARGIN, 0.05) == pytest.approx(share, abs=0.012)


def test_an_effect_that_is_detectable_is_found_so_often():
    for n in (3, 5, 20):
        found = detectable(0.118, n, 0.05)
        assert finds(math.log1p(found), 0.118, n, 0.05) == pytest.approx(POWER, abs=1e-6)
    # An audit of the case study's runs had 20 % in energies and 10 % in forces with five seeds.
    assert detectable(0.118, 5, 0.05) == pytest.approx(0.22, abs=0.01)
    assert detectable(0.059, 5, 0.05) == pytest.approx(0.105, abs=0.005)


def test_the_fewest_seeds_are_the_first_that_suffice():
    n = fewest(lambda n: finds(0.1, 0.118, n, 0.05))
    assert n is not None
    assert finds(0.1, 0.118, n, 0.05) >= POWER > finds(0.1, 0.118, n - 1, 0.05)
    assert fewest(lambda n: finds(0.001, 0.118, n, 0.05)) is None
    assert fewest(lambda n: finds(9.0, 0.001, n, 0.05)) == 2
    assert fewest(lambda n: n / MOST) == MOST * POWER


@pytest.mark.parametrize("effect", [0.1, 0.2, 0.4])
def test_looks_take_as_many_seeds_as_planned(effect):
    """One row of seven has the effect: to a seed, and never more."""
    changed, _ = first_looks(*p_values(tables(2_000, effect, real=1)), LOOKS)
    at = np.array([LOOKS[-1], *LOOKS])
    change, level = math.log1p(effect), ALPHA / (ROWS * len(SCATTER))
    for number, scatter in enumerate(SCATTER):
        taken = at[changed[number]].mean()
        planned, chance = by_looks(change, scatter, LOOKS, level)
        assert planned - 1 < taken < planned + 0.1
        assert chance - 0.03 < (changed[number] > 0).mean() < chance + 0.06


def test_rows_that_share_an_effect_take_fewer():
    """Seven rows have 10 %: between what one takes alone and what one takes among all."""
    changed, _ = first_looks(*p_values(tables(2_000, 0.1)), LOOKS)
    at = np.array([LOOKS[-1], *LOOKS])
    for number, scatter in enumerate(SCATTER):
        taken = at[changed[number :: len(SCATTER)]].mean()
        among, alone = (
            by_looks(math.log1p(0.1), scatter, LOOKS, ALPHA / n)[0]
            for n in (ROWS * len(SCATTER), 1)
        )
        assert alone - 1 < taken < among


def test_one_look_takes_what_it_takes():
    assert by_looks(0.1, 0.1, (7,), 0.05) == pytest.approx((7, finds(0.1, 0.1, 7, 0.05)), rel=1e-3)
    nothing, chance = by_looks(0.0, 0.1, LOOKS, 0.05)
    assert LOOKS[-1] - 1 < nothing < LOOKS[-1]
    assert chance == pytest.approx(levels(LOOKS, 0.05)[-1], rel=1e-2)


def test_scatter_is_pooled_over_rows():
    one, two = Effect("", (0.1, 0.3), True), Effect("", (1.0, 1.1, 1.2), True)
    rest = [Effect("", (0.4,), True), Effect("", (), True), Effect("", (3.0, 9.0), False)]
    scatter, freedom = scatter_of([one, two, *rest])
    assert freedom == 3
    assert scatter == pytest.approx(math.sqrt((0.02 + 0.02) / 3))
    assert scatter_of(rest)[1] == 0
    assert math.isnan(scatter_of(rest)[0])
