"""Blocks below the errors of a table, where its runs are so many and such that they say more."""

from __future__ import annotations

from deepset_bench.study import main_effects, scatter
from deepset_bench.study.columns import Column
from deepset_bench.study.effect import change_text
from deepset_bench.study.layout import DASH, Cell, Section
from deepset_bench.study.statistics import holm
from deepset_bench.study.tables import OPEN, Table, by_seed
from deepset_bench.study.verdict import ALPHA


def below(table: Table, part: str) -> tuple[list[Section], list[str]]:
    """Such blocks, and a note for each kind of them.

    Args:
        table: whose.
        part: of the frames that errors are of.
    """
    columns = [column for column in table.columns if not column.metric.of_run]
    found: list[Section] = []
    notes: list[str] = []
    for make, note in ((_factors, main_effects.NOTE), (_scatter, scatter.NOTE)):
        blocks = [block for column in columns if (block := make(table, column, part))]
        found += blocks
        notes += [note] if blocks else []
    return found, notes


def _factors(table: Table, column: Column, part: str) -> Section | None:
    """What the options of each axis change; None where rows are no product of several."""
    axes = table.sweep.axes
    rows: dict[str, list[Cell]] = {}
    for place, condition in enumerate(table.conditions):
        here = table.runs[table.runs.condition == condition]
        each = {
            run.options(axes): by_seed(here[here.label == run.label], f"{column.name}_{part}")
            for run in table.sweep.runs
        }
        found = main_effects.factors(axes, each)
        for one, adjusted in zip(found, holm([f.effect.p for f in found]), strict=True):
            change = one.effect.change()
            text = change_text(change, relative=True)
            bold = adjusted < ALPHA
            text += OPEN if change.excludes_zero and not bold else ""
            cells = rows.setdefault(one.name, [Cell(one.name), *[DASH, DASH] * place])
            cells += [Cell(str(one.effect.n)), Cell(text, bold=bold)]
        for cells in rows.values():
            cells += [DASH, DASH] if len(cells) < 3 + 2 * place else []
    columns = [("", "factor"), *((c, name) for c in table.conditions for name in ("n", "Δ"))]
    heading = f"{column.words}: what each factor changes"
    return Section(heading, columns, list(rows.values())) if rows else None


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
