"""A process that is ready to train, and forks one of its own for each job.

To start Python and to import PyTorch takes two seconds of the processor, a fork a few milliseconds.
The process that forks computes nothing with PyTorch itself, so a forked one begins as a fresh one
does: no seed, thread, flag or cache of an earlier run is in it, its numbers are the same to the
last bit, and a crash or a lack of memory takes that run alone.

Jobs come in on standard input, each a line of JSON: its number, the runs (each a list of
overrides), the file for what they print, and the environment that it has beside this process's.
Out goes a line for each job that has ended: its number and its exit status, negative for a signal.
A request to stop (see `training.stopping`) is passed on to all jobs.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from deepset_bench.training.stopping import SIGNALS

Requests = Sequence[Sequence[str]]
"""Runs, each a list of overrides."""
_LOOK = 0.05  # seconds between two looks for a job that has ended


def serve(warm: Callable[[Requests], None], train: Callable[[Requests], int]) -> int:
    """Fork for each job until standard input ends, then wait for those that go on.

    Args:
        warm: called with a job's runs before the fork; its mistakes are left to the fork to tell.
        train: called in the fork; returns its exit status.

    Returns:
        This process's exit status; a fork ends with that of its job.
    """
    answers = os.dup(1)  # what is printed by mistake is no answer
    os.dup2(2, 1)
    going: dict[int, int] = {}
    rest, open_ = b"", True
    asked = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        for process in going:
            with suppress(ProcessLookupError):  # it has ended just now
                os.kill(process, signal.SIGUSR1)

    for number in SIGNALS:
        signal.signal(number, pass_on)
    while open_ or going:
        if open_ and select.select([0], [], [], _LOOK)[0]:
            read = os.read(0, 1 << 16)
            open_ = bool(read)
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                number, requests, log, environment = json.loads(line)
                with suppress(Exception):
                    warm(requests)
                gc.freeze()  # what a fork's collector leaves alone, it need not copy
                signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
                if not (process := os.fork()):
                    os.close(answers)
                    _become(log, environment)
                    _leave(train(requests))
                going[process] = number
                if asked:
                    os.kill(process, signal.SIGUSR1)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        _tell(answers, going, wait=not open_)
    return 0


def _become(log: str, environment: dict[str, str]) -> None:
    """Let a fork print into a file of its own, and give it what its slot has.

    The signals that ask it to stop are blocked; they wait until it listens.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(environment)
    stream = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.close(stream)


def _leave(status: int) -> NoReturn:
    """End a fork; to take all modules down, as Python does, costs more than a short run."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _tell(answers: int, going: dict[int, int], *, wait: bool) -> None:
    """Write down which forks have ended; `wait` for one."""
    while going:
        process, status = os.waitpid(-1, 0 if wait else os.WNOHANG)
        if not process:
            return
        answer = [going.pop(process), os.waitstatus_to_exitcode(status)]
        with suppress(BrokenPipeError):  # the sweep is dead
            os.write(answers, json.dumps(answer).encode() + b"\n")
