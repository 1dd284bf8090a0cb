"""Does a claim hold? Each claim of a study under each condition, by `verdict`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np
import pandas as pd

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.model.energy_reference import fit_reference
from deepset_bench.molecules.frames import Frames
from deepset_bench.scoring.table import metrics
from deepset_bench.study.claimed import EQUAL, SECONDS, Claim, ReferenceClaim, claimed
from deepset_bench.study.collect import Where, collect, under
from deepset_bench.study.columns import Column, added
from deepset_bench.study.gaps import LEFT_OUT, left_out
from deepset_bench.study.published import published
from deepset_bench.study.tables import by_seed
from deepset_bench.study.verdict import (
    HOLDS,
    SMALLER,
    UNDECIDED,
    Effect,
    Values,
    effect,
    judge,
    judge_equal,
)
from deepset_bench.sweep.studies import Study
from deepset_bench.units import HARTREE


def claims(study: Study, conditions: Sequence[str], where: Where) -> pd.DataFrame:
    """What a study claims, judged.

    Args:
        study: whose claims.
        conditions: each claim is judged under each; one without a name is the usual one.
        where: which runs.

    Returns:
        One row a claim and condition: `claim`, `condition`, `sweep` (whose runs decide it; empty
        where no run is needed), `evidence`, `verdict`, and `command`, what would decide it where
        it is undecided. `attrs[LEFT_OUT]` says which results were not used, a line each.

    Raises:
        UserError: a mistake in the study's files, overrides that do not compose, a data set that
            cannot be read.
    """
    wanted = claimed(study)
    named = dict.fromkeys(one.runs for one in wanted if isinstance(one, Claim))
    columns = {one.column for one in wanted if isinstance(one, Claim)}
    shown = [Column(one) for one in metrics() if one.column in columns]
    runs = {}
    for name in named:
        frame = collect(study.comparison(name, "claims"), conditions, where)
        frame = frame.reindex(columns=[*frame.columns, *(c for c in _NEEDED if c not in frame)])
        runs[name] = added(frame, shown)
    rows = []
    for one in wanted:
        if isinstance(one, ReferenceClaim):
            sets = catalogue.load(one.fitted_on), catalogue.load(one.applied_to)
            rows += [_of_reference(study, one, condition, *sets) for condition in conditions]
            continue
        for condition in conditions:
            if one.pairs:
                rows.append(_decide(study, one, runs[one.runs], condition, where))
            else:
                rows.append(_of_trivial(study, one, runs[one.runs], condition, where))
    found = pd.DataFrame(rows, columns=_COLUMNS)
    found.attrs[LEFT_OUT] = [line for frame in runs.values() for line in left_out(frame)]
    return found


_NEEDED = (SECONDS, "device", "result")
_COLUMNS = ["claim", "condition", "sweep", "evidence", "verdict", "command"]


def _decide(
    study: Study, claim: Claim, runs: pd.DataFrame, condition: str, where: Where
) -> dict[str, str]:
    here = runs[runs.condition == condition]
    timed = claim.column == SECONDS
    column = claim.column if timed else f"{claim.column}_mean"

    def values(label: str) -> pd.DataFrame:
        return here[(here.label == label) & (here.state == "done")]

    effects = []
    for variant, baseline in claim.pairs:
        ours, theirs = values(variant), values(baseline)
        if timed:  # on one kind of machine, or the difference is the machine's
            both = ours.merge(theirs, on=["replicate", "device"])
            ours, theirs = (frame[frame.replicate.isin(both.replicate)] for frame in (ours, theirs))
        pair = by_seed(ours, column), by_seed(theirs, column)
        name = f"{variant} against {baseline}"
        effects.append(effect(name, *pair, len(claim.pairs), relative=not timed))
    equal = claim.direction == EQUAL
    verdict = (
        judge_equal(effects, study.margin) if equal else judge(effects, claim.direction, claim.size)
    )
    evidence = _evidence(effects, *((1.0, "s") if timed else (100.0, "%")))
    if equal:
        evidence += f"; claimed within ± {study.margin:.0%}".replace("%", " %")
    elif claim.size is not None:
        change = claim.direction * claim.size
        many = f"×{1 + change:.0f}"  # 300 times reads better than 29,900 %
        evidence += f"; claimed {many if change > 10 else f'{_signed(100 * change)} %'}"
    return _row(study, claim, condition, evidence, verdict, effects, where)


def _of_trivial(
    study: Study, claim: Claim, runs: pd.DataFrame, condition: str, where: Where
) -> dict[str, str]:
    """Every run's error against a share of what the trivial prediction scores."""
    assert claim.size is not None
    here = runs[runs.condition == condition]
    labels = list(here.label.drop_duplicates())
    effects, fractions = [], []
    for label in labels:
        members = here[here.label == label]
        error = by_seed(members, f"{claim.column}_mean")
        trivial = by_seed(members, f"trivial_{claim.column}_mean")
        limit: Values = {seed: claim.size * value for seed, value in trivial.items()}
        effects.append(effect(label, error, limit, len(labels), relative=False))
        if error and all(trivial.values()):  # forces may all be zero
            fractions.append((float(np.mean([error[s] / trivial[s] for s in error])), label))
    evidence = "no run"
    if fractions:
        (low, least), (high, most) = min(fractions), max(fractions)
        nothing = (
            "predicting zero force"
            if claim.column.startswith("forces")
            else ("predicting the mean energy")
        )
        evidence = (
            f"{len(fractions)} of {len(labels)} variants: {100 * low:.0f} % ({least}) to "
            f"{100 * high:.0f} % ({most}) of {nothing} (n={_seeds(effects)}); "
            f"{'high' if claim.direction > 0 else 'low'} is "
            f"{'over' if claim.direction > 0 else 'below'} {100 * claim.size:.0f} %"
        )
    verdict = judge(effects, claim.direction, None)
    return _row(study, claim, condition, evidence, verdict, effects, where)


def _of_reference(
    study: Study, claim: ReferenceClaim, condition: str, fitted: Frames, unseen: Frames
) -> dict[str, str]:
    """The energy reference alone, fitted on one set and applied to another.

    Holds where it misses by over so many times the printed energy error, `smaller` else.
    """
    kind = experiment(under(condition)).config.reference.kind
    miss = float((fit_reference(kind, fitted)(unseen) - unseen.energy).mean())
    known = published(study).printed(claim.label, claim.table)
    if ("energy", "mean") not in known:
        where = f"{study.name}: claims.yaml: {claim.label}, table {claim.table}"
        raise UserError(f"{where}: published.yaml has no energy error of it")
    error = known["energy", "mean"]
    whose = f"{study.claimed_by}'s" if study.claimed_by else "the printed"
    return {
        "claim": claim.text,
        "condition": condition,
        "sweep": "",
        "evidence": f"reference={kind} of {claim.fitted_on}, without a model, misses the mean "
        f"energy of {claim.applied_to} by {miss / HARTREE:+.3f} Ha: {abs(miss) / error:.1f} times "
        f"{whose} {error / HARTREE:.4f} Ha on {claim.fitted_on}".replace("-0.", "−0."),
        "verdict": HOLDS if abs(miss) > claim.times * error else SMALLER,
        "command": "",
    }


def _row(
    study: Study,
    claim: Claim,
    condition: str,
    evidence: str,
    verdict: str,
    effects: Sequence[Effect],
    where: Where,
) -> dict[str, str]:
    # Twice the seeds where there are some: an interval shrinks with their root.
    seeds = max(3, 2 * min(e.usual.n for e in effects))
    file = study.comparison(claim.fill, "claims").file
    words = ["bench", "sweep", *file, *where.overrides, *under(condition)]
    command = shlex.join([*words, *where.dir, "--seeds", str(seeds)])
    return {
        "claim": claim.text,
        "condition": condition,
        "sweep": claim.fill,
        "evidence": evidence,
        "verdict": verdict,
        "command": command if verdict == UNDECIDED else "",
    }


def _evidence(effects: Sequence[Effect], scale: float, unit: str) -> str:
    there = sorted((e for e in effects if e.usual.n), key=lambda e: e.usual.mean)
    if not there:
        return "no seed with both runs"
    if len(effects) <= 2:
        return "; ".join(_one(e, scale, unit) for e in there)
    more = sum(e.usual.excludes_zero and e.usual.mean > 0 for e in there)
    less = sum(e.usual.excludes_zero and e.usual.mean < 0 for e in there)
    return (
        f"{len(there)} of {len(effects)} comparisons: {more} more, {less} less, "
        f"{len(there) - more - less} neither; from {_one(there[0], scale, unit)} "
        f"to {_one(there[-1], scale, unit)}"
    )


def _one(one: Effect, scale: float, unit: str) -> str:
    half = "" if one.usual.n < 2 else f" ± {scale * one.usual.half:,.1f}"
    mean = _signed(scale * one.usual.mean)
    return f"{one.name} {mean}{half} {unit} (n={one.usual.n})"


def _seeds(effects: Sequence[Effect]) -> str:
    counts = sorted({e.usual.n for e in effects if e.usual.n})
    return "-".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))


def _signed(value: float) -> str:
    return f"{value:+z,.1f}".replace("-", "−")
