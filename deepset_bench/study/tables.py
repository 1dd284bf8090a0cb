"""A sweep's runs -> the one frame that every format is rendered from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepset_bench.replicate import Replicate
from deepset_bench.scoring.table import Metric, chosen
from deepset_bench.study import over_frames
from deepset_bench.study.boundary import Looks
from deepset_bench.study.collect import Where, collect, conditions_of, named
from deepset_bench.study.columns import (
    HELD_OUT,
    MEAN,
    OOD,
    PARTS,
    Column,
    added,
    judged_on,
    of_runs,
    usual,
)
from deepset_bench.study.draws import independent
from deepset_bench.study.effect import Effect, effect
from deepset_bench.study.gaps import gaps, lacking
from deepset_bench.study.looks import decide, looks_of, planned
from deepset_bench.study.published import Published, published
from deepset_bench.study.statistics import Estimate, equality_p_value, estimate, holm
from deepset_bench.study.time_tables import RowTime, TableTimes, times_of
from deepset_bench.study.verdict import ALPHA, EQUAL, LESS, MORE, UNDECIDED, margin_text, sign
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.studies import USUAL_MARGIN, Study

_Run = Mapping[Any, Any]
"""A row of `collect`'s frame."""
NUMBERS = ("printed", "mean", "half")
"""What a table holds of each metric in its unit."""
CHANGES = ("change", "change_low", "change_high")
"""What it holds of the change against the baseline."""
OPEN = "°"
"""Marks a change that is beyond chance by itself, but not among the rows of its table."""
_OF_FLOOR = "forces"
"""The column that has a floor."""


@dataclass(frozen=True)
class Table:
    """The table of a comparison.

    Attributes:
        frame: one row for each `row`, `part` and `condition`. `kind` is `run`, `trivial` (the mean
            energy of the training frames, zero force) or `floor` (true forces against the labels).
            `n` seeds in the folder `runs`; `defect`; `parameters`; the numbers of `RowTime`; for
            the METRIC of each column and in its unit, such as eV, METRIC_printed, METRIC_mean and
            METRIC_half (its 95 % t-interval) of METRIC_n seeds. Against the baseline, paired over
            METRIC_n_shared seeds: METRIC_change with the ends of its 95 % interval,
            METRIC_change_low and METRIC_change_high, fractions of the baseline where
            METRIC_relative and differences in the unit else; METRIC_p of no change and
            METRIC_p_holm among the rows of the table; METRIC_sign, see `verdict.sign`, and
            METRIC_sure, whether it is a change beyond chance among the rows of the table.
            METRIC_at: seeds at the look that decided METRIC_sign, 0 where it is open, NaN where
            the number of seeds was fixed. NaN: nothing printed, no run, or no interval from one
            seed.
        part: of the frames that is shown unless another is asked for.
        columns: what is shown of the runs.
        runs: `collect`'s frame, with the folder of every run that the numbers are from.
        notes: what a reader has to know, a line each.
        missing: what stands in the way of a run, and the command that fills the gap.
        times: of training steps.
    """

    sweep: Comparison
    conditions: list[str]
    frame: pd.DataFrame
    part: str
    columns: list[Column]
    runs: pd.DataFrame
    notes: list[str]
    missing: list[tuple[str, str]]
    times: TableTimes


def build(
    sweep: Comparison,
    conditions: Sequence[str],
    where: Where,
    metrics: Sequence[Metric] = (),
    printed: Published | None = None,
    margin: float = USUAL_MARGIN,
    looks: Looks = (),
    together: Sequence[str] = (),
) -> Table:
    """The table of a comparison from the run folders.

    Args:
        sweep: whose.
        conditions: that are shown.
        where: which runs.
        metrics: to show; none: the usual ones.
        printed: what a publication prints of the runs, as means over its test and validation
            frames: so are ours beside them.
        margin: up to this fraction of the baseline's error a difference is none that matters.
        looks: numbers of seeds at which one looks whether more are needed; none: those of the
            stopping rule that the runs carry, if they carry one.
        together: conditions of its study, see `time_command`.

    Raises:
        UserError: overrides that do not compose.
    """
    shown = conditions_of(sweep, conditions)
    runs = collect(sweep, shown, where)
    runs = runs.reindex(columns=[*runs.columns, *(c for c in _NEEDED if c not in runs)])
    columns = of_runs(runs, metrics) if metrics else usual()
    runs = added(runs, [*usual(), *columns])
    known = printed if printed and printed.of_these_data(where.overrides) else Published()
    done = [run for run in runs.to_dict("records") if run["state"] == "done"]
    times = times_of(sweep, shown, where, together)
    rows = []
    for part in PARTS:
        for condition in shown:
            here = [run for run in done if run["condition"] == condition]
            found = _rows(sweep, here, columns, condition, part, known, times)
            rule = looks or looks_of([run["result"] for run in here])
            _judge_together(found, sweep.baseline, columns, margin, rule)
            rows += found
    missing = [*gaps(sweep, runs, shown, where), *lacking(sweep, runs, metrics, where)]
    frame = pd.DataFrame(rows)
    frame = frame.drop(columns=[f"{column.name}_effect" for column in columns])
    any_printed = frame[[f"{column.name}_printed" for column in columns]].notna().any(axis=None)
    on = MEAN if any_printed else judged_on(runs)
    notes = [*_rules(sweep, frame, columns, margin), *_notes(sweep, runs, columns), *times.notes]
    return Table(sweep, shown, frame, on, columns, runs, notes, missing, times)


def of_study(
    study: Study,
    one: Comparison,
    conditions: Sequence[str],
    where: Where,
    metrics: Sequence[Metric] = (),
    looks: Looks = (),
) -> Table:
    """The table of a comparison of a study, by what the study says of all; see `build`.

    Args:
        study: whose.
        one: of its comparisons.
        conditions: that are shown.
        where: which runs.
        metrics: to show; none: those of the study.
        looks: see `build`.

    Raises:
        UserError: overrides that do not compose, a mistake in the study's files.
    """
    metrics = metrics or chosen(study.metrics)
    printed, together = published(study), tuple(study.conditions)
    return build(one, conditions, where, metrics, printed, study.margin, looks, together)


def _judge_together(
    rows: Sequence[dict[str, Any]],
    baseline: str,
    columns: Sequence[Column],
    margin: float,
    looks: Looks,
) -> None:
    """Add METRIC_p_holm, METRIC_sign, METRIC_sure and METRIC_at to the rows of a condition.

    With a fixed number of seeds the rows are tests of one family, for each metric, of no change and
    of equality; where it depends on what looks have found, all that is looked at are.
    """
    compared = [row for row in rows if row["kind"] == "run" and row["row"] != baseline]
    for column in columns:
        name = column.name
        adjusted = holm([row[f"{name}_p"] for row in compared])
        for row in rows:
            row[f"{name}_sign"] = sign(row[f"{name}_effect"], margin)
            row |= {f"{name}_p_holm": math.nan, f"{name}_sure": False, f"{name}_at": math.nan}
        alike = holm([_equality(row[f"{name}_effect"], margin) for row in compared])
        for row, p, equal in zip(compared, adjusted, alike, strict=True):
            row |= {f"{name}_p_holm": p, f"{name}_sure": p < ALPHA}  # false for NaN
            if row[f"{name}_sign"] == EQUAL and not equal < ALPHA:
                row[f"{name}_sign"] = UNDECIDED
    if looks:
        each = [(row, column.name) for row in compared for column in columns]
        found = decide([row[f"{name}_effect"] for row, name in each], looks, margin)
        for (row, name), one in zip(each, found, strict=True):
            row |= {f"{name}_sign": one.word, f"{name}_at": one.at, f"{name}_p_holm": math.nan}
            row[f"{name}_sure"] = one.word in (LESS, MORE)


def _equality(one: Effect, margin: float) -> float:
    """The p-value of a change beyond the margin; NaN of a difference, which has none."""
    return equality_p_value(one.changes, math.log1p(margin)) if one.relative else math.nan


_NEEDED = ("defect", "parameters", "floor", "device")
_NAMED = 4
"""Rows that a note names; of more it says how many."""


def by_seed(runs: pd.DataFrame, column: str) -> dict[Replicate, float]:
    """Replicate -> value, of the runs that are done and have one."""
    each = zip(runs.state, runs.replicate, runs[column], strict=True)
    return _numbered((n, x) for state, n, x in each if state == "done")


def effect_of_row(name: str, row: str, baseline: str, runs: pd.DataFrame, column: str) -> Effect:
    """What one row changes of another, over the seeds that both have.

    Args:
        name: of the effect.
        row: label of the one.
        baseline: label of the other.
        runs: from `collect`, of one condition.
        column: of these.
    """
    pair = (by_seed(runs[runs.label == label], column) for label in (row, baseline))
    return effect(name, *pair)


def _numbered(values: Iterable[tuple[Replicate, float | None]]) -> dict[Replicate, float]:
    """Those that are numbers."""
    there = ((n, float(x)) for n, x in values if x is not None)
    return {n: x for n, x in there if not math.isnan(x)}


def _rows(
    sweep: Comparison,
    done: Sequence[_Run],
    columns: Sequence[Column],
    condition: str,
    part: str,
    printed: Published,
    times: TableTimes,
) -> list[dict[str, Any]]:
    members: dict[str, list[_Run]] = {}
    for run in done:
        members.setdefault(run["label"], []).append(run)
    baseline = members.get(sweep.baseline, [])
    # Labels may differ between the rows of a sweep: the trivial baseline is measured on the
    # baseline's, where there is one.
    typical = list({run["replicate"]: run for run in reversed(baseline or done)}.values())[::-1]

    def numbers(runs: Sequence[_Run], column: str) -> dict[Replicate, float]:
        return _numbered((run["replicate"], run[column]) for run in runs)

    compared = {c.name: numbers(baseline, f"{c.name}_{part}") for c in columns}

    def row(name: str, kind: str, runs: Sequence[_Run], prefix: str = "") -> dict[str, Any]:
        content: dict[str, Any] = {
            "table": sweep.name,
            "row": name,
            "kind": kind,
            "part": part,
            "condition": condition,
            "n": len(runs),
            "runs": str(runs[0]["folder"].parent) if runs else "",
            "defect": any(run["defect"] != "" for run in runs),
            "parameters": runs[0]["parameters"] if runs and kind == "run" else math.nan,
        }
        content |= (times.row(name, condition) if kind == "run" else RowTime()).numbers
        for column in columns:
            values = numbers(runs, f"{prefix}{column.name}_{part}")
            is_base = kind == "run" and name == sweep.baseline
            against = effect(name, values, {} if is_base else compared[column.name])
            content |= _numbers(column.name, estimate(independent(values)))
            content |= _changes(column.name, against)
            content |= {f"{column.name}_n": len(values), f"{column.name}_n_shared": against.n}
        return content

    rows = []
    for label in (run.label for run in sweep.runs):
        content = row(label, "run", members.get(label, []))
        known = printed.printed(label, sweep.table)
        for column in columns:
            content[f"{column.name}_printed"] = known.get((column.name, part), math.nan)
        rows.append(content)
    rows.append(row("trivial", "trivial", typical, "trivial_"))
    # result.json has the floor of test and val together.
    floor = numbers(typical, "floor") if part == MEAN else {}
    if floor and any(column.name == _OF_FLOOR for column in columns):
        content = row("floor", "floor", [])
        content |= {"n": len(floor), f"{_OF_FLOOR}_n": len(floor)}
        content |= {key: rows[-1][key] for key in ("defect", "runs")}
        rows.append(content | _numbers(_OF_FLOOR, estimate(independent(floor))))
    return rows


def _numbers(metric: str, value: Estimate) -> dict[str, float]:
    numbers = (math.nan, value.mean, value.half)
    return {f"{metric}_{name}": number for name, number in zip(NUMBERS, numbers, strict=True)}


def _changes(metric: str, against: Effect) -> dict[str, object]:
    found = against.change()
    ends = zip(CHANGES, (found.mean, found.low, found.high), strict=True)
    return {
        **{f"{metric}_{name}": number for name, number in ends},
        f"{metric}_relative": against.relative,
        f"{metric}_p": against.p,
        f"{metric}_effect": against,
    }


def _rules(
    sweep: Comparison, frame: pd.DataFrame, columns: Sequence[Column], margin: float
) -> list[str]:
    """What the numbers are, and by which rule a change is beyond chance."""
    what = dict.fromkeys(column.metric.statistic for column in columns)
    note = (
        f"{', '.join(what)}: mean over n seeds, ± half its 95 % t-interval. Δ: change against "
        f"{sweep.baseline}, the mean of log ratios over shared seeds, with its 95 % t-interval."
    )
    compared = frame[frame.kind != "floor"]
    if not all(compared[f"{column.name}_relative"].all() for column in columns):
        note += " Where a value is zero or less, Δ is no ratio but the mean difference, without %."
    equal = f"=: equal within {margin_text(margin)} (two one-sided tests"
    rows = frame[(frame.kind == "run") & (frame.row != sweep.baseline)]
    looked = rows.groupby("condition", sort=False)[f"{columns[0].name}_at"].apply(
        lambda at: at.notna().any()
    )
    fixed = (
        f"Bold: beyond chance among the rows of the table (Holm, 5 %); {OPEN}: by itself alone; "
        f"{equal}, Holm, 5 %)."
    )
    some = (
        "Seeds were added until looks had decided. Bold: beyond chance among all rows and metrics "
        f"of the table over all looks (5 %); {equal}, 5 %, too); (n): decided at the look at n "
        "seeds. Intervals are those of a fixed number of seeds."
    )
    if not looked.any():
        return [f"{note} {fixed}"]
    if looked.all():
        return [f"{note} {some}"]
    return [
        note,
        *(f"{condition}: {some if there else fixed}" for condition, there in looked.items()),
    ]


def of_frames(table: Table, parts: Sequence[str]) -> list[str]:
    """What to know of the frames that errors are of.

    Args:
        table: whose errors.
        parts: of `columns.PARTS` that are shown.
    """
    notes = []
    if OOD in parts:
        notes.append(f"{OOD}: frames that the task asks about, the same for every seed.")
    if HELD_OUT in parts:
        notes.append(over_frames.note(table.sweep, table.runs))
    if list(parts) == [MEAN] and judged_on(table.runs) == MEAN:
        done = table.runs[table.runs.state == "done"]
        there = done[f"{usual()[0].name}_{HELD_OUT}"].notna()
        if there.any():
            lack = f"{len(there) - there.sum()} of {len(there)} runs"
            notes.append(
                f"{lack} not scored on all held-out frames, so that errors are not of these."
            )
    return notes


def _notes(sweep: Comparison, runs: pd.DataFrame, columns: Sequence[Column]) -> list[str]:
    done = runs[runs.state == "done"]
    notes = []
    notes += _of_splits(done)
    for condition, group in done.groupby("condition"):
        fixed = planned(group.result)
        if fixed and any(len(of) != fixed for _, of in group.groupby("label")):
            before = f"{condition!s}: " if condition else ""
            notes.append(
                f"{before}{fixed} seeds a row were registered, and some have more or fewer. What "
                "is said of them now is of a look that was not registered."
            )
    of_others = {c.metric.words: c.metric.variant.summary for c in columns if not c.usual}
    notes += [f"{words}: {summary}" for words, summary in of_others.items() if summary]
    # A finding is of a whole data set: one for each kind of labels, in the words most runs have.
    findings = done[done.defect != ""].groupby("condition").defect
    notes += [f"{f'† {name}'.rstrip()}: {lines.mode()[0]}." for name, lines in findings]
    for condition, group in done.groupby("condition"):
        seeds = set(group[group.label == sweep.baseline].replicate)
        for label, members in group.groupby("label", sort=False):
            own = set(members.replicate)
            if seeds and own - seeds:
                shared = f"{len(own & seeds)} of its {len(own)} seeds"
                who = named(label, condition)
                notes.append(f"{who}: Δ is over {shared}; {sweep.baseline} has no others.")
        column = f"trivial_forces_{MEAN}"
        of_baseline = by_seed(group[group.label == sweep.baseline], column)
        others = [
            label
            for label, members in group.groupby("label", sort=False)
            for seed, value in by_seed(members, column).items()
            if not math.isclose(value, of_baseline.get(seed, value), rel_tol=1e-6)
        ]
        if others:
            rows = list(dict.fromkeys(map(str, others)))
            whose = ", ".join(rows) if len(rows) <= _NAMED else f"{len(rows)} rows"
            notes.append(
                f"{whose}: evaluated on other labels "
                f"than the baseline ({sweep.baseline}), whose labels the rows in italics use."
            )
    return notes


def _of_splits(done: pd.DataFrame) -> list[str]:
    """What to know where several runs of a row share their split."""
    each = [
        (len(splits), splits.nunique())
        for _, splits in done.assign(split=[one.drawn_by for one in done.replicate])
        .groupby(["label", "condition"])
        .split
    ]
    notes = []
    if any(1 < splits < runs for runs, splits in each):
        notes.append(
            "Some runs share their split. Those of one split count as one value, their mean, so "
            "that intervals are over splits."
        )
    if any(splits == 1 < runs for runs, splits in each):
        notes.append(
            "All runs of a row are of one split: intervals do not show what another would change."
        )
    return notes
