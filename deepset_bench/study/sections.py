"""The frame of a table -> blocks of cells, the same for every format that people read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from deepset_bench.study.blocks import below
from deepset_bench.study.claimed import Claim, claimed
from deepset_bench.study.columns import HELD_OUT, MEAN, OOD, TEST, VAL, Column
from deepset_bench.study.effect import Change, Shown, change_text
from deepset_bench.study.gaps import LEFT_OUT
from deepset_bench.study.layout import DASH, Cell, Page, Section, number
from deepset_bench.study.stated import STATED_RULE
from deepset_bench.study.tables import CHANGES, OPEN, Table, of_frames
from deepset_bench.study.time_tables import TableTimes
from deepset_bench.study.verdict import ALPHA, EQUAL, EQUAL_RULE, RULE, UNDECIDED, margin_text
from deepset_bench.sweep.studies import Study

CLAIM, EVIDENCE = "claim", "evidence"
"""Headings of columns that hold sentences."""
PART_WORDS = {
    TEST: "test frames",
    VAL: "validation frames",
    MEAN: "test and validation frames, the mean of both",
    HELD_OUT: "held-out frames",
    OOD: "frames that the task asks about",
}
_FLOOR = "true forces"


def page(table: Table, unit: str, parts: Sequence[str]) -> Page:
    """Energies, forces or what else is asked for, and what the runs cost.

    Args:
        table: what to show.
        unit: `hartree` or `mev`.
        parts: of `columns.PARTS`; with several, each row says which it is.
    """
    numbered = table.sweep.table
    sweep = table.sweep
    title = f"{f'Table {numbered}' if numbered else sweep.name}: {sweep.title}"
    title = sweep.title if sweep.title == sweep.name else title
    part = parts[0] if len(parts) == 1 else MEAN
    more, notes = below(table, part)
    found = [*(_errors(table, column, unit, parts) for column in table.columns), *more]
    found = [*found, _size(table)]
    found += [wall_time(table.times, table.conditions)] if table.times.timing else []
    missing = [*table.missing, *table.times.missing]
    notes = [*table.notes, *of_frames(table, parts), *notes]
    return Page(table.sweep.name, title, found, notes, missing)


def claims_page(study: Study, claims: pd.DataFrame) -> Page:
    """The closing table: what is claimed, and what the runs say of it."""
    numbers = {claim: n for n, claim in enumerate(claims.claim.drop_duplicates(), 1)}
    rows: list[list[Cell]] = []
    before, opened = "", dict[tuple[str, str], dict[str, list[int]]]()
    several = any(claims.condition != "")
    names = ["claim", "condition", "sweep", "evidence", "verdict", "stated", "needs", "command"]
    every = claims[[*names, "at", "looks"]].itertuples(index=False, name=None)
    for claim, condition, sweep, evidence, verdict, when, needs, command, at, looks in every:
        text = f"{numbers[claim]}. {claim}" if claim != before else ""
        before = claim
        bold = verdict != UNDECIDED
        found = Cell(evidence, source=sweep)
        word = f"{verdict} ({at})" if looks and at else verdict
        row = [Cell(text), Cell(condition), Cell(word, bold=bold), Cell(when), found]
        rows.append(row if several else [row[0], *row[2:]])
        if command or needs:
            opened.setdefault((needs, command), {}).setdefault(condition, []).append(numbers[claim])
    who = study.claimed_by
    headings = [f"{who} says" if who else CLAIM, "condition", "verdict", "stated", EVIDENCE]
    columns = [("", name) for name in headings if several or name != "condition"]
    missing = []
    for (needs, command), under in opened.items():
        each = (
            f"{', '.join(map(str, which))}{f' under {condition}' if condition else ''}"
            for condition, which in under.items()
        )
        missing.append((f"to decide {' and '.join(each)}{f': {needs}' if needs else ''}", command))
    missing = [*((line, "") for line in claims.attrs.get(LEFT_OUT, ())), *missing]
    block = Section("", columns, rows, wraps=True)
    title = f"Does {who}'s claim hold?" if who else "Do the claims hold?"
    of = [one.claimed for one in claimed(study) if isinstance(one, Claim)]
    needed = [RULE] + [EQUAL_RULE] * any(one.direction == 0 for one in of)
    margin = margin_text(study.margin)
    rules = [*(rule.format(margin=margin) for rule in needed), *_judged_on(claims)]
    rules += [*_looked(claims, numbers), *([STATED_RULE] if any(claims.stated != "") else [])]
    return Page("claims", title, [block], rules, missing)


def _looked(claims: pd.DataFrame, numbers: Mapping[str, int]) -> list[str]:
    """How many seeds were looked at, where that depended on them or was to be another number."""

    def those(some: pd.DataFrame) -> str:
        each = []
        for claim, group in some.groupby("claim", sort=False):
            under = ", ".join(filter(None, group.condition))
            each.append(f"{numbers[str(claim)]}{f' ({under})' if under else ''}")
        return f"Claim{'s' if len(each) > 1 else ''} {', '.join(each)}"

    found = [
        f"{those(some)}: seeds were added until looks, at {looks} seeds, had decided. Each "
        "answer is that of the first look that has one, by intervals so wide that all looks "
        "together err in 5 % of the cases; (n): the look at n seeds found the direction. Intervals "
        "shown are those of a fixed number of seeds, and of all there are."
        for looks, some in claims[claims.looks != ""].groupby("looks", sort=False)
    ]
    return found + [
        f"{those(some)}: {fixed} seeds a row were registered, and there are more or fewer. "
        "What is said now is of a look that was not registered."
        for fixed, some in claims[claims.planned > 0].groupby("planned", sort=False)
    ]


def _judged_on(claims: pd.DataFrame) -> list[str]:
    """Of which frames the errors are, a line for each part."""
    found = claims[claims.part != ""].groupby("part", sort=False).condition
    several = claims.condition.nunique() > 1
    return [
        f"Errors are of {PART_WORDS[str(part)]}"
        + (f": {', '.join(c for c in conditions.unique())}." if several and len(found) > 1 else ".")
        for part, conditions in found
    ]


def _errors(table: Table, column: Column, unit: str, parts: Sequence[str]) -> Section:
    conditions, metric = table.conditions, column.metric
    size, name, digits = metric.shown(unit)
    if metric.of_run:
        parts = parts[:1]  # the same for each
    each = [row for row in table.frame.to_dict("records") if row["part"] in parts]
    whose = "mean of test and val" if list(parts) == [MEAN] else PART_WORDS[parts[0]]
    if len(parts) > 1:
        whose = "each part of the frames"
    columns = [("", "variant")] + ([("", "of")] if len(parts) > 1 else [])
    has_printed = any(not math.isnan(row[f"{column.name}_printed"]) for row in each)
    columns += [("", "printed")] if has_printed else []
    columns += [(c, heading) for c in conditions for heading in (metric.statistic, "n", "Δ")]
    # A person may call a row "trivial" or "floor", as rows of other kinds are called.
    found: dict[tuple[str, str, str], dict[str, Mapping[Any, Any]]] = {}
    for one in each:
        found.setdefault((one["kind"], one["row"], one["part"]), {})[one["condition"]] = one
    rows = []
    for kind, row in dict.fromkeys((one["kind"], one["row"]) for one in each):
        label = _label(row, kind, column)
        for part in parts:
            group = found.get((kind, row, part))
            if not group or not label:
                continue
            cells = [Cell(label, italic=kind != "run")]
            cells += [Cell(part)] if len(parts) > 1 else []
            if has_printed:
                known = next(iter(group.values()))[f"{column.name}_printed"]
                cells.append(number(known, math.nan, size, digits, Cell()))
            base = kind == "run" and row == table.sweep.baseline
            for condition in conditions:
                cells += _ours(group.get(condition), column.name, metric.shown(unit), base)
            rows.append(cells)
    heading = f"{column.words}{f' in {name}' if name else ''}"
    heading += "" if metric.of_run else f", {whose}"
    heading += metric.remark
    return Section(heading, columns, rows)


def _label(row: str, kind: str, column: Column) -> str:
    """What a row is called beside a metric; empty where it has none."""
    if kind == "run":
        return row
    if kind == "floor":
        return _FLOOR if column.name == "forces" else ""
    return column.metric.trivial


def _ours(at: Mapping[Any, Any] | None, metric: str, shown: Shown, base: bool) -> list[Cell]:
    """Mean, number of seeds and difference of one condition."""
    n = 0 if at is None else int(at[f"{metric}_n"])
    if at is None or n == 0:
        return [DASH, Cell("0"), Cell("baseline") if base else DASH]
    size, _, digits = shown
    mean = number(at[f"{metric}_mean"], at[f"{metric}_half"], size, digits, DASH)
    count = Cell(f"{n}{'†' if at['defect'] else ''}", source=at["runs"])
    if base:
        return [mean, count, Cell("baseline")]
    return [mean, count, _change(at, metric, shown)]


def _change(at: Mapping[Any, Any], metric: str, shown: Shown) -> Cell:
    """What a row changes, and how sure that is."""
    if at["kind"] == "floor":
        return Cell()
    mean, low, high = (at[f"{metric}_{name}"] for name in CHANGES)
    found = Change(mean, low, high, int(at[f"{metric}_n_shared"]))
    if math.isnan(found.mean):
        return DASH
    relative = bool(at[f"{metric}_relative"])
    text = change_text(found, relative=relative, shown=shown)
    sure, look = bool(at[f"{metric}_sure"]), at[f"{metric}_at"]
    alone = at[f"{metric}_p"] < ALPHA  # false for NaN
    if alone and not sure and math.isnan(look) and at["kind"] == "run":
        text += OPEN
    if look > 0:
        text += f" ({look:.0f})"
    return Cell(f"= {text}" if at[f"{metric}_sign"] == EQUAL else text, bold=sure)


def times_page(times: TableTimes, conditions: Sequence[str]) -> Page:
    """What `bench time` shows of a comparison."""
    sweep = times.sweep
    return Page(sweep.name, sweep.title, [wall_time(times, conditions)], times.notes, [])


def wall_time(times: TableTimes, conditions: Sequence[str]) -> Section:
    """Each row's training step beside the baseline's."""
    rows = []
    for label in (run.label for run in times.sweep.runs):
        cells = [Cell(label)]
        for condition in conditions:
            found = times.row(label, condition)
            ratio = Cell(found.ratio.text, bold=found.ratio.excludes_one) if found.ratio else DASH
            base = label == times.sweep.baseline and found.ratio
            cells += [Cell("baseline") if base else ratio, Cell(found.ms or "—")]
            cells.append(Cell(found.run or "—"))
        rows.append(cells)
    columns = [("", "variant"), *((c, name) for c in conditions for name in ("×", "ms", "run"))]
    return Section("wall time of a training step", columns, rows)


def _size(table: Table) -> Section:
    frame = table.frame[(table.frame.part == MEAN) & (table.frame.kind == "run")]
    rows = []
    for row in frame.row.drop_duplicates():
        counts = frame[frame.row == row].parameters.dropna()
        rows.append([Cell(row), Cell(value=float(counts.iloc[0])) if len(counts) else DASH])
    return Section("size", [("", "variant"), ("", "parameters")], rows)
