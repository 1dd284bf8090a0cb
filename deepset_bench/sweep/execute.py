"""Runs of a sweep as jobs: several at once, past failures, and never one run twice.

What is done, failed or being trained is read from the run folders, so any number of sweeps may
share them. Where the jobs are trained is the executor's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from deepset_bench.runs import Busy
from deepset_bench.sweep.executors.executor import End, Executor, Job
from deepset_bench.sweep.plan import Run
from deepset_bench.sweep.status import Standing, standing
from deepset_bench.training import stopping

_PAUSE = 0.1  # seconds between two looks at the jobs


class Sweep:
    """The runs of a sweep while they are trained.

    Args:
        runs: each once.
        executor: trains them.
        name: of their group in W&B, unless the environment has one.

    Attributes:
        ended: how the runs that need no more training stand.
        fresh: whether a run that is another than the wanted one (of other data, an earlier version,
            a variant that has changed) is forgotten.
        wait: whether runs that other processes train are waited for once nothing is left to start.
        elsewhere: runs that another process is training.
        left: runs that stopped on request, with a checkpoint.
        stopping: whether this process was asked to stop (see `training.stopping`): nothing is
            started any more, and what goes on ends at its next checkpoint.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        executor: Executor[Any],
        name: str = "",
        *,
        fresh: bool = False,
        wait: bool = True,
    ) -> None:
        self.runs, self.executor, self.name = list(runs), executor, name
        self.fresh, self.wait, self.stopping = fresh, wait, False
        self.ended: dict[Run, Standing] = {}
        self.elsewhere: set[Run] = set()
        self.left: set[Run] = set()
        self._place = {run: number for number, run in enumerate(self.runs)}
        self._waiting = units(self.runs, executor.stack)
        self._jobs: dict[int, Job] = {}
        self._noted: dict[Run, dict[str, Any]] = {}

    def execute(self, watch: Callable[[], None]) -> None:
        """Train until every run has ended or been left, calling `watch` several times a second.

        Raises:
            KeyboardInterrupt: after all jobs have stopped.
        """
        try:
            for run in self.runs:
                self._queue(run)
            while self._waiting or self._jobs:
                if stopping.asked() and not self.stopping:
                    self.stopping = True
                    self.executor.ask_to_stop(list(self._jobs.values()))
                for slot in range(self.executor.jobs):
                    if slot not in self._jobs and (runs := self._next()):
                        self._jobs[slot] = self.executor.start(runs, slot, self.name)
                if not self._jobs and (self.stopping or not self.wait):
                    break
                watch()
                time.sleep(_PAUSE)
                for slot, job in list(self._jobs.items()):
                    if (end := job.end()) is not None:
                        del self._jobs[slot]
                        self._reap(job.runs, end)
            watch()
        finally:
            self.executor.stop(list(self._jobs.values()))

    def free(self, taken: Collection[Run]) -> list[Run]:
        """Runs that are to be trained and that nobody trains, noted as planned.

        Args:
            taken: runs that somebody will train.
        """
        others = [run for run in self.runs if run not in taken]
        for run in others:
            self._queue(run)
        return [run for run in others if run not in self.ended and run not in self.elsewhere]

    def begun(self) -> list[Run]:
        """Those that have ended, or that are or were trained: all that are not queued, in order."""
        going = {run for job in self._jobs.values() for run in job.runs}
        found = {*self.ended, *going, *self.elsewhere, *self.left}
        return sorted(found, key=self._place.__getitem__)

    def standing(self, run: Run) -> Standing:
        """How a run stands now."""
        if run in self.ended:
            return self.ended[run]
        epochs = run.experiment.config.trainer.epochs
        if run in self.elsewhere:
            return replace(standing(run.folder, epochs), reason="in another process")
        if run in self.left or any(run in job.runs for job in self._jobs.values()):
            return standing(run.folder, epochs)
        return Standing("queued", epochs=epochs)

    def _queue(self, run: Run) -> None:
        """Write down that the run is planned, unless it has ended or is another process's."""
        if self.fresh and run.is_taken:
            with suppress(Busy), run.folder.lock():
                run.folder.clear()
        if self._settled(run):
            return
        if run.folder.is_held():
            self.elsewhere.add(run)
        else:
            with suppress(Busy), run.folder.lock():
                run.folder.write_status("queued", run.identity, registered=run.registered)
        self._noted[run] = run.folder.status()

    def _settled(self, run: Run) -> bool:
        """Whether there is nothing to train; if so, it is noted in `ended`."""
        status = run.folder.status()
        state = status.get("state")
        if not self.fresh and (newer := run.folder.newer()):
            self.ended[run] = Standing("failed", newer)
            return True
        if run.is_taken:
            if state == "queued" and not run.folder.last.exists():
                return False  # planned with other data or an earlier version, and never begun
            reason = run.folder.occupied(run.experiment, run.checksums)
            self.ended[run] = Standing("failed", reason)
            return True
        # A failure before this sweep is tried again; one since then was another sweep's try.
        since = run in self._noted and status != self._noted[run]
        if run.folder.has_ended() or (state == "failed" and since):
            self.ended[run] = standing(run.folder, run.experiment.config.trainer.epochs)
            return True
        return False

    def _next(self) -> list[Run]:
        """Runs to train now in one job; none if all others are trained elsewhere."""
        if self.stopping:
            return []
        for unit in list(self._waiting):
            unit[:] = [run for run in unit if not self._settled(run)]
            held = [run for run in unit if run.folder.is_held()]
            self.elsewhere = (self.elsewhere - set(unit)) | set(held)
            free = [run for run in unit if run not in held]
            unit[:] = held
            if not held:
                self._waiting.remove(unit)
            if free:
                return free
        return []

    def _reap(self, runs: Sequence[Run], end: End) -> None:
        """Note how the runs of an ended job stand; put back what is still to be trained."""
        for run in runs:
            if run.folder.has_ended():
                self._settled(run)
            elif end.busy:
                self._waiting.append([run])
            elif end.stopped or self.stopping:
                self.left.add(run)
            elif len(runs) > 1:
                self._queue(run)
                self._waiting.append([run])  # what fails in a stack is tried alone
            else:
                self._failed(run, end.reason)

    def _failed(self, run: Run, reason: str) -> None:
        """A job that was killed could not say so itself."""
        if not run.folder.path.exists():
            self.ended[run] = Standing("failed", "its folder was removed while it was trained")
            return
        try:
            with run.folder.lock():
                if run.folder.status().get("state") != "failed":
                    run.folder.say(f"failed: {reason}")
                    run.folder.write_status("failed", run.identity, reason)
        except Busy:
            self._waiting.append([run])
            return
        self.ended[run] = standing(run.folder, run.experiment.config.trainer.epochs)


def units(runs: Sequence[Run], stack: int) -> list[list[Run]]:
    """Runs that share a job: seeds of one variant, `stack` at most; in order of the first."""
    units: list[list[Run]] = []
    open_: dict[str, list[Run]] = {}  # the last unit of each variant
    for run in runs:
        variant = repr(run.variant) if stack > 1 else ""
        unit = open_.get(variant, [])
        if not 0 < len(unit) < stack:
            unit = open_[variant] = []
            units.append(unit)
        unit.append(run)
    return units
