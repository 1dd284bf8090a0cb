"""Looking several times: levels, tables without any effect, and verdicts look by look."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deepset_bench.study.boundary import levels, spent
from deepset_bench.study.effect import Effect
from deepset_bench.study.looks import Decision, decide, first_looks, judge_at, looks_of, planned
from deepset_bench.study.statistics import equality_p_value
from deepset_bench.study.verdict import (
    ALPHA,
    EQUAL,
    LARGER,
    LESS,
    MORE,
    NO,
    NOT_ALL,
    REVERSED,
    SMALLER,
    UNDECIDED,
    YES,
    Claimed,
    is_equal,
    judge,
)
from tests.study.simulated import LOOKS, MARGIN, p_values, tables


@pytest.mark.parametrize("looks", [LOOKS, (3, 4, 5), (2, 3), (5,), (2, 10, 11)])
@pytest.mark.parametrize("level", [0.05, 0.05 / 14])
def test_all_looks_together_have_the_level(looks, level):
    """Of 200,000 paths of t-tests; no look has spent more than its share."""
    found = levels(looks, level)
    count = 200_000
    normal = np.random.default_rng(3).standard_normal((looks[-1], count))
    sums, squares = normal.cumsum(0), (normal**2).cumsum(0)
    stopped = np.zeros(count, dtype=bool)
    for n, nominal in zip(looks, found, strict=True):
        mean = sums[n - 1] / n
        error = np.sqrt((squares[n - 1] / n - mean**2) / (n - 1))
        stopped |= np.abs(mean) > stats.t.isf(nominal / 2, n - 1) * error
        wanted = level * spent(n, looks)
        assert stopped.mean() == pytest.approx(wanted, abs=4 * math.sqrt(wanted / count), rel=0.005)


def test_one_look_is_a_t_test():
    assert levels((7,), 0.05) == pytest.approx((0.05,), rel=1e-4)


@given(st.lists(st.integers(2, 30), min_size=1, max_size=4, unique=True))
@settings(max_examples=8, deadline=None)
def test_levels_grow_with_what_may_be_spent(looks):
    """What Holm hands on makes no look stricter, and no look has more than all may have."""
    looks = tuple(sorted(looks))
    strict, lax = levels(looks, 0.01), levels(looks, 0.05)
    assert all(0 < a < b < 0.0501 for a, b in zip(strict, lax, strict=True))


def test_tables_without_any_effect_rarely_have_a_verdict():
    """Of 2,000 tables at most 5 % have a false less or more, and some have."""
    change, equality = p_values(tables(2_000, effect=0.0))
    changed, _ = first_looks(change, equality, LOOKS)
    wrong = (changed > 0).any(0).mean()
    assert 0.01 < wrong < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2_000)


def test_effects_of_the_margin_are_rarely_called_equal():
    change, equality = p_values(tables(2_000, effect=MARGIN))
    _, equal = first_looks(change, equality, LOOKS)
    assert (equal > 0).any(0).mean() < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2_000)


def test_naive_looks_have_far_more():
    """The simulation can fail: 5 % at every look is 5 % no more."""
    change, _ = p_values(tables(2_000, effect=0.0))
    assert (change < ALPHA).any((0, 1)).mean() > 0.3


def test_one_table_is_judged_as_many_are():
    changes = np.concatenate([tables(20, effect=0.0), tables(20, effect=0.2)], axis=-1)
    changed, equal = first_looks(*p_values(changes), LOOKS)
    for number in range(changes.shape[-1]):
        effects = [Effect("", tuple(map(float, one)), True) for one in changes[..., number].T]
        found = decide(effects, LOOKS, MARGIN)
        at = [0, *LOOKS]
        ways = np.sign(changes[..., number].mean(0))
        assert [one.at for one in found] == [
            at[max(pair)] for pair in zip(changed[:, number], equal[:, number], strict=True)
        ]
        for one, is_changed, is_equal_, way in zip(
            found, changed[:, number], equal[:, number], ways, strict=True
        ):
            if is_changed:
                assert one.word == (MORE if way > 0 else LESS)
            else:
                assert one.word == (EQUAL if is_equal_ else UNDECIDED)


def of(*changes: float) -> Effect:
    return Effect("a against b", changes, relative=True)


FAR = of(0.5, 0.51, 0.49, 0.5, 0.51)
SAME = of(0.001, -0.001, 0.0, 0.001, -0.001)
OPEN = of(0.3, -0.2, 0.1, -0.3, 0.2)


def test_what_is_decided_says_at_which_look():
    found = decide([FAR, SAME, OPEN], LOOKS, MARGIN)
    assert found == [Decision(MORE, 3), Decision(EQUAL, 3), Decision(UNDECIDED)]
    assert decide([of(*(-x for x in FAR.changes))], LOOKS, MARGIN) == [Decision(LESS, 3)]


def test_too_few_seeds_for_a_look_decide_nothing():
    assert decide([FAR.first(2)], LOOKS, MARGIN) == [Decision(UNDECIDED)]
    assert decide([of()], LOOKS, MARGIN) == [Decision(UNDECIDED)]
    assert decide([], LOOKS, MARGIN) == []


@given(st.lists(st.floats(-0.5, 0.5), min_size=0, max_size=25), st.integers(0, 12))
@settings(max_examples=50, deadline=None)
def test_seeds_between_and_beyond_looks_change_nothing(changes, more):
    """The rule is a function of the first seeds: who runs others does not change what it says."""
    n = max([look for look in LOOKS if look <= len(changes)], default=0)
    later = next((look for look in LOOKS if look > len(changes)), math.inf)
    longer = [*changes, *[3.0] * more][: min(later - 1, 40) if later < math.inf else None]
    rest = [FAR, OPEN]
    assert (
        decide([of(*changes[:n]), *rest], LOOKS, MARGIN)[0]
        == decide([of(*longer), *rest], LOOKS, MARGIN)[0]
    )


@given(st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_decision_stays(changes):
    """More looks never take back what one has said."""
    before = Decision(UNDECIDED)
    for n in range(len(changes) + 1):
        now = decide([of(*changes[:n]), OPEN], LOOKS, MARGIN)[0]
        assert before.word in (UNDECIDED, now.word)
        before = now


def test_more_rows_ask_for_more():
    near = of(0.10, 0.11, 0.12, 0.11, 0.13)
    assert decide([near], LOOKS, MARGIN)[0].at == 3
    assert decide([near] + [OPEN] * 10, LOOKS, MARGIN)[0].at == 5


def test_a_decided_row_leaves_its_share_to_the_others():
    """Its p at the last look lies between the levels of one of two and of one alone."""
    low, high = (levels((5,), ALPHA / n)[0] for n in (2, 1))
    t = stats.t.isf((low + high) / 4, 4)
    noise = np.array([1.0, -1.0, 0.5, -0.5, 0.0])
    near = of(*(0.1 * (noise + t * noise.std(ddof=1) / math.sqrt(5))))
    assert low < near.p < high
    assert decide([near, OPEN], (5,), MARGIN)[0].word == UNDECIDED
    assert decide([near, FAR], (5,), MARGIN)[0].word == MORE
    assert decide([near, SAME], (5,), MARGIN)[0].word == UNDECIDED  # equality leaves nothing


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=9), st.floats(0.01, 0.3))
def test_p_of_equality_is_that_of_its_verdict(changes, margin):
    if np.ptp(changes) < 1e-3:
        return
    p = equality_p_value(changes, math.log1p(margin))
    for alpha in (0.3, 0.05, 0.01):
        if abs(p - alpha) > 1e-6:
            assert is_equal(of(*changes), margin, alpha) == (p < alpha)


def test_a_claim_is_decided_at_the_first_look_that_can():
    look = judge_at(LOOKS)
    assert look([FAR], Claimed(1), MARGIN) == judge([FAR.first(3)], Claimed(1), MARGIN)
    assert look([FAR], Claimed(1), MARGIN).at == 3
    assert look([FAR], Claimed(-1), MARGIN).direction == REVERSED
    assert look([SAME], Claimed(0), MARGIN).direction == YES
    assert look([FAR, OPEN], Claimed(1), MARGIN).direction == UNDECIDED
    assert look([FAR.first(2)], Claimed(1), MARGIN).at == 0
    assert look([], Claimed(1), MARGIN).direction == UNDECIDED
    late = of(0.5, 0.3, 0.4, 0.35, 0.45)
    assert look([late], Claimed(1), MARGIN).at == 5
    assert judge([late], Claimed(1), MARGIN).at == 5


@pytest.mark.parametrize("look", [judge_at(LOOKS), judge_at(LOOKS[1:2])], ids=["looks", "five"])
@pytest.mark.parametrize(
    ("effect", "claimed", "key", "false"),
    [
        (0.0, Claimed(1), "direction", (YES, REVERSED)),
        (0.17, Claimed(1, 0.17), "size", (SMALLER, LARGER)),
        (MARGIN, Claimed(1), "matters", (YES, NO, NOT_ALL)),
    ],
)
def test_claims_are_rarely_answered_falsely(look, effect, claimed, key, false):
    """Of 500 claims about eight pairs each, however often one looks."""
    count = 500
    changes = tables(count, effect, rows=8)[:, ::2]  # energies
    wrong = 0
    for one in np.moveaxis(changes, -1, 0):
        effects = [of(*map(float, column)) for column in one.T]
        wrong += getattr(look(effects, claimed, MARGIN), key) in false
    assert wrong / count < 0.05 + 3 * math.sqrt(0.05 * 0.95 / count)


@given(st.lists(st.floats(-0.5, 0.5), min_size=20, max_size=20), st.floats(0.05, 0.5))
@settings(max_examples=30, deadline=None)
def test_answers_of_a_claim_stay(changes, size):
    look, claimed = judge_at(LOOKS), Claimed(1, size)
    before = look([of()], claimed, MARGIN)
    for n in LOOKS:
        now = look([of(*changes[:n])], claimed, MARGIN)
        for name in ("direction", "size", "matters"):
            assert getattr(before, name) in (UNDECIDED, getattr(now, name))
        assert before.at in (0, now.at)
        before = now


def test_looks_are_those_of_all_rules_that_runs_carry():
    def run(rule: dict) -> dict:
        stamp = {"study": "s", "hash": "h", "time": "2026-01-01T08:00:00+00:00", "rule": rule}
        return {"registered": [stamp], "started": "2026-01-01T09:00:00+00:00"}

    ten, twenty, looks = run({"seeds": 10}), run({"seeds": 20}), run({"looks": [3, 5]})
    assert looks_of([ten, ten, {}]) == ()
    assert looks_of([looks, {}]) == (3, 5)
    assert looks_of([looks, run({"looks": [5, 8]})]) == (3, 5, 8)
    assert looks_of([looks, ten]) == (3, 5, 10)  # who stopped at ten would have looked there
    assert looks_of([ten, twenty]) == (10, 20)  # and who went on from ten has
    assert [planned(each) for each in ([ten, {}], [ten, twenty], [ten, looks], [{}])] == [
        10,
        0,
        0,
        0,
    ]
