"""`python -m tests.kill.server`: each task on standard input is a fork that is one `bench`.

Loaded with `faults.c`, which kills or fails a fork where its task says. To fork takes milliseconds,
to start Python and PyTorch two seconds. Nothing is computed here, so a fork is as a fresh process.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import deepset_bench.training.train  # noqa: F401
from deepset_bench import cli
from deepset_bench.data import remote
from deepset_bench.evaluation import evaluate_command  # noqa: F401
from deepset_bench.generation import trajectories
from deepset_bench.study import tables_command  # noqa: F401
from deepset_bench.sweep import sweep_command  # noqa: F401
from deepset_bench.training import loop

FAULTS: Any = ctypes.CDLL(None)
HANGS = 300.0
"""Seconds after which a command that nobody kills hangs: it is aborted, and has another status."""


def main() -> None:
    """Answer each line, a list of tasks that are done at once, by a line: how each ended."""
    loop.CHECKPOINT_SECONDS = trajectories.CHECKPOINT_EVERY = 0.0  # after every epoch and frame
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a package prints when it is imported is no answer
    for line in sys.stdin:
        tasks = json.loads(line)
        processes = [os.fork() or _bench(task) for task in tasks]
        kills = []
        for process, task in zip(processes, tasks, strict=True):
            asked = task["seconds"]
            after = (HANGS, signal.SIGABRT) if asked is None else (asked, signal.SIGKILL)
            kills.append(threading.Timer(after[0], os.kill, (process, after[1])))
            kills[-1].start()
        ended = []
        for process, kill in zip(processes, kills, strict=True):
            os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
            kill.cancel()  # before its number can be another's
            kill.join()  # no thread may be there when it forks
            ended.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        for task in tasks:
            _import(Path(task["told"]) / "modules")
        print(json.dumps(ended), file=answers, flush=True)


def _import(names: Path) -> None:
    """What one fork had to import is there for the next."""
    for name in names.read_text().split() if names.exists() else ():
        if name not in sys.modules:
            with suppress(Exception):  # some are made, not imported
                importlib.import_module(name)


def _bench(task: dict[str, Any]) -> NoReturn:
    status = 70
    try:
        for number, name in ((1, "out"), (2, "err")):
            file = os.open(Path(task["told"]) / name, os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(file, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(task["folder"])
        os.environ.update(task["environment"])
        if task["memory"]:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + task["memory"],) * 2)
        if task["files"]:
            resource.setrlimit(resource.RLIMIT_NOFILE, (task["files"],) * 2)
        if published := task["environment"].get("PUBLISHED"):
            remote.REMOTE = Path(published)
        tempfile.tempdir = None  # that of this process is another
        sys.argv = ["bench", *task["words"]]
        FAULTS.faults_arm()
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            status = 1
        FAULTS.faults_disarm()
        (Path(task["told"]) / "modules").write_text("\n".join(sys.modules))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
