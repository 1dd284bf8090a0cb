"""How long a sweep will take, from the runs that are done."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from deepset_bench.record import RESULT, RunRecord, RunRecords
from deepset_bench.runs import RunFolder
from deepset_bench.stamps import STARTED
from deepset_bench.sweep.execute import units
from deepset_bench.sweep.executors.executor import Share
from deepset_bench.sweep.machine import device
from deepset_bench.sweep.plan import Run
from deepset_bench.sweep.status import standing

LAST = 3
"""Runs that tell how long the next one takes: machine and program may be faster than they were."""
_DATA = 2
"""Of the parents of a run's folder, that of all runs on its data."""

Timed = tuple[str, float]
"""When a run started, empty where that is not known, and a time."""

Paces = Mapping[tuple[Path, str], Sequence[Timed]]
"""Seconds a training frame of the done runs, by variant's folder and device."""


def usual(times: Iterable[Timed]) -> float:
    """The median of the three that started last: beside one of them the machine had other work."""
    return median(time for _, time in sorted(times)[-LAST:])


def measured(runs: Iterable[Run], records: RunRecords | None = None) -> dict[Path, Paces]:
    """The paces of done runs on the data of these runs, by the folder of all runs on them.

    Args:
        runs: done or not.
        records: where done ones are looked for; None: in their folders.
    """
    homes = {_data(run) for run in runs}
    if records is None:
        return {home: _paces(map(RunFolder, _replicates(home))) for home in homes}
    every = [run for run in records.every() if len(run.path.parents) > _DATA]
    return {home: _paces(run for run in every if run.path.parents[_DATA] == home) for home in homes}


def seconds(
    runs: Sequence[Run],
    executor: Share,
    paces: Mapping[Path, Paces] | None = None,
    fresh: bool = False,
) -> float | None:
    """Time for what is not done yet; None where no done run tells.

    A run is taken to go at the `usual` pace (seconds a training frame) of the done runs of its
    variant, else of the variants on its data, on the same kind of machine and device.

    Args:
        runs: done or not.
        executor: that is to train them.
        paces: `measured`, for who asks several times; None looks now.
        fresh: whether what lies in the folder of another run is forgotten; see `Sweep`.
    """
    if paces is None:
        paces = measured(runs)
    if not runs:
        return 0.0
    times = []
    for unit in units(runs, executor.stack):
        left = [_seconds_left(run, paces[_data(run)], fresh) for run in unit]
        known = [time for time in left if time is not None]
        if len(known) < len(left):
            return None
        times.append(max(known))
    return max(sum(times) / executor.jobs, *times)


def _data(run: Run) -> Path:
    """The folder of all runs on the run's data."""
    return run.folder.path.parents[_DATA]


def _replicates(home: Path) -> Iterator[Path]:
    return (path.parent for path in home.glob(f"*/*/*/{RESULT}"))


def _paces(there: Iterable[RunRecord]) -> Paces:
    paces: dict[tuple[Path, str], list[Timed]] = {}
    for folder in there:
        result = folder.result()
        here = result.get("machine") == f"{platform.system()} {platform.machine()}"
        size = folder.settings().get("data.train_size")
        if result.get("status") == "done" and here and size and result["epochs"]:
            key = (folder.path.parent, result["device"])
            together = result["wall_seconds"] * result.get("stack", 1)  # each has its share
            pace = together / (result["epochs"] * size)
            paces.setdefault(key, []).append((result.get(STARTED, ""), pace))
    return paces


def _seconds_left(run: Run, paces: Paces, fresh: bool) -> float | None:
    config, begun = run.experiment.config, 0
    if not (fresh and run.is_taken):
        stands = standing(run.folder, config.trainer.epochs)
        if stands.state in ("done", "diverged"):
            return 0.0
        begun = stands.epoch
    here = device(config.device)
    own = paces.get((run.folder.path.parent, here))
    known = [usual(own)] if own else [usual(each) for (_, on), each in paces.items() if on == here]
    if not known:
        return None
    return median(known) * config.data.train_size * (config.trainer.epochs - begun)
