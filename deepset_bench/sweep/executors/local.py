"""Runs as processes on this machine: how many, with which threads, devices and seeds, and how.

One process a run (or a stack of seeds) keeps a crash from taking other runs with it. On Linux one
that is ready to train forks them; elsewhere libraries do not stand that, and each is started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from deepset_bench.errors import UserError
from deepset_bench.sweep.executors.child import BUSY, GRACE
from deepset_bench.sweep.executors.devices import cuda_devices, for_one_process
from deepset_bench.sweep.executors.executor import End
from deepset_bench.sweep.executors.forked import Forked, Forker, how
from deepset_bench.sweep.machine import device
from deepset_bench.sweep.plan import Run
from deepset_bench.training.stopping import REQUEUE
from deepset_bench.variants import executor

TRAIN = (sys.executable, "-m", "deepset_bench.sweep.executors.child")
FORKS = sys.platform == "linux"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass
class Process:
    """A job: a process, and the runs that it trains."""

    runs: Sequence[Run]
    process: subprocess.Popen[bytes]

    def end(self) -> End | None:
        """See `Job`."""
        status = self.process.poll()
        if status is None:
            return None
        self.close()
        return End(f"its process ended with {how(status)}", status == BUSY, status == REQUEUE)

    def close(self) -> None:
        """Close the pipe that a process takes for its sweep's life."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@dataclass(frozen=True)
class Local:
    """What each of `jobs` processes gets; see `Executor`.

    Attributes:
        threads: for each process; None where the environment has settled them.
        devices: CUDA devices as CUDA_VISIBLE_DEVICES names them, one a process in turn.
        stack: most runs of one variant in one process.
    """

    jobs: int
    threads: int | None
    devices: tuple[str, ...]
    stack: int
    _forker: Forker = field(default_factory=Forker, init=False, repr=False, compare=False)

    def environment(self) -> dict[str, str]:
        """The environment of every process."""
        changed = {} if self.threads is None else dict.fromkeys(_THREADS, str(self.threads))
        return {**os.environ, **changed}

    def own_environment(self, slot: int, group: str) -> dict[str, str]:
        """What the process in a slot from 0 to jobs - 1 has beside it."""
        own = {"WANDB_RUN_GROUP": os.environ.get("WANDB_RUN_GROUP", group)}
        if self.devices:
            own["CUDA_VISIBLE_DEVICES"] = self.devices[slot % len(self.devices)]
        return own

    def start(self, runs: Sequence[Run], slot: int, group: str) -> Process | Forked:
        """See `Executor`; what the process says goes to the first run's log."""
        common, own = self.environment(), self.own_environment(slot, group)
        if FORKS:
            return self._forker.start(TRAIN, common, runs, own)
        request = [run.overrides for run in runs]
        with runs[0].folder.log.open("ab") as stream:
            process = subprocess.Popen(
                [*TRAIN, json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                env={**common, **own},
                start_new_session=True,  # Ctrl-C is for the sweep, which then stops its processes
            )
        return Process(runs, process)

    def ask_to_stop(self, jobs: Sequence[Process | Forked]) -> None:
        """See `Executor`."""
        self._forker.ask_to_stop()
        for job in jobs:
            if isinstance(job, Process):
                job.process.send_signal(signal.SIGUSR1)

    def stop(self, jobs: Sequence[Process | Forked]) -> None:
        """See `Executor`; what does not end by itself in time is killed."""
        self._forker.stop()
        started = [job for job in jobs if isinstance(job, Process)]
        for job in started:
            job.close()
        deadline = time.monotonic() + GRACE + 2
        for job in started:
            try:
                job.process.wait(max(deadline - time.monotonic(), 0))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                deadline = 0.0
                job.process.kill()
                job.process.wait()


@executor("local")
def share_out(
    runs: Sequence[Run],
    jobs: int | None = None,
    stack: int | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Local:
    """The machine's share of each process.

    On the CPU a step of these models is too small to gain from a second thread (on two busy cores
    it took longer than with one), so by default there is one process a core. On CUDA there is one
    a device, and the seeds of a variant are stacked, as many as keep all devices at work. Apple's
    GPU gets one process.

    Args:
        runs: the whole sweep, done or not: what is left of it goes on with the same threads.
        jobs: processes at once; None chooses.
        stack: most seeds of one variant in one process; None chooses.
        settings: it has none.

    Raises:
        UserError: a device that this machine lacks, more jobs than its devices take, or a setting.
    """
    for key in settings:
        raise UserError(f"executor.{key}: executor=local has no settings; it takes --jobs, --stack")
    kinds = {device(run.experiment.config.device) for run in runs}
    devices = cuda_devices() if "cuda" in kinds else ()
    if devices and jobs and jobs > len(devices) and for_one_process():
        raise UserError(
            f"--jobs {jobs}: each of the {len(devices)} GPUs is set to take one process alone "
            f"(compute mode exclusive process); give --jobs {len(devices)}, or --stack N for more "
            "seeds in each"
        )
    cores = _cores()
    room = len(devices) or (1 if "mps" in kinds else cores)
    jobs = jobs or max(min(room, len(runs)), 1)
    stack = stack or (-(-len(runs) // jobs) if devices else 1)
    threads = None if os.environ.get("OMP_NUM_THREADS") else max(cores // jobs, 1)
    return Local(jobs, threads, devices, stack)


def _cores() -> int:
    """The processor cores that this process may use; not every Slurm binds a task to its own."""
    if (granted := os.environ.get("SLURM_CPUS_PER_TASK", "")).isdecimal():
        return int(granted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
