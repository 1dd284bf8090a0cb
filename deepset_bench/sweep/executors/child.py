"""A process of `local` that trains one run, or several stacked: `python -m ...child JSON`.

JSON is a list of runs, each a list of overrides. Standard input is a pipe from the sweep. Nothing
is ever written to it: it ends when the sweep closes it or dies, however it dies, and this process
then stops as if by Ctrl-C. Checkpoints are only ever whole, so the run can go on later.
"""

from __future__ import annotations

import _thread
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from deepset_bench import surroundings
from deepset_bench.training import stopping

if TYPE_CHECKING:
    from deepset_bench.config import Experiment

GRACE = 10.0
"""Seconds for an orderly stop; a long call into compiled code notices no interruption."""
BUSY, FAILED, INTERRUPTED = 75, 1, 130
"""Exit statuses: another process trains one of the runs; see status.json; stopped. One that was
asked to stop and has its checkpoint ends with `stopping.REQUEUE`."""


def main() -> int:
    """Train the runs of the command line; returns the exit status."""
    surroundings.prepare("utf-8")  # for log.txt
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    try:
        with stopping.listening():
            return _train(json.loads(sys.argv[1]))
    except stopping.Stopped:
        return stopping.REQUEUE
    except KeyboardInterrupt:
        return INTERRUPTED


def _end_with_the_sweep() -> None:
    os.read(sys.stdin.fileno(), 1)
    _thread.interrupt_main()
    time.sleep(GRACE)
    os._exit(INTERRUPTED)


def _train(requests: Sequence[Sequence[str]]) -> int:
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
            with suppress(OSError):  # the disk may be what failed
                _note_failure(experiments[0], error)
        return FAILED
    return 0


def _note_failure(failed: Experiment, error: Exception) -> None:
    """Write down a failure before the first step; the training loop writes down its own."""
    from deepset_bench.data import catalogue
    from deepset_bench.errors import UserError
    from deepset_bench.runs import run_folder

    folder = run_folder(failed)
    if not folder.path.exists():
        return  # removed while it was trained; the sweep says so
    identity = failed.identity(catalogue.checksum(*failed.config.sets))
    with folder.lock():
        if folder.status().get("state") == "failed":
            return
        reason = str(error) if isinstance(error, UserError) else surroundings.failure(error)
        if reason is None:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            folder.say("".join(traceback.format_exception(error)))
        folder.say(f"failed: {reason}")
        folder.write_status("failed", identity, reason)


if __name__ == "__main__":
    sys.exit(main())
