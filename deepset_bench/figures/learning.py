"""Learning curves: error against the number of training frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from deepset_bench.figures.figure import Figure, of_sheet
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.style import COLOURS, WIDE
from deepset_bench.figures.words import CONDITIONS, label, seeds
from deepset_bench.study.collect import Where, collect
from deepset_bench.study.comparisons import shipped
from deepset_bench.study.gaps import gaps
from deepset_bench.study.published import METRICS
from deepset_bench.study.tables import by_seed
from deepset_bench.units import UNITS

_SIZE = "data.train_size="
"""What the sweep itself sets."""


def learning(conditions: Sequence[str], where: Where, unit: str) -> Figure:
    """Errors of `sweeps/learning.yaml`, whose labels are a variant and a number of frames."""
    sweep = shipped("learning")
    others = [line for line in where.overrides if not line.lstrip("+").startswith(_SIZE)]
    where = replace(where, overrides=tuple(others))
    runs = collect(sweep, conditions, where)
    runs[["variant", "frames"]] = [text.split(", ") for text in runs.label]
    done = runs[runs.state == "done"]
    names = " and ".join(UNITS[unit][metric][1] for metric in METRICS)
    caption = (
        f"MAE (mean of test and val) in {names} against the number of training frames, the same "
        f"held-out frames for every number: mean and range over seeds ({seeds(done)}). Dashed: as "
        "in the report."
    )
    return of_sheet(
        "learning", sweep.title, caption, gaps(sweep, runs, conditions, where),
        [Path(folder) for folder in done.folder], partial(_sheet, done, conditions, unit),
    )  # fmt: skip


def _sheet(runs: pd.DataFrame, conditions: Sequence[str], unit: str) -> Sheet:
    return Sheet([[_panel(runs, metric, conditions, unit) for metric in METRICS]], WIDE, 2.6)


def _panel(runs: pd.DataFrame, metric: str, conditions: Sequence[str], unit: str) -> Panel:
    series = []
    variants = list(runs.variant.drop_duplicates())
    for condition in conditions:
        for colour, variant in zip(COLOURS, variants, strict=False):
            own = runs[(runs.condition == condition) & (runs.variant == variant)]
            if own.empty:
                continue
            sizes = sorted(set(own.frames), key=int)
            values = [
                np.array(list(by_seed(own[own.frames == size], f"{metric}_mean").values()))
                / UNITS[unit][metric][0]
                for size in sizes
            ]
            x, y = np.array(sizes, dtype=float), np.array([v.mean() for v in values])
            ends = np.array([v.min() for v in values]), np.array([v.max() for v in values])
            name, dashed = f"{variant}, {CONDITIONS[condition]}", condition == "report"
            series.append(Series(name, x, y, colour, dashed=dashed))
            series.append(
                Series(name, x, y, colour, "points", ends=ends, hollow=dashed, quiet=True)
            )
    return Panel(
        "training frames", label(f"{metric} MAE", metric, unit), series, scales=("log", "log"),
        ticks=sorted({float(size) for size in runs.frames}),
    )  # fmt: skip
