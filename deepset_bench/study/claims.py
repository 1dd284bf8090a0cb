"""Does a claim hold? Each claim of a study under each condition, by `verdict`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.model.energy_reference import fit_reference
from deepset_bench.molecules.frames import Frames
from deepset_bench.study.boundary import Looks
from deepset_bench.study.claimed import Claim, ReferenceClaim, claimed
from deepset_bench.study.collect import Where, collect, under
from deepset_bench.study.columns import MEAN, Column, added, judged_on, of_runs
from deepset_bench.study.effect import NO_UNIT, Effect, Shown, effect
from deepset_bench.study.gaps import LEFT_OUT, lacking, left_out
from deepset_bench.study.looks import judge_at, looks_of, planned
from deepset_bench.study.needed import needed
from deepset_bench.study.published import published
from deepset_bench.study.stated import AFTER, behind, has_gap, stated
from deepset_bench.study.tables import by_seed, effect_of_row
from deepset_bench.study.time_effects import timed_effect
from deepset_bench.study.time_tables import time_command
from deepset_bench.study.times import timings
from deepset_bench.study.verdict import (
    EQUAL,
    HOLDS,
    LESS,
    MORE,
    REVERSED,
    SMALLER,
    UNDECIDED,
    YES,
    Claimed,
    Judge,
    Judged,
    judge,
    margin_text,
    sign,
)
from deepset_bench.sweep.registered import what_decides
from deepset_bench.sweep.studies import Study
from deepset_bench.units import UNITS

_NEEDED = ("result",)
_COLUMNS = ["claim", "condition", "sweep", "part", "evidence", "direction", "size", "matters",
            "at", "looks", "planned", "verdict", "stated", "needs", "command"]  # fmt: skip


def claims(
    study: Study,
    conditions: Sequence[str],
    where: Where,
    part: str | None = None,
    looks: Looks = (),
    unit: str = "hartree",
) -> pd.DataFrame:
    """What a study claims, judged.

    Args:
        study: whose claims.
        conditions: each claim is judged under each; one without a name is the usual one.
        where: which runs.
        part: of the frames that errors are of, see `columns.PARTS`; None: see `judged_on`.
        looks: numbers of seeds at which one looks whether more are needed; none: those of the
            stopping rule that the runs carry, if they carry one.
        unit: `hartree` or `mev`, of what is not in per cent.

    Returns:
        One row a claim and condition: `claim`, `condition`, `sweep` (whose runs decide it; empty
        where no run is needed), `part`, `evidence`, `direction`, `size`, `matters` and `at` as
        `Judged` has them, `looks` (numbers of seeds, where there were several), `planned` (the
        number that was registered, where there are more or fewer; else 0), `verdict` (its word),
        `stated` (see there; of frames or under a condition that the study does not judge by
        itself, AFTER) and, where it is undecided,
        `needs` and `command`: what it would take, and what a person types for that.
        `attrs[LEFT_OUT]` says which results were not used, a line each.

    Raises:
        UserError: a mistake in the study's files, overrides that do not compose, a data set that
            cannot be read.
    """
    wanted = claimed(study)
    of_runs_alone = [one for one in wanted if isinstance(one, Claim)]
    named = dict.fromkeys(one.runs for one in of_runs_alone)
    shown = list({one.column.name: one.column for one in of_runs_alone if one.column}.values())
    runs = {}
    for name in named:
        frame = collect(study.comparison(name, "claims"), conditions, where)
        frame = frame.reindex(columns=[*frame.columns, *(c for c in _NEEDED if c not in frame)])
        runs[name] = added(frame, shown)
    decides = what_decides(study, where.overrides)
    rows: list[dict[str, object]] = []
    for one in wanted:
        if isinstance(one, ReferenceClaim):
            sets = catalogue.load(one.fitted_on), catalogue.load(one.applied_to)
            rows += [_of_reference(study, one, each, *sets, unit) for each in conditions]
            continue
        for condition in conditions:
            here = runs[one.runs]
            here = here[here.condition == condition]
            rule: Looks = ()
            fixed = 0
            if one.column is None:
                on, found, when = "", _timed(study, one, condition, where), ""
            else:
                on = part or judged_on(here)
                results = behind(one, here)
                rule, when = looks or looks_of(results), stated(results, decides)
                chosen = on != judged_on(here) or condition not in (study.conditions or ("",))
                if chosen or has_gap(one, here):  # by who looks
                    when = AFTER if when else ""
                judged = judge_at(rule) if rule else judge
                if one.pairs:
                    found = _decide(study, one, one.column, here, on, judged, unit)
                else:
                    found = _of_trivial(study, one, one.column, here, on, judged)
                fixed = planned(results)
                fixed = fixed if {e.n for e in found[-1]} - {fixed} else 0
            row = _row(study, one, condition, where, here, rule, *found)
            if reason := _unmeasured(study, one, here, found[-1], where):
                row |= {"evidence": reason[0], "needs": "", "command": reason[1]}
            looked = ", ".join(map(str, rule))
            rows.append({**row, "part": on, "stated": when, "looks": looked, "planned": fixed})
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table.attrs[LEFT_OUT] = [line for frame in runs.values() for line in left_out(frame)]
    if any(one.column is None for one in of_runs_alone):
        table.attrs[LEFT_OUT] += timings(where.runs)[1]
    return table


def _unmeasured(
    study: Study, claim: Claim, runs: pd.DataFrame, effects: Sequence[Effect], where: Where
) -> tuple[str, str] | None:
    """Why no effect has a number though the runs of some are there, and the command that helps.

    No command helps where the metric has none on these frames. None where runs are what is missing.
    """
    done = runs[runs.state == "done"]
    column = claim.column
    if column is None or any(e.n for e in effects):
        return None
    if done.empty or not behind(claim, runs):
        return None
    each = [one.member for one in of_runs(done, [column.metric]) if one.member]
    name = column.metric.name
    if each and column.member not in each:
        return f"{name} is several numbers; take one, as in {name}.{each[0]}", ""
    missing = lacking(study.comparison(claim.runs, "claims"), done, [column.metric], where)
    return missing[0] if missing else (f"no run has a number of {name} on these frames", "")


def _decide(
    study: Study,
    claim: Claim,
    column: Column,
    runs: pd.DataFrame,
    part: str,
    judged: Judge,
    unit: str,
) -> tuple[str, Judged, list[Effect]]:
    name = f"{column.name}_{part}"
    effects = [effect_of_row(" against ".join(pair), *pair, runs, name) for pair in claim.pairs]
    verdict = judged(effects, _of_effects(claim), study.margin)
    shown = column.metric.shown(unit)
    return _evidence(effects, verdict, claim.claimed, study.margin, shown), verdict, effects


def _timed(
    study: Study, claim: Claim, condition: str, where: Where
) -> tuple[str, Judged, list[Effect]]:
    """Of wall time, which `bench time` measured."""
    sweep = study.comparison(claim.runs, "claims")
    effects = [timed_effect(sweep, *pair, condition, where) for pair in claim.pairs]
    verdict = replace(judge(effects, claim.claimed, study.margin), at=0)  # of no seeds
    evidence = _evidence(effects, verdict, claim.claimed, study.margin)
    return evidence if any(e.n for e in effects) else "not measured", verdict, effects


def _of_trivial(
    study: Study, claim: Claim, column: Column, runs: pd.DataFrame, part: str, judged: Judge
) -> tuple[str, Judged, list[Effect]]:
    """Every run's error against a share of what the trivial prediction scores."""
    way, share = claim.claimed.direction, claim.claimed.size or 0.0
    labels = list(runs.label.drop_duplicates())
    effects, fractions = [], []
    for label in labels:
        members = runs[runs.label == label]
        error = by_seed(members, f"{column.name}_{part}")
        trivial = by_seed(members, f"trivial_{column.name}_{part}")
        limit = {seed: share * value for seed, value in trivial.items()}
        effects.append(effect(label, error, limit))
        both = [(error[s], trivial[s]) for s in error.keys() & trivial.keys()]
        if both and all(limit for _, limit in both):  # forces may all be zero
            fractions.append((float(np.mean([e / limit for e, limit in both])), label))
    verdict = judged(effects, _of_effects(claim), study.margin)
    evidence = "no run"
    if fractions:
        (low, least), (high, most) = min(fractions), max(fractions)
        evidence = (
            f"{_way(way)} than {100 * share:.0f} %: {verdict.direction}; {len(fractions)} of "
            f"{len(labels)} variants: {100 * low:.0f} % ({least}) to {100 * high:.0f} % ({most}) "
            f"of predicting {column.metric.trivial} (n={_seeds(effects)})"
        )
    return evidence, verdict, effects


def _of_reference(
    study: Study,
    claim: ReferenceClaim,
    condition: str,
    fitted: Frames,
    unseen: Frames,
    unit: str,
) -> dict[str, object]:
    """The energy reference alone, fitted on one set and applied to another.

    Holds where it misses by over so many times the printed energy error, `smaller` else.
    """
    kind = experiment(under(condition)).config.reference.kind
    miss = float((fit_reference(kind, fitted)(unseen) - unseen.energy).mean())
    known = published(study).printed(claim.label, claim.table)
    if ("energy", MEAN) not in known:
        where = f"{study.name}: claims.yaml: {claim.label}, table {claim.table}"
        raise UserError(f"{where}: published.yaml has no energy error of it")
    error = known["energy", MEAN]
    if not error:
        raise UserError(f"{study.name}: published.yaml: {claim.label}: its energy error is 0")
    size, name, digits = UNITS[unit]["energy"]
    missed = f"{miss / size:+.{digits - 1}f} {name}".replace("-", "−")
    printed = f"{error / size:.{digits - 1}f} {name}"
    whose = f"{study.claimed_by}'s" if study.claimed_by else "the printed"
    return {
        "claim": claim.text,
        "condition": condition,
        "sweep": "",
        "part": "",
        "direction": "",
        "size": "",
        "matters": "",
        "at": 0,
        "looks": "",
        "planned": 0,
        "evidence": f"reference={kind} of {claim.fitted_on}, without a model, misses the mean "
        f"energy of {claim.applied_to} by {missed}: {abs(miss) / error:.1f} times "
        f"{whose} {printed} on {claim.fitted_on}",
        "verdict": HOLDS if abs(miss) > claim.times * error else SMALLER,
        "stated": "",
        "needs": "",
        "command": "",
    }


def _row(
    study: Study,
    claim: Claim,
    condition: str,
    where: Where,
    runs: pd.DataFrame,
    rule: Looks,
    evidence: str,
    verdict: Judged,
    effects: Sequence[Effect],
) -> dict[str, object]:
    needs, words = "", list[str]()
    fill = study.comparison(claim.fill, "claims")
    if verdict.word != UNDECIDED:
        pass
    elif claim.column is None:
        words = time_command(fill, [condition], where, tuple(study.conditions))
        # Twice the rounds where there are some: an interval shrinks with their root.
        more = 2 * min(e.n for e in effects)
        words += ["--rounds", str(more)] if more else []
    else:
        there = runs if claim.fill == claim.runs else collect(fill, [condition], where)
        unscored = _unscored(claim, runs, effects)
        takes = needed(effects, _of_effects(claim), study.margin, fill, there, unscored)
        words = ["bench", "sweep", *fill.file, *where.overrides, *under(condition), *where.dir]
        words += ["--until", "decided"] if rule else ["--seeds", str(takes.seeds)]
        needs = str(takes)
        if rule and min((e.n for e in effects), default=0) >= rule[-1]:
            needs, words = f"no more; the look at {rule[-1]} seeds was the last", []
        elif rule and takes.seeds > rule[-1]:
            needs += f", but the last look is at {rule[-1]}"
    return {
        "claim": claim.text,
        "condition": condition,
        "sweep": claim.fill,
        "evidence": evidence,
        "direction": verdict.direction,
        "size": verdict.size,
        "matters": verdict.matters,
        "at": verdict.at,
        "verdict": verdict.word,
        "needs": needs,
        "command": shlex.join(words),
    }


def _unscored(claim: Claim, runs: pd.DataFrame, effects: Sequence[Effect]) -> int:
    """Seeds of the rows that a claim compares which are done and lack what is judged."""
    done = runs[runs.state == "done"].groupby("label").size()
    labels = {label for pair in claim.pairs for label in pair} or set(runs.label)
    least = min((int(done.get(label, 0)) for label in labels), default=0)
    return max(least - min((one.n for one in effects), default=0), 0)


def _of_effects(claim: Claim) -> Claimed:
    """What a claim says of its effects: of a share, that they are on one side of it."""
    return claim.claimed if claim.pairs else Claimed(claim.claimed.direction)


def _evidence(
    effects: Sequence[Effect],
    verdict: Judged,
    claimed: Claimed,
    margin: float,
    shown: Shown = NO_UNIT,
) -> str:
    """The answers to the three questions, and what they are from; `shown` is of differences."""
    there = [e for e in effects if e.n]
    if not there:
        return "no seed with both runs"
    earlier = 0 < verdict.at < min(e.n for e in effects)  # of several looks
    direction = f"{verdict.direction} (at {verdict.at} seeds)" if earlier else verdict.direction
    answers = [f"{_way(claimed.direction)}: {direction}"]
    # Of a claim whose direction is open or reversed, only what is decided is worth a word.
    told = (verdict.direction == YES, verdict.direction != REVERSED)
    if claimed.size is not None and told[verdict.size != UNDECIDED]:
        answers.append(f"{_claimed_size(claimed)}: {verdict.size}")
    if verdict.matters and told[verdict.matters != UNDECIDED]:
        answers.append(f"beyond the margin of {margin_text(margin)}: {verdict.matters}")
    if claimed.direction == 0:
        answers = [f"equal within ± {margin_text(margin)}: {direction}"]
    if len(effects) <= 2:
        measured = "; ".join(e.text(shown) for e in there)
    else:
        signs = [sign(e, margin) for e in there]
        counts: Mapping[str, int] = {s: signs.count(s) for s in (MORE, LESS, EQUAL, UNDECIDED)}
        each = ", ".join(f"{n} {s}" for s, n in counts.items() if n)
        ends = sorted(there, key=lambda e: e.estimate().mean)
        measured = (
            f"{len(there)} of {len(effects)} comparisons: {each}; from {ends[0].text(shown)} "
            f"to {ends[-1].text(shown)}"
        )
    return "; ".join([*answers, measured])


def _way(direction: int) -> str:
    return {1: MORE, -1: LESS, 0: EQUAL}[direction]


def _claimed_size(claimed: Claimed) -> str:
    size = claimed.size or 0.0
    # 300 times reads better than 29,900 %.
    text = f"×{1 + size:.0f}" if claimed.direction * size > 10 else f"{100 * size:.4g} %"
    return f"{'at least ' * claimed.at_least}{text}"


def _seeds(effects: Sequence[Effect]) -> str:
    counts = sorted({e.n for e in effects if e.n})
    return "-".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
