"""Runs as an array job of Slurm: each task trains a few of them, see `task`.

`sbatch` takes a script, so nothing but Slurm is needed for it. (submitit, which pickles a function
and waits for its result, would be a dependency for less: what a run leaves is in its folder.)
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepset_bench.composing import first_line
from deepset_bench.errors import UserError
from deepset_bench.reading import mapping
from deepset_bench.registry import ENVIRONMENT
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep import estimate
from deepset_bench.sweep.execute import units
from deepset_bench.sweep.executors import queue, submitted
from deepset_bench.sweep.executors.local import Local
from deepset_bench.sweep.executors.settings import Settings
from deepset_bench.sweep.executors.submitted import Submission
from deepset_bench.sweep.plan import Run
from deepset_bench.variants import executor

_MARGIN = 1.5
"""The time that is asked for, over the time that was measured: nodes differ."""
_START = 300.0
"""Seconds that are asked for beside training: to load and to measure."""
_STEP = 600.0
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
        waiting = queue.queued()
        places = submitted.places(root).items()
        return {folder for folder, (one, task) in places if (one.job, task) in waiting}

    def script(self, runs: Sequence[Run], root: Path, name: str) -> str:
        """See `Submitting`."""
        return self._script(self._planned(runs, root, name), self._time(runs))

    def submit(self, runs: Sequence[Run], root: Path, name: str) -> list[str]:
        """See `Submitting`."""
        planned, limit = self._planned(runs, root, name), self._time(runs)
        planned.write()  # the first task may start before sbatch has told its number
        try:
            said = queue.told(["sbatch", "--parsable"], self._script(planned, limit))
        except BaseException:
            planned.path.unlink()
            raise
        job = said.strip().partition(";")[0]
        replace(planned, job=job).write()
        tasks, most = len(planned.tasks), self.settings.throttle
        return [
            f"submitted {len(runs)} run{'s' * (len(runs) != 1)} as job {job}: {tasks} "
            f"task{'s' * (tasks != 1)} of up to {self.settings.size}"
            + (f", {most} at once" if most else "")
            + (f", time limit {limit}" if limit else ", time limit as usual on this partition"),
            f"what the tasks say: {planned.path.with_name(planned.path.stem)}-{job}_*.log",
        ]

    def _planned(self, runs: Sequence[Run], root: Path, name: str) -> Submission:
        root = root.absolute()
        return submitted.planned(root, name, self._tasks(runs), self.at_once, self.most)

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

    def _time(self, runs: Sequence[Run]) -> str:
        """The time limit that is asked for; empty where nothing tells."""
        if self.settings.time:
            return self.settings.time
        share = Local(self.jobs, None, (), self.stack)
        try:
            each = [estimate.seconds(task, share) for task in self._tasks(runs)]
        except UserError:  # this machine lacks the device
            return ""
        known = [seconds for seconds in each if seconds is not None]
        if len(known) < len(each) or not known:
            return ""
        steps = -(-(max(known) * _MARGIN + _START + self.settings.margin) // _STEP)
        minutes = int(steps * _STEP / 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:00"

    def _script(self, planned: Submission, limit: str) -> str:
        asked, last = self.settings, len(planned.tasks) - 1
        throttle = f"%{asked.throttle}" if asked.throttle else ""
        log = planned.path.with_suffix("")
        options = {
            "job-name": planned.path.stem,
            "array": f"0-{last}{throttle}",
            "output": f"{str(log).replace('%', '%%')}-%A_%a.log",
            "open-mode": "append",
            "signal": f"B:USR1@{asked.margin}",
            "account": asked.account,
            "partition": asked.partition,
            "constraint": asked.constraint,
            "time": limit,
            "cpus-per-task": asked.cpus,
            "gres": f"gpu:{asked.gpus}" if asked.gpus else None,
            "mem": asked.memory,
        }
        given = [f"--{key}={_quoted(str(value))}" for key, value in options.items() if value]
        names = ("BENCH_RUNS", "BENCH_DATA", STUDY, ENVIRONMENT, "PYTHONPATH")
        exports = {name: os.environ[name] for name in names if os.environ.get(name)}
        python = shlex.quote(asked.python or sys.executable)
        command = f"{python} -m deepset_bench.sweep.executors.task {shlex.quote(str(planned.path))}"
        return "\n".join(
            [
                "#!/bin/bash",
                *(f"#SBATCH {option}" for option in [*given, "--requeue", *asked.sbatch]),
                f"cd {shlex.quote(str(Path.cwd()))}",
                *(f"export {name}={shlex.quote(value)}" for name, value in exports.items()),
                *asked.setup,
                f"exec {command}",
                "",
            ]
        )


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
        raise UserError(f"executor.{getattr(error, 'full_key', '')}: {first_line(error)}") from None
    assert isinstance(found, Settings)
    for key, least in {"cpus": 1, "gpus": 0, "margin": 1}.items():
        if getattr(found, key) < least:
            raise UserError(f"executor.{key}={getattr(found, key)}: must be {least} or more")
    for key in ("runs_per_task", "throttle"):
        value = getattr(found, key)
        if value is not None and value < 1:
            raise UserError(f"executor.{key}={value}: must be 1 or more, or null")
    return Slurm(found, jobs, stack)


def _quoted(text: str) -> str:
    """As sbatch reads options in a script: within double quotes a backslash is an escape."""
    if all(character.isalnum() or character in "-_./:%,@+=[]&|" for character in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
