"""Validation errors along training: a line a row of a sheet, a panel a condition and metric."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from deepset_bench.figures.asked import Asked, narrowed
from deepset_bench.figures.figure import Figure, Gap
from deepset_bench.figures.panels import Panel, Series, Sheet, extremes
from deepset_bench.figures.style import QUIET, colours, width
from deepset_bench.figures.words import and_, axis, comparable, quantity
from deepset_bench.replicate import words
from deepset_bench.scoring.table import USUAL, Metric
from deepset_bench.study.columns import VAL, Column
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.training.records import COLUMNS, read_metrics

_LAST = 1 / 6
"""Part of the training that insets show."""
_PER = {"energy": " per molecule", "forces": " per component"}
_FEW = 5
"""Epochs that need no inset, and a tick each."""
_LINES = 3
"""Variants named one by one of which something is gone."""
_MOST = 12
"""Lines that a person can tell apart."""


def curves(
    asked: Asked, *, sheet: str = "", rows: Sequence[str] = (), metrics: Sequence[str] = USUAL
) -> Figure:
    """Metrics of a sheet's runs over epochs.

    Args:
        asked: the figure.
        sheet: name of it.
        rows: labels of those to draw; none: all, of more than twelve those with the least error.
        metrics: names of those that metrics.csv has.
    """
    wanted, shown = asked.sheet(sheet, rows), asked.metrics(metrics)
    for metric in shown:
        if f"val_{metric.key}" not in COLUMNS:
            raise asked.entry.mistake("metrics", f"{metric.name} is not measured along training")
    done, lacking = asked.collect(wanted)
    epochs = [read_metrics(run) for run in done.run]
    done = done.assign(epochs=pd.Series(epochs, index=done.index, dtype=object))
    recorded = np.array([not one.empty for one in epochs], dtype=bool)
    lacking += _gone(asked, wanted, done[~recorded])
    there, _ = comparable(done[recorded])
    drawn = wanted if rows else _least(there, wanted, shown[0])
    kept = done[recorded & done.label.isin([run.label for run in drawn.runs]).to_numpy()]
    there, numbers = comparable(kept)
    units = [f"{m.words}{_PER.get(quantity(m), '')} in {m.shown(asked.unit)[1]}" for m in shown]
    inset = any(_has_tail(len(epochs)) for epochs in there.epochs)
    left_out = len(drawn.runs) < len(wanted.runs)
    some = f" The {_MOST} rows with the least error of {len(wanted.runs)}." if left_out else ""
    return asked.figure(
        f"{wanted.title}: {and_([m.words for m in shown])} along training",
        f"Validation {and_(units)} over epochs: mean and range over seeds ({numbers}). "
        f"Dashed: {and_(_trivial(shown))}."
        f"{' Insets, on paper: the last epochs.' if inset else ''}{some}",
        lacking,
        [Path(folder) for folder in there.folder],
        partial(_sheet, asked, there, drawn, shown),
        data=and_(asked.data(wanted)),
        seeds=numbers,
        sheet=wanted.title,
    )


def _gone(asked: Asked, sheet: Comparison, runs: pd.DataFrame) -> list[Gap]:
    """Runs of which only the results were kept; of many variants one line."""
    groups = runs.groupby(["label", "condition"], sort=False)
    if len(groups) > _LINES:
        return [(f"{sheet.name}: of {len(runs)} runs the results were kept, and no curves", "")]
    found = []
    for (label, condition), group in groups:
        run = next(run for run in sheet.runs if run.label == label)
        what = asked.run_named(run.label, str(condition), words(group.replicate))
        command = asked.where.command(run, str(condition), list(group.replicate), again=True)
        found.append((f"{what}: its metrics.csv is gone or damaged", command))
    return found


def _least(runs: pd.DataFrame, sheet: Comparison, metric: Metric) -> Comparison:
    """The sheet with as many of its rows as can be told apart."""
    if len(sheet.runs) <= _MOST:
        return sheet
    means = runs.groupby("label")[f"{metric.column}_{VAL}"].mean()
    best = set(means.sort_values(ascending=metric.less_is_better).index[:_MOST])
    return narrowed(sheet, [run for run in sheet.runs if run.label in best])


def _has_tail(epochs: int) -> bool:
    """Whether an inset shows the last of so many epochs."""
    return epochs > _FEW


def _trivial(metrics: Sequence[Metric]) -> list[str]:
    """Their trivial baselines."""
    return list(dict.fromkeys(m.trivial for m in metrics))


def _sheet(asked: Asked, runs: pd.DataFrame, sheet: Comparison, metrics: Sequence[Metric]) -> Sheet:
    conditions = asked.conditions_of(sheet)
    rows = [[_panel(asked, runs, sheet, m, metrics, c) for c in conditions] for m in metrics]
    if len(conditions) == 1:  # metrics side by side
        rows = [[panel for (panel,) in rows]]
    return Sheet(rows, width(len(rows[0])), 0.2 + 2.5 * len(rows), joined=len(conditions) > 1)


def _panel(
    asked: Asked,
    runs: pd.DataFrame,
    sheet: Comparison,
    metric: Metric,
    metrics: Sequence[Metric],
    condition: str,
) -> Panel:
    size = metric.shown(asked.unit)[0]
    runs = runs[runs.condition == condition]
    series, last = [], 1
    for colour, run in zip(colours(len(sheet.runs)), sheet.runs, strict=True):
        members = list(runs[runs.label == run.label].epochs)
        if not members:
            continue
        n = min(map(len, members))
        last = max(last, n)
        values = np.stack([table[f"val_{metric.key}"].to_numpy()[:n] for table in members]) / size
        epochs = members[0]["epoch"].to_numpy()[:n]
        mean = values.mean(axis=0)
        kind: Literal["line", "points"] = "line" if n > 1 else "points"  # one point is no line
        series.append(Series(run.label, epochs, mean, colour, kind, ends=extremes(values)))
    name = ", ".join(_trivial(metrics))  # one of the legend, whichever the metric
    if series:
        trivial = np.full(2, runs[f"trivial_{metric.column}_{VAL}"].mean() / size)
        series.append(Series(name, np.array([1, last]), trivial, QUIET, dashed=True))
    return Panel(
        "epoch", axis(Column(metric), asked.unit), series, asked.named(condition),
        scales=("linear", "log"), tail=last * (1 - _LAST) if _has_tail(last) else None,
        ticks=() if _has_tail(last) else range(1, last + 1),  # no epoch is half
    )  # fmt: skip
