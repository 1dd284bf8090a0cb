"""Effect sizes: what each variant changes against no scalars, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from deepset_bench.figures.figure import Figure, of_sheet
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.style import COLOURS, WIDE
from deepset_bench.figures.words import CONDITIONS, seeds
from deepset_bench.study.collect import Where, collect
from deepset_bench.study.comparisons import Comparison, shipped
from deepset_bench.study.gaps import gaps
from deepset_bench.study.published import METRICS
from deepset_bench.study.tables import by_seed
from deepset_bench.study.verdict import effect

_APART = 0.16
"""Of two conditions in one row."""


def effects(conditions: Sequence[str], where: Where, unit: str) -> Figure:
    """Relative paired differences of the report's variants to the baseline over shared seeds.

    Args:
        conditions: of `report` and `corrected`.
        where: which runs.
        unit: not used; differences are in per cent of the baseline.
    """
    sweep = shipped("report")
    runs = collect(sweep, conditions, where)
    done = runs[runs.state == "done"]
    caption = (
        f"Difference of the MAE (mean of test and val) to {sweep.baseline}, paired over shared "
        f"seeds, in per cent of {sweep.baseline}, with its 95 % t-interval; hollow: one seed, "
        f"which has none ({seeds(done)}). Left of zero is better."
    )
    compared = done[done.label != sweep.baseline]
    based = not done[done.label == sweep.baseline].empty and not compared.empty
    return of_sheet(
        "effects", f"What each variant changes against {sweep.baseline}", caption,
        gaps(sweep, runs, conditions, where),
        [Path(folder) for folder in done.folder] if based else [],
        partial(_sheet, sweep, done, conditions),
    )  # fmt: skip


def _sheet(sweep: Comparison, runs: pd.DataFrame, conditions: Sequence[str]) -> Sheet:
    there = set(runs.label)
    labels = [r.label for r in sweep.runs if r.label != sweep.baseline and r.label in there]
    panels = [_panel(sweep, runs, labels, conditions, metric) for metric in METRICS]
    return Sheet([panels], WIDE, 1.1 + 0.17 * len(labels), joined=True)


def _panel(
    sweep: Comparison,
    runs: pd.DataFrame,
    labels: Sequence[str],
    conditions: Sequence[str],
    metric: str,
) -> Panel:
    series = []
    for place, condition in enumerate(conditions):
        own = runs[runs.condition == condition]
        base = by_seed(own[own.label == sweep.baseline], f"{metric}_mean")
        rows: list[tuple[float, float, float]] = []
        for row, label in enumerate(labels):
            values = by_seed(own[own.label == label], f"{metric}_mean")
            found = effect(label, values, base, 1, relative=True).usual.scaled(100)
            if found.n:
                rows.append(
                    (row + _APART * (2 * place - len(conditions) + 1), found.mean, found.half)
                )
        for hollow in (False, True):
            chosen = np.array([r for r in rows if math.isnan(r[2]) == hollow]).reshape(-1, 3)
            if len(chosen):
                y, mean, half = chosen.T
                series.append(
                    Series(CONDITIONS[condition], mean, y, COLOURS[place], "points",
                           ends=None if hollow else (mean - half, mean + half), across=True,
                           hollow=hollow, quiet=hollow and len(chosen) < len(rows))
                )  # fmt: skip
    return Panel(
        f"change of {metric} MAE / %", "", series, scales=("symlog", "linear"), names=labels,
        zero=True,
    )  # fmt: skip
