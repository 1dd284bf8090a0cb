"""Learning curves: error against the number of training frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from deepset_bench.config import experiment
from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.style import WIDE, colours
from deepset_bench.figures.words import and_, axis, comparable, in_unit
from deepset_bench.scoring.table import USUAL, Metric
from deepset_bench.study.columns import MEAN, Column, added, of_runs
from deepset_bench.study.tables import by_seed
from deepset_bench.sweep.comparisons import Comparison, Row

SIZE = "data.train_size"
"""What the sheet itself sets."""
_EPOCHS = "trainer.epochs"


def learning(
    asked: Asked, *, sheet: str = "", rows: Sequence[str] = (), metrics: Sequence[str] = USUAL
) -> Figure:
    """Errors of rows that differ in the number of training frames, a line for all alike but that.

    Args:
        asked: the figure.
        sheet: name of it.
        rows: labels of those to draw; none: all.
        metrics: names of them, a panel each.
    """
    wanted, shown = asked.sheet(sheet, rows), asked.metrics(metrics)
    others = [line for line in asked.where.overrides if not is_size(line)]
    asked = replace(asked, where=replace(asked.where, overrides=tuple(others)))
    variants = of_size(wanted, others)
    done, lacking = asked.collect(wanted, shown)
    done, numbers = comparable(done)
    done = done.assign(
        variant=[variants[label][0] for label in done.label],
        frames=[variants[label][1] for label in done.label],
    )
    units = and_([in_unit(metric, asked.unit) for metric in shown])
    dashed = asked.named(asked.conditions[0]) if len(asked.conditions) > 1 else ""
    return asked.figure(
        wanted.title,
        f"{units[0].upper()}{units[1:]} (mean of test and val) against the number of training "
        "frames, the same held-out frames for every number: mean and range over seeds "
        f"({numbers})." + (f" Dashed: {dashed}." if dashed else ""),
        lacking,
        [Path(folder) for folder in done.folder],
        partial(_sheet, asked, done, asked.conditions_of(wanted), shown),
        data=and_(asked.data(wanted)),
        seeds=numbers,
        sheet=wanted.title,
    )


def is_size(override: str) -> bool:
    """Whether it chooses the number of training frames."""
    return override.lstrip("+").startswith(f"{SIZE}=")


def of_size(sheet: Comparison, others: Sequence[str] = ()) -> dict[str, tuple[str, int]]:
    """Label of each row -> the variant that it is, for people, and its number of frames.

    Rows of one variant may differ in their epochs, too, as for one number of steps.

    Args:
        sheet: whose rows.
        others: overrides beside those of the rows.
    """
    frames = {row.label: _frames(row, others) for row in sheet.runs}
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in sheet.runs:
        groups.setdefault(_alike(row, (SIZE, _EPOCHS)), []).append(row)
    variants: dict[tuple[str, ...], list[Row]] = {}
    for alike, rows in groups.items():
        if len({frames[row.label] for row in rows}) == len(rows):
            variants[alike] = rows
            continue
        for row in rows:  # so that epochs tell rows of one size apart
            variants.setdefault(_alike(row, (SIZE,)), []).append(row)
    found: dict[str, tuple[str, int]] = {}
    for rows in variants.values():
        first = rows[0].label
        name = _name(first, frames[first])
        name = first if name in {other for other, _ in found.values()} else name
        found |= {row.label: (name, frames[row.label]) for row in rows}
    return {row.label: found[row.label] for row in sheet.runs}


def _alike(row: Row, without: Sequence[str]) -> tuple[str, ...]:
    """Its overrides without those of some keys."""
    return tuple(line for line in row.overrides if line.lstrip("+").split("=", 1)[0] not in without)


def _frames(row: Row, others: Sequence[str]) -> int:
    chosen = ("data", "task")
    lines = [
        line
        for line in (*row.overrides, *others)
        if line.lstrip("+").split("=", 1)[0].split(".")[0] in chosen
    ]
    return int(experiment(lines).config.data.train_size)


def _name(label: str, frames: int) -> str:
    """A label without the number in it."""
    without = re.sub(rf"[\s,]*(?:{re.escape(SIZE)}[ =])?\b{frames}\b(?:\s*frames)?", "", label)
    return without.strip(" ,") or "all"


def _sheet(
    asked: Asked, runs: pd.DataFrame, conditions: Sequence[str], metrics: Sequence[Metric]
) -> Sheet:
    columns = of_runs(runs, metrics)
    runs = added(runs, columns)
    panels = [_panel(asked, runs, conditions, column) for column in columns]
    return Sheet([panels], WIDE, 2.6)


def _panel(asked: Asked, runs: pd.DataFrame, conditions: Sequence[str], column: Column) -> Panel:
    size = column.metric.shown(asked.unit)[0]
    series = []
    variants = list(runs.variant.drop_duplicates())
    for place, condition in enumerate(conditions):
        for colour, variant in zip(colours(len(variants)), variants, strict=True):
            own = runs[(runs.condition == condition) & (runs.variant == variant)]
            if own.empty:
                continue
            sizes = sorted(set(own.frames))
            of = f"{column.name}_{MEAN}"
            values = [
                np.array(list(by_seed(own[own.frames == n], of).values())) / size for n in sizes
            ]
            x, y = np.array(sizes, dtype=float), np.array([v.mean() for v in values])
            ends = np.array([v.min() for v in values]), np.array([v.max() for v in values])
            name = ", ".join(word for word in (variant, asked.named(condition)) if word)
            dashed = place == 0 and len(conditions) > 1
            series.append(Series(name, x, y, colour, dashed=dashed))
            series.append(
                Series(name, x, y, colour, "points", ends=ends, hollow=dashed, quiet=True)
            )
    return Panel(
        "training frames", axis(column, asked.unit), series, scales=("log", "log"),
        ticks=sorted({float(n) for n in runs.frames}),
    )  # fmt: skip
