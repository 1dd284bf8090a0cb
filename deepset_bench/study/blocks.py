"""Blocks below the errors of a table, where its runs are so many and such that they say more."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from deepset_bench.study import scatter
from deepset_bench.study.columns import Column
from deepset_bench.study.effect import Effect, change_text
from deepset_bench.study.layout import DASH, Cell, Section
from deepset_bench.study.looks import decide, looks_of
from deepset_bench.study.main_effects import NOTE, Factor, factors
from deepset_bench.study.statistics import holm
from deepset_bench.study.tables import OPEN, Table, by_seed
from deepset_bench.study.verdict import ALPHA, LESS, MORE
from deepset_bench.sweep.comparisons import Comparison


def below(table: Table, part: str) -> tuple[list[Section], list[str]]:
    """Such blocks, and a note for each kind of them.

    Args:
        table: whose.
        part: of the frames that errors are of.
    """
    columns = [column for column in table.columns if not column.metric.of_run]
    notes: list[str] = []
    changed = _factors(table, columns, part)
    if changed:
        looked = table.frame.kind.eq("run") & table.frame[f"{columns[0].name}_at"].notna()
        notes.append(f"{NOTE} {_LOOKED if looked.any() else _FIXED}")
    scatters = [block for column in columns if (block := _scatter(table, column, part))]
    notes += [scatter.NOTE] * bool(scatters)
    return [*changed, *scatters], notes


_FIXED = f"Bold and {OPEN}: as above, among the factors."
_LOOKED = "Bold: as above, among all factors and metrics; (n): found by the look at n seeds."


def _factors(table: Table, columns: Sequence[Column], part: str) -> list[Section]:
    """What the options of each axis change; nothing where rows are no product of several."""
    rows: dict[str, dict[str, list[Cell]]] = {column.name: {} for column in columns}
    for place, condition in enumerate(table.conditions):
        here = table.runs[table.runs.condition == condition]
        found = []
        for column in columns:
            effects = factors_of(table.sweep, here, f"{column.name}_{part}")
            found += [(column.name, one) for one in effects]
        cells = _judged([one.effect for _, one in found], [name for name, _ in found], here)
        for (name, one), cell in zip(found, cells, strict=True):
            row = rows[name].setdefault(one.name, [Cell(one.name), *[DASH, DASH] * place])
            row += [Cell(str(one.effect.n)), cell]
        for row in (row for each in rows.values() for row in each.values()):
            row += [DASH, DASH] if len(row) < 3 + 2 * place else []
    headings = [("", "factor"), *((c, name) for c in table.conditions for name in ("n", "Δ"))]
    return [
        Section(f"{c.words}: what each factor changes", headings, list(rows[c.name].values()))
        for c in columns
        if rows[c.name]
    ]


def factors_of(sweep: Comparison, runs: pd.DataFrame, column: str) -> list[Factor]:
    """`main_effects.factors` of a column of the runs, by the rows of their comparison."""
    axes = sweep.axes
    each = {run.options(axes): by_seed(runs[runs.label == run.label], column) for run in sweep.runs}
    return factors(axes, each)


def _judged(effects: Sequence[Effect], families: Sequence[str], runs: pd.DataFrame) -> list[Cell]:
    """Effects of a condition, and which are beyond chance, by the rule of the runs.

    Args:
        effects: of all factors on all metrics.
        families: the metric of each.
        runs: of the condition.
    """
    if not effects:
        return []
    texts = [change_text(one.change(), relative=True) for one in effects]
    rule = looks_of(list(runs[runs.state == "done"].result))
    if rule:
        at = [one.at if one.word in (LESS, MORE) else 0 for one in decide(effects, rule, 0.0)]
        each = zip(texts, at, strict=True)
        return [Cell(f"{text} ({n})" if n else text, bold=n > 0) for text, n in each]
    p = pd.Series([one.p for one in effects], dtype=float)
    sure = p.groupby(list(families)).transform(lambda own: holm(list(own))) < ALPHA
    return [
        Cell(f"{text}{OPEN}" if one.p < ALPHA and not bold else text, bold=bool(bold))
        for text, one, bold in zip(texts, effects, sure, strict=True)
    ]


def _scatter(table: Table, column: Column, part: str) -> Section | None:
    """Where the scatter of the runs comes from; None where no row has a grid of runs."""
    rows: dict[str, list[Cell]] = {}
    means: list[Cell] = [Cell("all of these", italic=True)]
    for condition in table.conditions:
        here = table.runs[table.runs.condition == condition]
        found = {
            run.label: scatter.components(
                by_seed(here[here.label == run.label], f"{column.name}_{part}")
            )
            for run in table.sweep.runs
        }
        for label, one in found.items():
            rows.setdefault(label, [Cell(label)]).extend(_components(one))
        known = [one for one in found.values() if one]
        means += _components(scatter.pooled(known) if known else None)
    shown = [cells for cells in rows.values() if any(cell.value is not None for cell in cells)]
    if not shown:
        return None
    names = ("splits × seeds", "split", "seed", "both")
    columns = [("", "variant"), *((c, name) for c in table.conditions for name in names)]
    heading = f"{column.words}: scatter over splits and seeds, in %"
    return Section(heading, columns, [*shown, means] if len(shown) > 1 else shown)


def _components(one: scatter.Components | None) -> list[Cell]:
    if one is None:
        return [DASH] * 4
    shape = " × ".join(map(str, one.shape)) if one.shape else ""
    return [Cell(shape) if shape else DASH, *(Cell(value=x, digits=1) for x in one.percent)]
