"""How a sweep shares out the machine: processes at once, threads, devices, seeds a process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from deepset_bench.sweep.plan import Run

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Share:
    """What each of `jobs` processes gets.

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


def share_out(runs: Sequence[Run], jobs: int | None = None, stack: int | None = None) -> Share:
    """The machine's share of each process.

    On the CPU a step of these models is too small to gain from a second thread (on two cores it
    took longer than with one), so by default there is one process a core. On CUDA there is one a
    device, and the seeds of a variant are stacked, as many as keep all devices at work. Apple's
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
    return Share(jobs, threads, devices, stack)


def _cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device(name: str) -> str:
    """The kind of device that `device=name` means here; PyTorch is loaded only if it matters.

    Raises:
        UserError: this machine lacks it.
    """
    if name == "cpu":
        return name
    from deepset_bench.training.setup import choose_device

    return choose_device(name).type


def _cuda_devices() -> tuple[str, ...]:
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(count)]
    return tuple(names[:count])
