"""Effect sizes: what each row changes against the baseline, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure, Gap
from deepset_bench.figures.panels import NAME, Cut, Panel, Series, Sheet
from deepset_bench.figures.style import COLOURS, WIDE
from deepset_bench.figures.words import and_, seeds
from deepset_bench.scoring.table import USUAL, Metric
from deepset_bench.study.columns import Column, added, judged_on, of_runs
from deepset_bench.study.effect import Change
from deepset_bench.study.sections import PART_WORDS
from deepset_bench.study.tables import effect_of_row
from deepset_bench.sweep.comparisons import Comparison

_APART = 0.16
"""Of two conditions in one row."""
_FAR = 3.0
"""An effect so many times as large as the next smaller one, and all larger ones, are cut."""
_LARGE = 100.0
"""Per cent: no effect or interval below it is cut."""


def effects(
    asked: Asked,
    *,
    sheet: str = "",
    rows: Sequence[str] = (),
    baseline: str = "",
    metrics: Sequence[str] = USUAL,
) -> Figure:
    """Relative paired differences of rows to the baseline over shared seeds.

    Args:
        asked: the figure.
        sheet: name of it.
        rows: labels of those to draw; none: all.
        baseline: label of the row that they are compared with; none: the sheet's own.
        metrics: names of them, a panel each.
    """
    whole = asked.sheet(sheet)
    base = asked.row(whole, baseline).label if baseline else whole.baseline
    wanted = asked.sheet(sheet, [base, *(label for label in rows if label != base)] if rows else ())
    shown = asked.metrics(metrics)
    done, lacking = asked.collect(wanted, shown)
    compared = done[done.label != base]
    part = judged_on(done)
    based = not done[done.label == base].empty and not compared.empty
    columns = of_runs(done, shown)
    done = added(done, columns)
    sheet_of = _sheet(asked, wanted, done, base, columns, part)
    panels = sheet_of.rows[0]
    one_seed = any(series.hollow for panel in panels for series in panel.series)
    beyond = any(panel.cut for panel in panels)
    return asked.figure(
        "What each variant changes against {baseline}",
        f"Change of the {and_([metric.words for metric in shown])} ({PART_WORDS[part]}) against "
        "{baseline}, the mean of log ratios over shared seeds, in per cent, with its 95 % "
        f"t-interval{'; hollow: one seed, which has none' if one_seed else ''} ({seeds(done)}). "
        f"{_better(shown)}"
        f"{' A number beside an arrow is an effect beyond the axis.' if beyond else ''}",
        [*lacking, *_no_ratio(asked, asked.conditions_of(wanted), done, base, columns, part)],
        [Path(folder) for folder in done.folder] if based else [],
        lambda: sheet_of,
        data=and_(asked.data(wanted)),
        seeds=seeds(done),
        baseline=base,
        sheet=wanted.title,
    )


def _better(metrics: Sequence[Metric]) -> str:
    """Which side of zero is better, in a sentence."""
    less = [m.words for m in metrics if m.less_is_better]
    more = [m.words for m in metrics if not m.less_is_better]
    if less and more:
        return f"Left of zero is better for {and_(less)}, right of it for {and_(more)}."
    return f"{'Left' if less else 'Right'} of zero is better."


def _sheet(
    asked: Asked,
    sheet: Comparison,
    done: pd.DataFrame,
    base: str,
    columns: Sequence[Column],
    part: str,
) -> Sheet:
    there = set(done.label)
    labels = [r.label for r in sheet.runs if r.label != base and r.label in there]
    conditions = asked.conditions_of(sheet)
    panels = [_panel(asked, done, labels, base, conditions, column, part) for column in columns]
    lines = max((math.ceil(len(label) / NAME) for label in labels), default=1)
    return Sheet([panels], WIDE, 1.1 + 0.17 * lines * len(labels), joined=True)


def _panel(
    asked: Asked,
    runs: pd.DataFrame,
    labels: Sequence[str],
    base: str,
    conditions: Sequence[str],
    column: Column,
    part: str,
) -> Panel:
    found: list[tuple[int, float, Change]] = []
    for place, condition in enumerate(conditions):
        own = runs[runs.condition == condition]
        for row, label in enumerate(labels):
            changed = effect_of_row(label, label, base, own, f"{column.name}_{part}")
            if changed.n and changed.relative:
                y = row + _APART * (2 * place - len(conditions) + 1)
                found.append((place, y, changed.change()))
    series = []
    for place, condition in enumerate(conditions):
        rows = [
            (y, 100 * one.mean, 100 * one.low, 100 * one.high)
            for of, y, one in found
            if of == place
        ]
        for hollow in (False, True):
            chosen = np.array([r for r in rows if math.isnan(r[2]) == hollow]).reshape(-1, 4)
            if len(chosen):
                ys, mean, low, high = chosen.T
                series.append(
                    Series(asked.named(condition) or "rows", mean, ys, COLOURS[place], "points",
                           ends=None if hollow else (low, high), across=True,
                           hollow=hollow,
                           quiet=(hollow and len(chosen) < len(rows)) or len(conditions) == 1)
                )  # fmt: skip
    limits = _limits([one for *_, one in found])
    cut = [
        Cut(y, 100 * one.mean, COLOURS[place])
        for place, y, one in found
        if limits and not limits[0] <= 100 * one.mean <= limits[1]
    ]
    return Panel(
        f"change of {column.words} / %", "", series, names=labels, zero=True,
        limits=(limits if cut else None, None), cut=cut,
    )  # fmt: skip


def _no_ratio(
    asked: Asked,
    conditions: Sequence[str],
    runs: pd.DataFrame,
    base: str,
    columns: Sequence[Column],
    part: str,
) -> list[Gap]:
    """Rows that have no place on an axis of per cent."""
    found = []
    for condition in conditions:
        own = runs[runs.condition == condition]
        for label in own.label[own.label != base].drop_duplicates():
            for column in columns:
                if not effect_of_row(label, label, base, own, f"{column.name}_{part}").relative:
                    what = f"{asked.run_named(label, condition)}: {column.words}"
                    why = "an error of zero has no ratio; the table has the difference"
                    found.append((f"{what} not drawn: {why}", ""))
    return found


def _limits(changes: Sequence[Change]) -> tuple[float, float] | None:
    """Ends of an axis, in per cent, for most of some effects: those far outside are beyond them."""
    if not changes:
        return None
    means = [100 * one.mean for one in changes]
    order = np.argsort(np.abs(means))
    sizes = np.abs(means)[order]
    kept = len(order)
    for place in range(math.ceil(len(order) / 2), len(order)):
        if sizes[place] > max(_FAR * sizes[place - 1], _LARGE):
            kept = place
            break
    inside = order[:kept]
    middle = np.array(means)[inside]
    # One seed has no ends of its own.
    lows = np.array([100 * (one.mean if math.isnan(one.low) else one.low) for one in changes])
    highs = np.array([100 * (one.mean if math.isnan(one.high) else one.high) for one in changes])
    # An interval may be far longer than its effect.
    reach = max(2 * np.abs(middle).max(), _LARGE)
    low, high = max(lows[inside].min(), -reach), min(highs[inside].max(), reach)
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:  # no change at all
        low, high = -1.0, 1.0
    room = 0.06 * (high - low)
    text = 0.3 * (high - low)  # for the numbers of what is beyond
    outside = np.array(means)[order[kept:]]
    return (
        float(low - room - text * bool((outside < 0).any())),
        float(high + room + text * bool((outside > 0).any())),
    )
