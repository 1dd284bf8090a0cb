"""What keeps a sweep from being whole, and the commands that fill the gaps, in few lines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np
import pandas as pd

from deepset_bench import registry
from deepset_bench.reading import DAMAGED
from deepset_bench.replicate import overrides
from deepset_bench.replicate import words as called
from deepset_bench.scoring.table import Metric
from deepset_bench.study.collect import ANOTHER, IMPOSSIBLE, NOT_INSTALLED, Where, named, under
from deepset_bench.study.columns import is_lacking
from deepset_bench.sweep.comparisons import Comparison

_ENDED = ("diverged", ANOTHER)
"""States that stay as they are unless the run is begun again."""

LEFT_OUT = "left out"
"""Under which frames hold `left_out` among their attributes."""
_MANY = 3
"""Variants that were not run under a condition: more are one line, the whole sweep's command."""


def gaps(
    sweep: Comparison, runs: pd.DataFrame, conditions: Sequence[str], where: Where
) -> list[tuple[str, str]]:
    """What stands in the way, and the command that fills the gap; empty where none can.

    A sweep does not repeat what is done, so that its own command fills any number of gaps.

    Args:
        sweep: whose runs they are.
        runs: from `collect`.
        conditions: that are shown.
        where: which runs.
    """
    found, rest = [], runs[runs.state != "done"]
    possible = runs.state != IMPOSSIBLE
    if not possible.any():
        return [(f"{sweep.name}: left out, no run of it can be so ({runs.reason.iloc[0]})", "")]
    begun = any(runs[possible].state != "not run")
    absent = {c: rest[(rest.condition == c) & (rest.state == "not run")] for c in conditions}
    sizes = runs[possible].groupby("condition").size()
    whole = [c for c, those in absent.items() if 0 < len(those) == sizes[c]]
    many = [c for c, those in absent.items() if c not in whole and those.label.nunique() > _MANY]
    several = [
        (whole, " and ".join(whole)),
        *(([c], named(f"{len(absent[c])} of {sizes[c]} runs", c)) for c in many),
    ]
    for those, what in several:
        if those:
            words = ["bench", "sweep", *sweep.file, *where.overrides]
            words += [] if sweep.condition else under(",".join(those))
            what = f"{what}: not run" if what else "not run"
            own = registry.to_type(v for c in those for v in where.variants(sweep.runs, c))
            seeds = overrides(one for c in those for one in absent[c].replicate)
            if not begun:
                seeds = [["--seeds", "3"]]  # one has no interval, and two have a useless one
            each = [shlex.join([*words, *where.dir, *chosen, *own]) for chosen in seeds]
            found.append((what, " && ".join(each)))
            rest = rest.drop([index for c in those for index in absent[c].index])
    for (label, condition, state, reason), group in rest.groupby(
        ["label", "condition", "state", "reason"], sort=False
    ):
        run = next(run for run in sweep.runs if run.label == label)
        what = f"{named(label, condition)}, {called(group.replicate)}: {state}"
        command = where.command(run, str(condition), list(group.replicate), again=state in _ENDED)
        if state in (IMPOSSIBLE, NOT_INSTALLED):
            what, command = f"{named(label, condition)}: {state}", ""
        found.append((f"{what} ({reason})" if reason else what, command))
    return found


def lacking(
    sweep: Comparison, runs: pd.DataFrame, metrics: Sequence[Metric], where: Where
) -> list[tuple[str, str]]:
    """Which runs that are done do not hold a metric, and the command that measures it.

    Args:
        sweep: whose runs they are.
        runs: from `collect`.
        metrics: that are shown.
        where: which runs.
    """
    done = runs[runs.state == "done"]
    kept = np.array([run.has_parameters() for run in done.run], dtype=bool)
    results = done.result if len(done) else ()
    groups: dict[tuple[bool, ...], list[Metric]] = {}
    for metric in metrics:
        lacks = np.array([is_lacking(one, metric) for one in results], dtype=bool)
        for those in (lacks & kept, lacks & ~kept):
            if those.any():
                groups.setdefault(tuple(those), []).append(metric)
    found = []
    for mask, missed in groups.items():
        those = done[list(mask)]
        names = ", ".join(metric.name for metric in missed)
        what = f"{_named(those, len(done))}: {names}"
        if those.run.iloc[0].has_parameters():
            command = _evaluate(sweep, those, missed, where)
        else:
            what += "; without a checkpoint it is trained anew, each run as the first"
            first = those.iloc[0]
            run = next(run for run in sweep.runs if run.label == first.label)
            given = run, str(first.condition), [first.replicate]
            command = where.command(*given, again=True, also=[metric.variant for metric in missed])
            if later := [metric for metric in missed if metric.on_demand]:
                command += f" && {_evaluate(sweep, those[:1], later, where)}"
        found.append((what, command))
    return found


def _evaluate(
    sweep: Comparison, runs: pd.DataFrame, metrics: Sequence[Metric], where: Where
) -> str:
    """The command that measures metrics of runs that have a checkpoint."""
    needed = [metric.variant for metric in metrics]
    for (label, condition), _ in runs.groupby(["label", "condition"], sort=False):
        needed += where.variants([r for r in sweep.runs if r.label == label], str(condition))
    names = ",".join(metric.name for metric in metrics)
    words = ["bench", "evaluate", *map(str, runs.folder), "--metric", names]
    return shlex.join([*words, *registry.to_type(needed)])


def _named(runs: pd.DataFrame, of: int) -> str:
    """Which runs, in few words."""
    if len(runs) == of:
        return "no run has"
    groups = runs.groupby(["label", "condition"], sort=False)
    if len(groups) > _MANY:
        return f"{len(runs)} of {of} runs lack"
    each = (
        f"{named(label, condition)}, {called(group.replicate)}"
        for (label, condition), group in groups
    )
    return f"{'; '.join(each)} lack"


def left_out(runs: pd.DataFrame) -> list[str]:
    """Results that are there and that no number is from, a line for each reason.

    Args:
        runs: from `collect`.
    """
    aside = runs[runs.state.isin((ANOTHER, DAMAGED))]
    return [
        f"left out: {named(label, condition)}, {called(group.replicate)}: {state} ({reason})"
        for (label, condition, state, reason), group in aside.groupby(
            ["label", "condition", "state", "reason"], sort=False
        )
    ]
