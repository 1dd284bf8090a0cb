"""A task of an array job: `python -m deepset_bench.sweep.executors.task FILE` trains its runs.

They are a small sweep of their own, on what the task was granted, that leaves what others train.
Before its time is up (SIGUSR1) its runs stop with checkpoints and the task puts itself back into
the queue. What ends it otherwise leaves checkpoints, too: the same `bench sweep` goes on from them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deepset_bench import surroundings
from deepset_bench.console import Console
from deepset_bench.errors import UserError
from deepset_bench.holding import try_locks
from deepset_bench.surroundings import say
from deepset_bench.sweep.execute import Sweep
from deepset_bench.sweep.executors import queue, submitted
from deepset_bench.sweep.executors.local import share_out
from deepset_bench.sweep.executors.slurm_states import BEGINS
from deepset_bench.sweep.overview import watching
from deepset_bench.sweep.plan import run_of
from deepset_bench.training import stopping


def main() -> int:
    """Train the runs of the task that Slurm's environment names; returns the exit status."""
    surroundings.prepare("utf-8")
    with stopping.listening():
        try:
            return _train(Path(sys.argv[1]), int(os.environ["SLURM_ARRAY_TASK_ID"]))
        except UserError as error:
            say(f"error: {error}", error=True)
            return 2


def _train(path: Path, number: int) -> int:
    one = submitted.read(path)
    study = Path(one.study) if one.study else None
    runs = [run_of(asked.overrides, study) for asked in one.tasks[number]]
    sweep = Sweep(runs, share_out(runs, one.jobs, one.stack), one.name, wait=False)
    console = Console()
    if said := try_locks(path.parent):
        console.print(said)
    console.print(BEGINS + os.environ.get("SLURMD_NODENAME", "this machine"))
    with watching(console, sweep) as watch:
        sweep.execute(watch)
    if sweep.stopping:
        left = any(run not in sweep.ended for run in runs)
        if left and stopping.before_a_limit():
            queue.told(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]])
        return stopping.REQUEUE
    ended = sweep.ended.values()
    return int(any(stands.state in ("failed", "diverged") for stands in ended))


if __name__ == "__main__":
    sys.exit(main())
