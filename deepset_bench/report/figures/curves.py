"""Figures 7, 8, 12 and 13: validation errors along training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from deepset_bench.data.units import UNITS
from deepset_bench.report.collect import KEY, Where, collect
from deepset_bench.report.figures import interactive, static
from deepset_bench.report.figures.figure import Figure
from deepset_bench.report.figures.panels import Panel, Series, Sheet, spread
from deepset_bench.report.figures.style import COLOURS, QUIET, WIDE
from deepset_bench.report.figures.words import condition_title, seeds
from deepset_bench.report.sweeps import Sweep, drawn
from deepset_bench.report.tables import gaps
from deepset_bench.runs import RunFolder
from deepset_bench.training.records import read_metrics

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
    wanted = drawn(sweep)
    runs = collect(wanted, conditions, where)
    missing = gaps(wanted, runs, conditions, where)
    done = runs[runs.state == "done"]
    there = done[[RunFolder(folder).metrics.exists() for folder in done.folder]]
    for run in wanted.runs:
        for row in done[~done.index.isin(there.index) & (done.label == run.label)].itertuples():
            what = f"{run.label}, {row.condition}, seed {row.seed}: metrics.csv is gone"
            command = where.command(run, str(row.condition), [int(row.seed)], again=True)  # type: ignore[call-overload]
            missing.append((what, command))
    size, name, _ = UNITS[unit][metric]
    title = f"Figure {number}: {wanted.title.lower().capitalize()}, {metric}"
    caption = (
        f"Validation MAE of the {metric} in {name}, {_whose(metric)}, over epochs: mean and range "
        f"over seeds ({seeds(there)}). Dashed: {_TRIVIAL[metric]}. Insets: the last epochs."
    )
    if there.empty:
        return Figure(f"figure_{number}", title, caption, missing)
    panels = [
        _panel(there[there.condition == c], wanted, metric, c, size, name, first=c == conditions[0])
        for c in conditions
    ]
    sheet = Sheet([panels], WIDE, 2.7, joined=True)
    return Figure(
        f"figure_{number}", title, caption, missing, [Path(f) for f in there.folder],
        partial(static.draw, sheet), partial(interactive.draw, sheet),
    )  # fmt: skip


def _whose(metric: str) -> str:
    return "per molecule" if metric == "energy" else "per component"


def _panel(
    runs: pd.DataFrame,
    sweep: Sweep,
    metric: str,
    condition: str,
    size: float,
    unit: str,
    *,
    first: bool,
) -> Panel:
    series, last = [], 1
    for colour, run in zip(COLOURS, sweep.runs, strict=False):
        members = [read_metrics(RunFolder(f)) for f in runs[runs.label == run.label].folder]
        if not members:
            continue
        # Runs of one sweep have the same epochs; one that a person cut short sets the end.
        n = min(map(len, members))
        last = max(last, n)
        values = np.stack([m[f"val_{KEY[metric]}"].to_numpy()[:n] for m in members]) / size
        mean, low, high = spread(values)
        several = len(members) > 1
        epochs = members[0]["epoch"].to_numpy()[:n]
        series.append(
            Series(run.label, epochs, mean, colour, low=low if several else None,
                   high=high if several else None)  # fmt: skip
        )
    trivial = runs[f"trivial_{metric}_val"].mean() / size if len(runs) else np.nan
    if np.isfinite(trivial):
        ends, level = np.array([1, last]), np.full(2, trivial)
        series.append(Series(_TRIVIAL[metric], ends, level, QUIET, dashed=True))
    label = f"{metric} MAE / {unit if metric == 'energy' else f'({unit})'}"
    return Panel(
        "epoch", label if first else "", series, condition_title(condition), ("linear", "log"),
        tail=last * (1 - _LAST) if series and last > 5 else None,
    )  # fmt: skip
