"""The processes of `local`: one that forks for each job, or one that trains a run, or a stack.

`python -m ...child` forks as `forking` says; `python -m ...child JSON` trains the runs of JSON, a
list of lists of overrides. Standard input is a pipe from the sweep. It ends when the sweep closes
it or dies, however it dies, and a process that trains then stops as if by Ctrl-C. Checkpoints are
only ever whole, so the run can go on later.
"""

from __future__ import annotations

import _thread
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from deepset_bench import surroundings
from deepset_bench.sweep.executors.forking import Requests, serve
from deepset_bench.training import stopping

if TYPE_CHECKING:
    from deepset_bench.config import Experiment

GRACE = 10.0
"""Seconds for an orderly stop; a long call into compiled code notices no interruption."""
BUSY, FAILED, INTERRUPTED = 75, 1, 130
"""Exit statuses: another process trains one of the runs; see status.json; stopped. One that was
asked to stop and has its checkpoint ends with `stopping.REQUEUE`."""


def main() -> int:
    """Do what the command line says; returns the exit status."""
    surroundings.prepare("utf-8")  # for log.txt
    if len(sys.argv) > 1:
        return _stoppable(json.loads(sys.argv[1]))
    return serve(_warm, _stoppable)


def _stoppable(requests: Requests) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells turn it off behind a `&`
    try:
        surroundings.begin_thread(_end_with_the_sweep)
        with stopping.listening():
            return _train(requests)
    except MemoryError as error:  # of the thread; training writes its own down
        surroundings.say(surroundings.failure(error), error=True)
        return FAILED
    except stopping.Stopped:
        return stopping.REQUEUE
    except KeyboardInterrupt:
        return INTERRUPTED


def _end_with_the_sweep() -> None:
    """Wait until nobody can write to standard input; what is written is not for this process."""
    pipe = select.poll()
    pipe.register(sys.stdin.fileno(), 0)
    pipe.poll()
    _thread.interrupt_main()
    time.sleep(GRACE)
    os._exit(INTERRUPTED)


def _warm(requests: Requests) -> None:
    """Do once what every run does the same: import, and look at the data set.

    Not where a person's own files of variants count: each run reads them as they are then.
    """
    from deepset_bench import registry
    from deepset_bench.config import experiment
    from deepset_bench.training import train  # noqa: F401
    from deepset_bench.training.setup import look_at

    if not registry.are_named():
        for config in (experiment(overrides).config for overrides in requests):
            look_at(config)


def _train(requests: Requests) -> int:
    from deepset_bench.config import experiment
    from deepset_bench.runs import Busy
    from deepset_bench.training.train import train

    experiments = [experiment(overrides) for overrides in requests]
    try:
        train(experiments)
    except Busy:
        return BUSY
    except Exception as error:
        if len(experiments) == 1:  # of several, the sweep tries each alone
            with suppress(OSError, MemoryError):  # the disk or memory may be what failed
                _note_failure(experiments[0], error)
        return FAILED
    return 0


def _note_failure(failed: Experiment, error: Exception) -> None:
    """Write down a failure before the first step; the training loop writes down its own."""
    from deepset_bench.data import catalogue
    from deepset_bench.errors import UserError
    from deepset_bench.runs import run_folder, with_start

    folder = run_folder(failed)
    if not folder.path.exists():
        return  # removed while it was trained; the sweep says so
    try:
        identity = with_start(failed).identity(catalogue.checksum(*failed.config.sets))
    except UserError:  # its data, or what it starts from, are gone: it is what was planned
        identity = folder.identity()
    with folder.lock():
        if folder.status().get("state") == "failed":
            return
        folder.write_failure(identity, error)


if __name__ == "__main__":
    sys.exit(main())
