"""How long runs take, from runs that are done and from the steps that `bench time` measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deepset_bench.config import Experiment
from deepset_bench.errors import UserError
from deepset_bench.processor import model_name
from deepset_bench.study.collect import Where
from deepset_bench.study.times import Timing, identity_of, timings
from deepset_bench.sweep import estimate
from deepset_bench.sweep.machine import device
from deepset_bench.sweep.plan import Run


def paces_of(runs: Sequence[Run], where: Where) -> Mapping[Path, estimate.Paces]:
    """Of runs that are done, and of variants without any, by the steps that `bench time` measured.

    On this kind of processor; without what a run does beside its steps.
    """
    found = {home: dict(each) for home, each in estimate.measured(runs, where.runs).items()}
    timed = [one for one in timings(where.runs)[0] if one.processor == model_name()]
    for run in {run.folder.path.parent: run for run in runs}.values():
        config, home = run.experiment.config, run.folder.path.parent
        on, paces = device(config.device), found[home.parents[1]]
        if (home, on) not in paces and (pace := _of_steps(run.experiment, on, timed)):
            paces[home, on] = [("", pace)]
    return found


def _of_steps(wanted: Experiment, on: str, timed: Sequence[Timing]) -> float | None:
    """Seconds a training frame, as it was measured last; None where it was not."""
    with suppress(UserError):  # its frames are not here
        step = identity_of(wanted) if timed else ""
        for timing in timed:
            if (timing.device == "cpu") == (on == "cpu") and (found := timing.find(step)):
                frames = wanted.config.trainer.epochs * wanted.config.data.train_size
                return statistics.median(found.ms) / 1000 * found.steps_a_run / frames
    return None
