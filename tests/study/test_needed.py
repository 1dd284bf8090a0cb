"""What a claim that is open would take."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from deepset_bench.study.effect import Effect
from deepset_bench.study.needed import Needed, needed
from deepset_bench.study.power import MOST, POWER, finds
from deepset_bench.study.verdict import ALPHA, UNDECIDED, Claimed, judge
from deepset_bench.sweep.comparisons import Comparison, Row

MARGIN = 0.05
ROWS = Comparison("t", "t", None, "a", (), (Row("a", ()), Row("b", ())), (), ("t.yaml",))
NOTHING = pd.DataFrame({"label": [], "state": [], "seconds": []})


def of(*changes: float) -> Effect:
    return Effect("b against a", changes, relative=True)


def takes(*effects: Effect, way: int = 1, size: float | None = None) -> tuple[int, str]:
    found = needed(effects, Claimed(way, size), MARGIN, ROWS, NOTHING)
    assert math.isnan(found.core_hours)
    return found.seeds, found.how


def test_as_many_as_the_power_asks_for():
    seen = of(0.2, -0.05, 0.15)
    change, scatter = seen.estimate().mean, float(np.std(seen.changes, ddof=1))
    seeds, how = takes(seen)
    assert how == "about"
    assert finds(change, scatter, seeds, ALPHA) >= POWER > finds(change, scatter, seeds - 1, ALPHA)
    assert takes(seen, seen) == (seeds, how)  # of several the one that needs most
    assert takes(seen, of(0.4, 0.3, 0.5)) == (seeds, how)
    against, _ = takes(seen, way=-1)
    assert against == seeds
    assert takes(seen, seen, way=-1)[0] > seeds  # what speaks against is to be surer


def test_it_is_enough():
    """With so many seeds that scatter as those did, the claim is decided four times in five."""
    seen = of(0.2, -0.05, 0.15)
    seeds, _ = takes(seen)
    draws = np.random.default_rng(2).standard_normal((300, seeds))
    changes = seen.estimate().mean + float(np.std(seen.changes, ddof=1)) * draws
    verdicts = [judge([of(*map(float, one))], Claimed(1), MARGIN).word for one in changes]
    decided = sum(word != UNDECIDED for word in verdicts) / len(verdicts)
    assert decided > POWER - 0.08


def test_equality_and_size_decide_too():
    none = of(0.01, -0.02, 0.01)
    assert takes(none, way=0)[0] < 20
    assert takes(none, way=1) == takes(none, way=0)
    far = takes(none, size=3.0)
    assert far[0] < 4  # four times as much is soon refuted


def test_too_many_are_not_counted():
    assert takes(of(1.0, -1.0, 0.1)) == (MOST, "over")


@pytest.mark.parametrize(
    ("effects", "seeds"), [([of(0.1)], 3), ([of()], 3), ([of(0.1, 0.2), of()], 3), ([], 3)]
)
def test_where_nothing_tells_there_are_a_few_first(effects, seeds):
    assert takes(*effects) == (seeds, "first")


def test_time_is_of_the_runs_that_are_missing():
    runs = pd.DataFrame(
        {
            "label": ["a", "a", "b", "b"],
            "state": ["done", "done", "done", "failed"],
            "seconds": [3600.0, 3600.0, 7200.0, math.nan],
            "result": [{}, {}, {}, {}],
        }
    )
    found = needed([of(0.1)], Claimed(1), MARGIN, ROWS, runs)
    assert found.core_hours == 1 + 2 * 2
    assert str(found) == "first 3 seeds, 5 core-hours"
    hours = {3: 1.0, 1: 9.0, 4: 1.0, 5: 25.0, 2: 9.0}  # by the day of the start
    of_one = pd.DataFrame(
        {
            "label": "a",
            "state": "done",
            "seconds": [3600 * each for each in hours.values()],
            "result": [{"started": f"2026-11-0{day}T10:00:00+00:00"} for day in hours],
        }
    )
    other_work = needed([of(0.1)], Claimed(1), MARGIN, ROWS, of_one)
    assert other_work.core_hours == 3  # row b's; the last run had not the machine for itself
    for result, hours in (({"threads": 8}, 8 * 3), ({"device": "cuda"}, math.nan)):
        elsewhere = of_one.assign(result=[one | result for one in of_one.result])
        takes = needed([of(0.1)], Claimed(1), MARGIN, ROWS, elsewhere)
        assert takes.core_hours == pytest.approx(hours, nan_ok=True)
    assert str(Needed(40, "about", 0.5)) == "about 40 seeds, 30 core-minutes"
    assert str(Needed(200, "over", 1234.0)) == "over 200 seeds, 1,234 core-hours"
    assert str(Needed(200, "over")) == "over 200 seeds"
