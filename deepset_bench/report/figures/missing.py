"""What a figure of many runs lacks, in few lines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pandas as pd

from deepset_bench.report.collect import Where
from deepset_bench.report.figures.figure import Gap
from deepset_bench.report.sweeps import Sweep
from deepset_bench.report.tables import gaps

_MANY = 3
"""Variants that were not run under a condition: more are one line, the whole sweep's command."""


def missing(sweep: Sweep, runs: pd.DataFrame, conditions: Sequence[str], where: Where) -> list[Gap]:
    """As `tables.gaps`; a sweep does not repeat what is done, so that its command fills any gap.

    Args:
        sweep: of `sweeps/`.
        runs: from `collect`.
        conditions: that are shown.
        where: which runs.
    """
    found, rest = [], runs
    for condition in conditions:
        own = runs[runs.condition == condition]
        absent = own[own.state == "not run"]
        if len(absent) == len(own) or absent.label.nunique() <= _MANY:
            continue
        seeds = ",".join(str(seed) for seed in sorted(set(runs.seed)))
        words = ["bench", "sweep", f"sweeps/{sweep.name}.yaml", *where.overrides]
        words += [f"condition={condition}", *where.dir, f"seed={seeds}"]
        what = f"{len(absent)} of {len(own)} runs, {condition}: not run"
        found.append((what, shlex.join(words)))
        rest = rest.drop(absent.index)
    return [*found, *gaps(sweep, rest, conditions, where)]
