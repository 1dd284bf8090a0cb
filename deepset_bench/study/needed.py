"""What a claim that is open would take: seeds, and the time of their runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from deepset_bench.stamps import STARTED
from deepset_bench.study.effect import Effect
from deepset_bench.study.power import MOST, fewest, finds, finds_equal, scatter_of
from deepset_bench.study.verdict import ALPHA, Claimed
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.estimate import usual


@dataclass(frozen=True)
class Needed:
    """What would decide a claim, by the effects seen so far.

    Attributes:
        seeds: that are likely to; MOST where more are needed; a few where nothing can be said yet.
        how: `about`, `over` or `first`.
        core_hours: of their runs that are not there yet; NaN where no run tells.
    """

    seeds: int
    how: str
    core_hours: float = math.nan

    def __str__(self) -> str:
        """`about 40 seeds, 12 core-hours`."""
        hours = "" if math.isnan(self.core_hours) else f", {_hours(self.core_hours)}"
        return f"{self.how} {self.seeds} seeds{hours}"


def needed(
    effects: Sequence[Effect],
    claimed: Claimed,
    margin: float,
    rows: Comparison,
    runs: pd.DataFrame,
    unscored: int = 0,
) -> Needed:
    """The fewest seeds with which `judge` would answer, if the effects are those seen so far.

    Args:
        effects: what was measured.
        claimed: what is claimed of each.
        margin: up to this fraction an effect does not matter.
        rows: the comparison that is to get more seeds.
        runs: of one condition, from `collect`.
        unscored: seeds that are done and that no effect is of, as their runs lack the number.
    """
    seeds, how = _seeds(effects, claimed, margin)
    seeds += unscored
    return Needed(seeds, how, _core_hours(rows, runs, seeds))


def _seeds(effects: Sequence[Effect], claimed: Claimed, margin: float) -> tuple[int, str]:
    pooled, freedom = scatter_of(effects)
    if not freedom or not all(one.n and one.relative for one in effects):
        # Twice the seeds where there are some: an interval shrinks with their root.
        return max(3, 2 * min((one.n for one in effects), default=0)), "first"
    seen: list[tuple[float, float]] = []
    for one in effects:
        own, known = scatter_of([one])
        seen.append((one.estimate().mean, own if known else pooled))
    ways = _ways(seen, claimed, margin)
    found = fewest(lambda n: max(way(n) for way in ways))
    return (MOST, "over") if found is None else (found, "about")


def _ways(
    seen: Sequence[tuple[float, float]], claimed: Claimed, margin: float
) -> list[Callable[[int], float]]:
    """How likely each answer of `judge` to a claim is with a number of seeds."""
    way, bound, strict = claimed.direction, math.log1p(margin), ALPHA / len(seen)

    def all_there(n: int) -> float:
        return min(finds(change, scatter, n, ALPHA) for change, scatter in seen)

    def all_equal(n: int) -> float:
        return min(finds_equal(*one, n, margin, ALPHA) for one in seen)

    def one_equal(n: int) -> float:
        return max(finds_equal(*one, n, margin, strict) for one in seen)

    def one_beyond(limit: float, side: int) -> Callable[[int], float]:
        past = [(side * change - limit, scatter) for change, scatter in seen]
        return lambda n: max(finds(d, s, n, strict) if d > 0 else 0.0 for d, s in past)

    if way == 0:
        return [all_equal, one_beyond(bound, 1), one_beyond(bound, -1)]
    found = [one_equal, one_beyond(0.0, -way)]
    if all(change * way > 0 for change, _ in seen):
        found.append(all_there)
    if claimed.size is not None and way * claimed.size > -1:
        found.append(one_beyond(-way * math.log1p(way * claimed.size), -way))
    return found


def _core_hours(rows: Comparison, runs: pd.DataFrame, seeds: int) -> float:
    """Core-hours of the runs of a comparison that are not done; NaN where none tells.

    A run is taken to need the `usual` time of those done, on as many threads. What a GPU did in an
    hour says nothing of cores: of runs on one there are none.

    Args:
        rows: the comparison.
        runs: of one condition, from `collect`.
        seeds: each row is to have.
    """
    ended = runs[runs.state == "done"]
    if not len(ended):
        return math.nan
    done = ended[[result.get("device", "cpu") == "cpu" for result in ended.result]]
    if not len(done):
        return math.nan
    total = 0.0
    for row in rows.runs:
        own = done[done.label == row.label]
        those = own if len(own) else done
        there = (ended.label == row.label).sum()
        started = [result.get(STARTED, "") for result in those.result]
        threads = [result.get("threads", 1) for result in those.result]
        core_seconds = [s * n for s, n in zip(those.seconds, threads, strict=True)]
        total += usual(zip(started, core_seconds, strict=True)) * max(seeds - there, 0)
    return total / 3600


def _hours(number: float) -> str:
    if number < 1:
        return f"{max(60 * number, 1):.0f} core-minutes"
    return f"{number:.2g} core-hours" if number < 10 else f"{number:,.0f} core-hours"
