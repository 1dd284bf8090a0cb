"""Commands of the program, each in a fork of one process, killed or failed at a call or a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.test_cli import ROOT

CAN = sys.platform == "linux" and shutil.which("cc") is not None
WHY_NOT = "needs Linux and a C compiler: calls of the system fail by a library loaded before libc"
CHANGES = "cwsrmd"
"""The calls that change files, as `faults.c` calls them."""


@dataclass(frozen=True)
class Fault:
    """Which call is struck; see `faults.c`.

    Attributes:
        at: of those that count, from 1; 0 for none of them.
        code: what it fails with; 0 kills.
        sticky: whether all later ones fail, too.
        kinds: those that count.
        part: of the path of those that count.
    """

    at: int = 0
    code: int = 0
    sticky: bool = False
    kinds: str = CHANGES
    part: str = "/"


NONE = Fault()


@dataclass(frozen=True)
class Task:
    """One command.

    Attributes:
        words: of the command line.
        below: the folder whose files count; it works in it.
        fault: what befalls it.
        environment: beside the server's.
        seconds: after which it is killed.
        memory: bytes that it may have beyond those of the server; None for any.
        files: how many it may have open; None for as many as usual.
    """

    words: Sequence[str]
    below: Path
    fault: Fault = NONE
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    memory: int | None = None
    files: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, negative for a signal; what it printed; its calls."""

    status: int
    out: str
    err: str
    calls: list[str]


class Forks(ExitStack):
    """The server, for as long as `with` lasts."""

    def __enter__(self) -> Forks:
        home = Path(self.enter_context(tempfile.TemporaryDirectory()))
        library, self._home, self._number = home / "faults.so", home, 0
        source = Path(__file__).with_name("faults.c")
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
        self._server = self.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.kill.server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment | {"PYTHONPATH": str(ROOT), "TMPDIR": str(home)},
                cwd=ROOT,
                text=True,
            )
        )
        return self

    def bench(self, *words: str, below: Path, **options: Any) -> Ended:
        """One command."""
        (ended,) = self.at_once([Task(words, below, **options)])
        return ended

    def at_once(self, tasks: Sequence[Task]) -> list[Ended]:
        """Commands side by side."""
        asked, places = [], []
        for task in tasks:
            self._number += 1
            place = self._home / str(self._number)
            place.mkdir()
            fault = task.fault
            said = f"{fault.kinds} {fault.at} {fault.code} {fault.sticky:d} {fault.part}"
            environment = {"FAULT": f"{said} {task.below}", "FAULT_LOG": str(place / "calls")}
            environment["FAULT_COUNT"] = str(place / "count")
            environment["BENCH_DATA"] = os.environ["BENCH_DATA"]
            places.append(place)
            asked.append(
                {
                    **{"words": list(task.words), "folder": str(task.below), "told": str(place)},
                    "environment": environment | task.environment,
                    **{"seconds": task.seconds, "memory": task.memory, "files": task.files},
                }
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(asked), file=self._server.stdin, flush=True)
        statuses = json.loads(self._server.stdout.readline())
        ended = []
        for status, place in zip(statuses, places, strict=True):
            out, err, calls = (
                path.read_text(errors="replace") if path.exists() else ""
                for path in (place / "out", place / "err", place / "calls")
            )
            ended.append(Ended(status, out, err, calls.splitlines()))
            shutil.rmtree(place)
        return ended
