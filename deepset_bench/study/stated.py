"""Was a claim stated before the first of the runs that decide it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from deepset_bench.stamps import before_its_start, rule_text
from deepset_bench.study.claimed import Claim
from deepset_bench.sweep.registered import hashes_of

BEFORE, AFTER = "before", "after"
STATED_RULE = (
    "Stated before: the study was registered (bench study register) before the first run of a "
    "verdict started, its claims, margin, metrics, conditions, rows and the files that say what "
    "these mean are as they were then, and seeds are counted from 0 without a gap. After: a run of "
    "the verdict started earlier, something of these was changed since, a seed before the last has "
    "no run, or the person who looks chose other frames (--part) or another condition."
)


def stated(results: Sequence[Mapping[str, Any]], decides: Mapping[str, Any]) -> str:
    """When the claim of a verdict was stated: BEFORE its runs or AFTER; empty without a run.

    Args:
        results: result.json of every run that the verdict is from.
        decides: of the study as it stands, see `registered.what_decides`.
    """
    if not results:
        return ""
    each = [before_its_start(result) for result in results]
    known = all(any(one["hash"] in hashes_of(decides, one["rule"]) for one in s) for s in each)
    return BEFORE if known else AFTER


def has_gap(claim: Claim, runs: pd.DataFrame) -> bool:
    """Whether a seed before the last of a row has no run: who looks may have chosen the others.

    Args:
        claim: about runs.
        runs: see `behind`. A run that diverged is there.
    """
    rows = {label for pair in claim.pairs for label in pair} or set(runs.label)
    ended = runs[runs.state.isin(("done", "diverged")) & runs.label.isin(rows)]
    for _, of in ended.groupby("label"):
        seeds = {one.seed for one in of.replicate if one.split is None}
        if len(seeds) <= max(seeds, default=-1):
            return True
    return False


def behind(claim: Claim, runs: pd.DataFrame) -> list[Mapping[str, Any]]:
    """result.json of the runs that the verdict on a claim is from.

    Args:
        claim: about runs.
        runs: those of its comparison under one condition, as `collect` has them.
    """
    done = runs[runs.state == "done"]
    used = set(zip(done.label, done.replicate, strict=True))
    if claim.pairs:  # of both of a pair, or of neither
        there, used = used, set()
        for pair in claim.pairs:
            for replicate in {which for _, which in there}:
                keys = {(label, replicate) for label in pair}
                used |= keys if keys <= there else set()
    chosen = [key in used for key in zip(done.label, done.replicate, strict=True)]
    return list(done.result[chosen])


def registrations(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What runs carry of registrations, a line for each of these, oldest first.

    Args:
        results: their result.json.
    """
    found = Counter(
        (one["time"], one["study"], one["hash"], rule_text(one["rule"]))
        for result in results
        for one in before_its_start(result)
    )
    return [
        f"{n} of {len(results)} runs started after {study} was registered on "
        f"{time[:16].replace('T', ' ')} UTC ({rule}; hash {digest})."
        for (time, study, digest, rule), n in sorted(found.items())
    ]
