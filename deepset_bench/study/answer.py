"""A study's question, answered in a sentence: what its changes do, beyond chance or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from deepset_bench.study.columns import Column
from deepset_bench.study.effect import Change, Effect, change_text
from deepset_bench.study.tables import Table, effect_of_row
from deepset_bench.sweep.studies import Study


@dataclass(frozen=True)
class Answer:
    """What the runs say under one condition.

    Attributes:
        condition: empty for the usual one.
        text: a sentence.
        source: name of the comparison that it is from.
    """

    condition: str
    text: str
    source: str


def answers(study: Study, tables: Sequence[Table], unit: str = "hartree") -> list[Answer]:
    """The answer under each condition, of the comparison that the study names or the first.

    Every effect named is beyond chance among the rows of the table (Holm, 5 %); per cent are of the
    baseline's error, means of log ratios over shared seeds with their 95 % t-intervals, on the
    frames that the table shows.

    Args:
        study: whose question.
        tables: its tables.
        unit: `hartree` or `mev`, of what is not in per cent.
    """
    named = study.answer[0] if study.answer else ""
    comparing = [t for t in tables if t.sweep.compares and named in ("", t.sweep.name)]
    done = [t for t in comparing if (t.runs.state == "done").any()]
    if not (done or comparing):
        return []
    table = (done or comparing)[0]
    rows = [run.label for run in table.sweep.runs if run.label != table.sweep.baseline]
    if len(study.answer) > 1:
        rows = [study.answer[1]]
    return [
        Answer(condition, _sentence(table, rows, condition, unit), table.sweep.name)
        for condition in table.conditions
    ]


def _sentence(table: Table, rows: Sequence[str], condition: str, unit: str) -> str:
    runs = table.runs[(table.runs.condition == condition) & (table.runs.state == "done")]
    base = table.sweep.baseline
    if runs.empty:
        return "Not known yet: no run is done."
    if runs[runs.label == base].empty:
        return f"Not known yet: {base}, which the others are compared with, has no run."
    found = {column.name: _effects(table, runs, rows, column) for column in table.columns}
    measured = [e for effects in found.values() for e in effects if e.n > 1]
    if not measured:
        return f"Not known yet: {_why_not(runs, rows, base, found)}; give several with --seeds 5."
    several = {name: [e for e in effects if e.n > 1] for name, effects in found.items()}
    clauses = [
        _clause(c, several[c.name], _sure(table, c, several[c.name], condition), unit)
        for c in table.columns
        if several[c.name]
    ]
    counts = sorted({e.n for e in measured})
    seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    said = [f"Against {base}: {'; '.join(clauses)} ({seeds} seeds)."]
    shown = runs[runs.label.isin([base, *rows])]
    return " ".join([*said, *filter(None, (_no_better(table, shown, c) for c in table.columns))])


def _no_better(table: Table, runs: pd.DataFrame, column: Column) -> str:
    """How many rows have learned nothing, by the mean over their seeds; empty if all have."""
    names = [f"{prefix}{column.name}_{table.part}" for prefix in ("", "trivial_")]
    if not column.metric.trivial or not {*names} <= {*runs.columns}:
        return ""
    known = runs.dropna(subset=names).groupby("label")[names]
    means = known.mean()[known.size() > 1]
    ahead = means[names[1]] - means[names[0]]
    bad = int(((ahead if column.metric.less_is_better else -ahead) <= 0).sum())
    if not bad:
        return ""
    than = "smaller" if column.metric.less_is_better else "larger"
    what = f"{_named(column)} {than} than that of knowing nothing ({column.metric.trivial})"
    if bad == len(means):
        return f"No row has a {what}." if bad > 2 else f"Neither row has a {what}."
    return f"{bad} of {len(means)} rows {'has' if bad == 1 else 'have'} no {what}."


def _why_not(
    runs: pd.DataFrame, rows: Sequence[str], base: str, found: Mapping[str, Sequence[Effect]]
) -> str:
    """Why no change has an interval."""
    others = runs[runs.label.isin(rows)]
    if others.empty:
        return f"no run is done of what is compared with {base}"
    if not any(e.n for effects in found.values() for e in effects):
        own = set(runs[runs.label == base].replicate)
        if not own & set(others.replicate):
            return f"no other row has a seed in common with {base}"
    return "one seed of each tells no difference from chance"


def _effects(table: Table, runs: pd.DataFrame, rows: Sequence[str], column: Column) -> list[Effect]:
    name, base = f"{column.name}_{table.part}", table.sweep.baseline
    return [effect_of_row(row, row, base, runs, name) for row in rows]


def _sure(table: Table, column: Column, effects: Sequence[Effect], condition: str) -> list[bool]:
    """Which are beyond chance: what the table sets in bold."""
    frame = table.frame
    here = frame[(frame.kind == "run") & (frame.condition == condition)]
    rows = here[here.part == table.part].set_index("row")
    return [bool(rows[f"{column.name}_sure"][one.name]) for one in effects]


def _clause(column: Column, effects: Sequence[Effect], sure: Sequence[bool], unit: str) -> str:
    """What the changes do to one metric."""
    what = _named(column)
    better = -1 if column.metric.less_is_better else 1
    lower, higher = ("lower", "raise") if better < 0 else ("raise", "lower")
    means = [e.estimate().mean for e in effects]
    each = list(zip(effects, means, sure, strict=True))
    helps = [e for e, mean, is_sure in each if is_sure and mean * better > 0]
    harms = [e for e, mean, is_sure in each if is_sure and mean * better < 0]
    largest = max(helps or harms or effects, key=lambda e: abs(e.estimate().mean))
    size, plain = _size(column, largest, unit), _size(column, largest, unit, unsigned=True)
    if not (helps or harms):
        return f"no change of the {what} is beyond chance (largest: {largest.name}, {size})"
    if len(effects) == 1:
        return f"{largest.name} {lower if helps else higher}s the {what} by {plain}"
    verb, those = (lower, helps) if helps else (higher, harms)
    who = f"{len(those)} of {len(effects)} changes {verb}{'s' if len(those) == 1 else ''}"
    most = f"{largest.name} most, by {plain}"
    if helps:
        return f"{who} the {what}, {most}"
    return f"no change is shown to {lower} the {what}; {who} it, {most}"


def _named(column: Column) -> str:
    usual = {"energy": "energy error", "forces": "force error"}
    return usual.get(column.name, column.words)


def _size(column: Column, one: Effect, unit: str, unsigned: bool = False) -> str:
    """With its interval; unsigned where the verb says which way it goes."""
    found = one.change()
    if unsigned and found.mean < 0:
        found = Change(-found.mean, -found.high, -found.low, found.n)
    text = change_text(found, relative=one.relative, shown=column.metric.shown(unit))
    return text.replace("+", "") if unsigned else text
