"""Runs as processes on this machine: how many, with which threads, devices and seeds, and how.

One process a run (or a stack of seeds) keeps a crash from taking other runs with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from deepset_bench.sweep.executors.child import BUSY, GRACE
from deepset_bench.sweep.executors.executor import End
from deepset_bench.sweep.machine import device
from deepset_bench.sweep.plan import Run
from deepset_bench.training.stopping import REQUEUE
from deepset_bench.variants import executor

TRAIN = (sys.executable, "-m", "deepset_bench.sweep.executors.child")
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
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return End(f"its process ended with {how}", status == BUSY, status == REQUEUE)

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

    def environment(self, slot: int) -> dict[str, str]:
        """The environment of the process in a slot from 0 to jobs - 1."""
        changed = {}
        if self.threads is not None:
            changed = dict.fromkeys(_THREADS, str(self.threads))
        if self.devices:
            changed["CUDA_VISIBLE_DEVICES"] = self.devices[slot % len(self.devices)]
        return {**os.environ, **changed}

    def start(self, runs: Sequence[Run], slot: int, group: str) -> Process:
        """See `Executor`; what the process says goes to the first run's log."""
        request = [run.overrides for run in runs]
        with runs[0].folder.log.open("ab") as stream:
            process = subprocess.Popen(
                [*TRAIN, json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                env={"WANDB_RUN_GROUP": group, **self.environment(slot)},
                start_new_session=True,  # Ctrl-C is for the sweep, which then stops its processes
            )
        return Process(runs, process)

    def ask_to_stop(self, jobs: Sequence[Process]) -> None:
        """See `Executor`."""
        for job in jobs:
            job.process.send_signal(signal.SIGUSR1)

    def stop(self, jobs: Sequence[Process]) -> None:
        """See `Executor`; what does not end by itself in time is killed."""
        for job in jobs:
            job.close()
        deadline = time.monotonic() + GRACE + 2
        for job in jobs:
            try:
                job.process.wait(max(deadline - time.monotonic(), 0))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                deadline = 0.0
                job.process.kill()
                job.process.wait()


@executor("local")
def share_out(runs: Sequence[Run], jobs: int | None = None, stack: int | None = None) -> Local:
    """The machine's share of each process.

    On the CPU a step of these models is too small to gain from a second thread (on two busy cores
    it took longer than with one), so by default there is one process a core. On CUDA there is one
    a device, and the seeds of a variant are stacked, as many as keep all devices at work. Apple's
    GPU gets one process.

    Args:
        runs: the whole sweep, done or not: what is left of it goes on with the same threads.
        jobs: processes at once; None chooses.
        stack: most seeds of one variant in one process; None chooses.

    Raises:
        UserError: a device that this machine lacks.
    """
    kinds = {device(run.experiment.config.device) for run in runs}
    devices = _cuda_devices() if "cuda" in kinds else ()
    cores = _cores()
    room = len(devices) or (1 if "mps" in kinds else cores)
    jobs = jobs or max(min(room, len(runs)), 1)
    stack = stack or (-(-len(runs) // jobs) if devices else 1)
    threads = None if os.environ.get("OMP_NUM_THREADS") else max(cores // jobs, 1)
    return Local(jobs, threads, devices, stack)


def _cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cuda_devices() -> tuple[str, ...]:
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(count)]
    return tuple(names[:count])
