"""Runs as array jobs of Slurm: each task trains a few of them, see `task`.

`sbatch` takes a script, so nothing but Slurm is needed for it. (submitit, which pickles a function
and waits for its result, would be a dependency for less: what a run leaves is in its folder.)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepset_bench.errors import UserError
from deepset_bench.reading import mapping
from deepset_bench.sweep import estimate
from deepset_bench.sweep.execute import units
from deepset_bench.sweep.executors import limits, queue, submitted
from deepset_bench.sweep.executors.limits import Limits
from deepset_bench.sweep.executors.local import Local
from deepset_bench.sweep.executors.script import sbatch_script
from deepset_bench.sweep.executors.settings import Settings
from deepset_bench.sweep.executors.submitted import Submission
from deepset_bench.sweep.plan import Run
from deepset_bench.typed import mistyped
from deepset_bench.variants import executor

_MARGIN = 1.5
"""The time that is asked for, over the time that was measured: nodes differ."""
_START = 300.0
"""Seconds that are asked for beside training: to load and to measure."""
_STEP = 600
"""Seconds to whose next multiple the time is rounded."""


@dataclass(frozen=True)
class Slurm:
    """See `Submitting`.

    Attributes:
        settings: what is asked for.
        at_once: runs at once in a task; None where the task is to choose.
        most: seeds in one model; None where the task is to choose.
    """

    settings: Settings
    at_once: int | None
    most: int | None

    @property
    def jobs(self) -> int:
        """Runs at once in a task."""
        return self.at_once or self.settings.gpus or min(self.settings.cpus, self.settings.size)

    @property
    def stack(self) -> int:
        """Seeds in one model."""
        together = self.settings.size // self.jobs if self.settings.gpus else 1
        return self.most or max(together, 1)

    def taken(self, root: Path) -> set[str]:
        """See `Submitting`."""
        waiting = queue.going()
        places = submitted.places(root).items()
        return {folder for folder, (one, task) in places if (one.job, task) in waiting}

    def script(self, runs: Sequence[Run], root: Path, name: str) -> str:
        """See `Submitting`."""
        planned = self._planned(self._tasks(runs), root, name)
        return sbatch_script(self.settings, planned, self._time(runs, None))

    def submit(self, runs: Sequence[Run], root: Path, name: str) -> list[str]:
        """See `Submitting`; several arrays where the cluster allows none of so many tasks."""
        allowed, tasks = self._limits(), self._tasks(runs)
        limit = self._time(runs, allowed.seconds)
        most = allowed.tasks or len(tasks)
        done: list[Submission] = []
        for first in range(0, len(tasks), most):
            part = self._planned(tasks[first : first + most], root, name)
            try:
                done.append(_submitted(part, sbatch_script(self.settings, part, limit)))
            except UserError as error:
                if not done:
                    raise
                before = f"{_jobs(done)}, {sum(len(one.tasks) for one in done)} tasks"
                raise UserError(f"{error} (submitted before that: {before})") from None
        throttle, several = self.settings.throttle, len(done) > 1
        return [
            f"submitted {len(runs)} run{'s' * (len(runs) != 1)} as {_jobs(done)}: {len(tasks)} "
            f"task{'s' * (len(tasks) != 1)} of up to {self.settings.size}"
            + (f", {throttle} at once{' in each job' * several}" if throttle else "")
            + (f", time limit {limit}" if limit else ", time limit as usual on this partition"),
            *(f"what the tasks say: {one.path.with_suffix('')}-{one.job}_*.log" for one in done),
        ]

    def _planned(self, tasks: Sequence[Sequence[Run]], root: Path, name: str) -> Submission:
        return submitted.planned(root.absolute(), name, tasks, self.at_once, self.most)

    def _tasks(self, runs: Sequence[Run]) -> list[list[Run]]:
        """Seeds of one variant in one task where they are trained as one model."""
        tasks: list[list[Run]] = []
        for unit in units(runs, min(self.stack, self.settings.size)):
            room = [task for task in tasks[-1:] if len(task) + len(unit) <= self.settings.size]
            if room:
                room[0].extend(unit)
            else:
                tasks.append(list(unit))
        return tasks

    def _limits(self) -> Limits:
        """Of the partition, of which the environment has the last word."""
        if any(option.startswith(("-p", "--partition")) for option in self.settings.sbatch):
            return replace(limits.asked(None), seconds=None)  # which one is sbatch's to read
        return limits.asked(os.environ.get("SBATCH_PARTITION") or self.settings.partition)

    def _time(self, runs: Sequence[Run], longest: int | None) -> str:
        """The time limit that is asked for; empty where nothing tells.

        Args:
            runs: of all tasks.
            longest: seconds that the partition allows; None for no limit.

        Raises:
            UserError: the one that was asked for is longer, or none is left beside the margin.
        """
        margin, time = self.settings.margin, self.settings.time
        if time is None:
            measured = self._measured(runs)
            if measured is None:
                return ""
            limit = min(measured, measured if longest is None else longest)
            time = limits.written(limit)
        else:
            known = limits.seconds(time)
            if known is None:  # unlimited, or a slip, which sbatch names
                return time
            if longest is not None and known > longest:
                raise UserError(
                    f"executor.time={time}: this partition ends tasks after "
                    f"{limits.written(longest)}; give no more than that: runs that do not end in "
                    "time go on from their checkpoints"
                )
            limit = known
        if limit <= margin:
            raise UserError(
                f"executor.margin={margin}: runs stop so many seconds before the time limit, "
                f"{time}; give a smaller margin or a longer time"
            )
        return time

    def _measured(self, runs: Sequence[Run]) -> int | None:
        """Seconds for the longest task, by what done runs took; None where none tells."""
        share = Local(self.jobs, None, (), self.stack)
        longest = 0.0
        paces = estimate.measured(runs)
        for task in self._tasks(runs):
            try:
                each = estimate.seconds(task, share, paces)
            except UserError:  # this machine lacks the device
                return None
            if each is None:
                return None
            longest = max(longest, each)
        asked = longest * _MARGIN + _START + self.settings.margin
        return -(-int(asked) // _STEP) * _STEP


@executor("slurm")
def slurm(
    runs: Sequence[Run], jobs: int | None, stack: int | None, settings: Mapping[str, Any]
) -> Slurm:
    """An array job.

    Args:
        runs: the whole sweep.
        jobs: runs at once in a task; None chooses.
        stack: most seeds of one variant in one model; None chooses.
        settings: see `Settings`.

    Raises:
        UserError: a setting that there is not, or of another type.
    """
    mapping(dict(settings), "executor", [one.name for one in fields(Settings)])
    time = settings.get("time")
    if isinstance(time, int):
        raise UserError(f"executor.time: {time} may be seconds or minutes; write '02:30:00'")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Settings), dict(settings))
        found = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(f"executor.{mistyped(Settings, settings, error)}") from None
    assert isinstance(found, Settings)
    for key, least in {"cpus": 1, "gpus": 0, "margin": 1}.items():
        if getattr(found, key) < least:
            raise UserError(f"executor.{key}={getattr(found, key)}: must be {least} or more")
    for key in ("runs_per_task", "throttle"):
        value = getattr(found, key)
        if value is not None and value < 1:
            raise UserError(f"executor.{key}={value}: must be 1 or more, or null")
    return Slurm(found, jobs, stack)


def _submitted(planned: Submission, text: str) -> Submission:
    """Submit one array; its file is there first, for a task may start before sbatch has ended."""
    planned.write()
    try:
        said = queue.told(["sbatch", "--parsable"], text)
    except BaseException:
        planned.path.unlink()
        raise
    one = replace(planned, job=said.strip().partition(";")[0])
    one.write()
    return one


def _jobs(each: Sequence[Submission]) -> str:
    """`job 7`, or `jobs 7, 8`."""
    return f"job{'s' * (len(each) > 1)} {', '.join(one.job for one in each)}"
