"""What a number of seeds can show, before anything runs: scatter, detectable effects, time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from deepset_bench.scoring.table import chosen as metrics
from deepset_bench.study.boundary import Looks, levels
from deepset_bench.study.collect import IMPOSSIBLE, Where, collect, conditions_of, named
from deepset_bench.study.columns import Column, added, judged_on, of_runs, usual
from deepset_bench.study.effect import percent
from deepset_bench.study.power import detectable, scatter_of
from deepset_bench.study.tables import effect_of_row
from deepset_bench.study.verdict import ALPHA
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.studies import Study

USUAL = {"energy_mae": 0.118, "forces_mae": 0.059}
"""Metric -> scatter where no run tells: what an audit found for three seeds of 27 variants of the
case study, pooled, on 100 test frames each."""


@dataclass(frozen=True)
class Scatter:
    """How much the change of a metric differs between seeds.

    Attributes:
        words: of the metric.
        value: standard deviation of paired differences of logarithms; NaN where nothing tells.
        freedom: its degrees of freedom in the runs that are there; 0: it is the usual one.
    """

    words: str
    value: float
    freedom: int

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"{self.words} unknown (no two runs with two seeds each, and none is usual)"
        source = f"{self.freedom} degrees of freedom" if self.freedom else "assumed: no run tells"
        return f"{self.words} {100 * self.value:.1f} % ({source})"


@dataclass(frozen=True)
class Outlook:
    """A comparison under a condition.

    Attributes:
        comparison: whose rows.
        condition: empty where it has no name.
        rows: beside the baseline.
        scatters: of each metric.
    """

    comparison: Comparison
    condition: str
    rows: int
    scatters: tuple[Scatter, ...]

    @property
    def name(self) -> str:
        """For people."""
        return named(self.comparison.name, self.condition)

    @property
    def judged(self) -> int:
        """How many comparisons are judged together by looks."""
        return self.rows * len(self.scatters)

    def alone(self, n: int) -> list[float]:
        """What one comparison in each metric detects with n seeds at 5 %, fractions."""
        return [_detectable(one, n, ALPHA) for one in self.scatters]

    def among(self, n: int) -> list[float]:
        """The same of one among the rows of a table: at worst, when Holm has rejected no other."""
        return [_detectable(one, n, ALPHA / self.rows) for one in self.scatters]

    def looked(self, n: int, looks: Looks) -> list[float]:
        """The same at a look of several, among all rows and metrics."""
        level = levels(looks, ALPHA / self.judged)[looks.index(n)]
        return [_detectable(one, n, level) for one in self.scatters]


def _detectable(one: Scatter, n: int, level: float) -> float:
    return math.nan if math.isnan(one.value) else detectable(one.value, n, level)


def outlooks(study: Study, conditions: Sequence[str], where: Where) -> Iterator[Outlook]:
    """Of each of its comparisons that compare rows, under each condition.

    Args:
        study: whose.
        conditions: to plan for.
        where: runs that tell how errors scatter.

    Raises:
        UserError: overrides that do not compose.
    """
    for one in study.tables:
        if not one.compares:
            continue
        shown = conditions_of(one, conditions)
        runs = collect(one, shown, where)
        columns = of_runs(runs, metrics(study.metrics)) if study.metrics else usual()
        runs = added(runs, columns)
        for condition in shown:
            here = runs[(runs.condition == condition) & (runs.state != IMPOSSIBLE)]
            rows = [label for label in here.label.drop_duplicates() if label != one.baseline]
            if rows:
                part = judged_on(here)
                scatters = tuple(_scatter(one, here, rows, column, part) for column in columns)
                yield Outlook(one, condition, len(rows), scatters)


def _scatter(
    one: Comparison, runs: pd.DataFrame, rows: Sequence[str], column: Column, part: str
) -> Scatter:
    name = f"{column.name}_{part}"
    changes = [effect_of_row(row, row, one.baseline, runs, name) for row in rows]
    value, freedom = scatter_of(changes)
    if not freedom:
        value = USUAL.get(column.metric.name, math.nan)
    return Scatter(column.words, value, freedom)


def fraction(value: float) -> str:
    """`12 %`, `×3`; a dash for NaN."""
    if math.isnan(value):
        return "—"
    if value >= 10:
        return f"×{1 + value:,.0f}" if value < 1000 else "over ×1000"
    return percent(value)
