"""Error against cost: which network to choose for how much time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.style import COLOURS, QUIET, width
from deepset_bench.figures.words import and_, axis, comparable, in_unit
from deepset_bench.scoring.table import USUAL
from deepset_bench.study.columns import Column, added, judged_on, of_runs
from deepset_bench.study.sections import PART_WORDS
from deepset_bench.study.statistics import estimate
from deepset_bench.study.tables import by_seed
from deepset_bench.study.time_tables import TableTimes, times_of
from deepset_bench.sweep.comparisons import Comparison

_BEST, _OTHER = COLOURS[0], COLOURS[1]


@dataclass(frozen=True)
class _Point:
    """A row: its cost, and its error with the ends of an interval (NaN for one seed)."""

    label: str
    cost: float
    error: float
    low: float
    high: float


def cost(
    asked: Asked, *, sheet: str = "", rows: Sequence[str] = (), metrics: Sequence[str] = USUAL
) -> Figure:
    """Errors of rows against the wall time of their training step, a point a row.

    Args:
        asked: the figure.
        sheet: name of it.
        rows: labels of those to draw; none: all.
        metrics: names of them, a panel each; of a metric of which more is better no row is
            called the best for its cost.
    """
    wanted, shown = asked.sheet(sheet, rows), asked.metrics(metrics)
    done, lacking = asked.collect(wanted, shown)
    times = times_of(wanted, asked.conditions_of(wanted), asked.where)
    costs, unit = _costs(times, asked.conditions_of(wanted))
    timed = done[[one in costs for one in zip(done.label, done.condition, strict=True)]]
    there, numbers = comparable(timed)
    part = judged_on(done)
    measured = times.timing.words if times.timing else "not measured"
    return asked.figure(
        f"{wanted.title}: error against cost",
        f"{and_([in_unit(metric, asked.unit) for metric in shown])} "
        f"({PART_WORDS[part]}, geometric means over seeds with their 95 % t-intervals; hollow: one "
        f"seed; {numbers}) against {unit}, all rows in turns in one process ({measured}). Line: "
        "what no other row is both faster and better than.",
        [*lacking, *times.missing],
        [Path(folder) for folder in there.folder],
        partial(_sheet, asked, there, wanted, costs, unit, of_runs(there, shown), part),
        data=and_(asked.data(wanted)),
        seeds=numbers,
        sheet=wanted.title,
    )


def _costs(
    times: TableTimes, conditions: Sequence[str]
) -> tuple[dict[tuple[str, str], float], str]:
    """What a training step costs, by label and condition, and what that is in words.

    Milliseconds; on a machine that was busy, when they mean nothing, ratios to the baseline.
    """
    each = {
        (run.label, condition): times.row(run.label, condition)
        for run in times.sweep.runs
        for condition in conditions
    }
    ms = {key: one.quartiles[1] for key, one in each.items() if one.quartiles}
    if ms:
        return ms, "time of a training step / ms"
    ratios = {key: one.ratio.value for key, one in each.items() if one.ratio}
    return ratios, f"time of a training step / that of {times.sweep.baseline}"


def _sheet(
    asked: Asked,
    runs: pd.DataFrame,
    sheet: Comparison,
    costs: Mapping[tuple[str, str], float],
    unit: str,
    columns: Sequence[Column],
    part: str,
) -> Sheet:
    runs = added(runs, columns)
    panels = [
        [_panel(asked, runs, sheet, costs, unit, column, part, condition) for column in columns]
        for condition in asked.conditions_of(sheet)
    ]
    return Sheet(panels, width(len(columns)), 0.2 + 2.9 * len(panels))


def _panel(
    asked: Asked,
    runs: pd.DataFrame,
    sheet: Comparison,
    costs: Mapping[tuple[str, str], float],
    unit: str,
    column: Column,
    part: str,
    condition: str,
) -> Panel:
    size = column.metric.shown(asked.unit)[0]
    points = []
    for run in sheet.runs:
        members = runs[(runs.label == run.label) & (runs.condition == condition)]
        known = [v / size for v in by_seed(members, f"{column.name}_{part}").values() if v > 0]
        if known:
            logs = estimate([math.log(value) for value in known])
            ends = (math.exp(end) for end in (logs.mean, logs.low, logs.high))
            points.append(_Point(run.label, costs[run.label, condition], *ends))
    best = _best(points) if column.metric.less_is_better else []
    x, y = (np.array([getattr(one, key) for one in best]) for key in ("cost", "error"))
    series = [Series("best for its cost", x, y, QUIET, dashed=True, quiet=True)] if best else []
    series += [_of_point(one, _BEST if one in best else _OTHER) for one in points]
    return Panel(
        unit, axis(column, asked.unit), series, asked.named(condition),
        scales=("log", "log"),
    )  # fmt: skip


def _of_point(one: _Point, colour: str) -> Series:
    x, y, low, high = (np.array([v]) for v in (one.cost, one.error, one.low, one.high))
    alone = math.isnan(one.low)
    ends = None if alone else (low, high)
    return Series(one.label, x, y, colour, "points", ends=ends, hollow=alone, named=True)


def _best(points: Sequence[_Point]) -> list[_Point]:
    """Those that none is both faster and better than, the fastest first."""
    found: list[_Point] = []
    for one in sorted(points, key=lambda point: (point.cost, point.error)):
        if not found or one.error < found[-1].error:
            found.append(one)
    return found
