"""Figures 7, 8, 12 and 13: validation errors along training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from deepset_bench.figures.figure import Figure, of_sheet
from deepset_bench.figures.panels import Panel, Series, Sheet, extremes
from deepset_bench.figures.style import COLOURS, QUIET, width
from deepset_bench.figures.words import CONDITIONS, label, seeds
from deepset_bench.runs import RunFolder
from deepset_bench.study.collect import Where, collect
from deepset_bench.study.columns import usual
from deepset_bench.study.comparisons import Comparison, shipped
from deepset_bench.study.gaps import gaps
from deepset_bench.training.records import read_metrics
from deepset_bench.units import UNITS

_LAST = 1 / 6
"""Part of the training that insets show."""
_TRIVIAL = {"energy": "mean energy", "forces": "zero force"}


def curves(
    number: int, metric: str, sweep: str, conditions: Sequence[str], where: Where, unit: str
) -> Figure:
    """One metric of a sweep's runs over epochs, a panel for each condition.

    Args:
        number: of the report's figure.
        metric: `energy` or `forces`.
        sweep: name of the file in `sweeps/`.
        conditions: of `report` and `corrected`.
        where: which runs.
        unit: `hartree` or `mev`.
    """
    wanted = shipped(sweep)
    runs = collect(wanted, conditions, where)
    lacking = gaps(wanted, runs, conditions, where)
    done = runs[runs.state == "done"]
    recorded = np.array([RunFolder(folder).metrics.exists() for folder in done.folder], dtype=bool)
    for row in done[~recorded].to_dict("records"):
        run = next(run for run in wanted.runs if run.label == row["label"])
        what = f"{run.label}, {row['condition']}, seed {row['seed']}: its metrics.csv is gone"
        lacking.append((what, where.command(run, row["condition"], [row["seed"]], again=True)))
    there = done[recorded]
    whose = "molecule" if metric == "energy" else "component"
    caption = (
        f"Validation MAE of the {metric} per {whose} in {UNITS[unit][metric][1]} over epochs: mean "
        f"and range over seeds ({seeds(there)}). Dashed: {_TRIVIAL[metric]}. Insets, on paper: the "
        "last epochs."
    )
    return of_sheet(
        f"figure_{number}",
        f"Figure {number}: {wanted.title}, {metric}",
        caption,
        lacking,
        [Path(folder) for folder in there.folder],
        partial(_sheet, there, wanted, metric, conditions, unit),
    )


def _sheet(
    runs: pd.DataFrame, sweep: Comparison, metric: str, conditions: Sequence[str], unit: str
) -> Sheet:
    panels = [_panel(runs[runs.condition == c], sweep, metric, c, unit) for c in conditions]
    return Sheet([panels], width(len(panels)), 2.7, joined=True)


def _panel(runs: pd.DataFrame, sweep: Comparison, metric: str, condition: str, unit: str) -> Panel:
    size = UNITS[unit][metric][0]
    key = next(column.metric.key for column in usual() if column.name == metric)
    series, last = [], 1
    for colour, run in zip(COLOURS, sweep.runs, strict=False):
        members = [read_metrics(RunFolder(f)) for f in runs[runs.label == run.label].folder]
        if not members:
            continue
        n = min(map(len, members))
        last = max(last, n)
        values = np.stack([table[f"val_{key}"].to_numpy()[:n] for table in members]) / size
        epochs = members[0]["epoch"].to_numpy()[:n]
        mean = values.mean(axis=0)
        series.append(Series(run.label, epochs, mean, colour, ends=extremes(values)))
    if series:
        trivial = np.full(2, runs[f"trivial_{metric}_val"].mean() / size)
        series.append(Series(_TRIVIAL[metric], np.array([1, last]), trivial, QUIET, dashed=True))
    return Panel(
        "epoch", label(f"{metric} MAE", metric, unit), series, CONDITIONS[condition],
        scales=("linear", "log"), tail=last * (1 - _LAST) if last > 5 else None,
    )  # fmt: skip
