"""Jobs that a process beside the sweep forks for it; see `forking`, which is its other side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deepset_bench.sweep.executors.child import BUSY, GRACE
from deepset_bench.sweep.executors.executor import End
from deepset_bench.sweep.plan import Run
from deepset_bench.training.stopping import REQUEUE


@dataclass
class Forker:
    """The process that forks; it is started with its first job, and again if it has died."""

    _process: subprocess.Popen[bytes] | None = None
    _ended: dict[int, int] = field(default_factory=dict)
    _last: int = 0
    _rest: bytes = b""

    def start(
        self,
        command: Sequence[str],
        common: dict[str, str],
        runs: Sequence[Run],
        own: dict[str, str],
    ) -> Forked:
        """Begin a job.

        Args:
            command: of the process that forks.
            common: the environment of all jobs.
            runs: of the job, whose folders are there.
            own: what the job's environment has beside it.
        """
        if self._process is None or self._process.poll() is not None:
            if self._process is not None:
                self._let_go(self._process)
            self._begin(command, common, runs[0])
        assert self._process is not None
        assert self._process.stdin is not None
        self._last += 1
        log = str(runs[0].folder.log.absolute())
        request = [self._last, [run.overrides for run in runs], log, own]
        with suppress(BrokenPipeError):  # it has died, which the job tells
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        return Forked(runs, self, self._process, self._last)

    def status(self, process: subprocess.Popen[bytes], number: int) -> int | None:
        """The exit status of a job; None while it goes on.

        Raises:
            ChildProcessError: the process that forked it has died, with which signal or status.
        """
        died = process.poll()
        self._read(process)  # all that it said, where it has died
        if number in self._ended:
            return self._ended.pop(number)
        if died is None:
            return None
        # What it forked goes on without it, with nobody to say how it ends.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise ChildProcessError(how(died))

    def ask_to_stop(self) -> None:
        """Let every job end at its next checkpoint."""
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Let every job stop, and kill what has not after a while."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(GRACE + 2)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._let_go(self._process)
        self._process = None

    def _begin(self, command: Sequence[str], common: dict[str, str], first: Run) -> None:
        with first.folder.log.open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=common,
                start_new_session=True,  # Ctrl-C is for the sweep, which then stops its processes
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._rest = b""

    def _let_go(self, process: subprocess.Popen[bytes]) -> None:
        """Close the pipes of a process that has ended; what it said is kept."""
        self._read(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        with suppress(BrokenPipeError):  # what it could not read any more
            process.stdin.close()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        if process.stdout.closed:
            return
        with suppress(BlockingIOError):
            while read := os.read(process.stdout.fileno(), 1 << 16):
                *lines, self._rest = (self._rest + read).split(b"\n")
                self._ended |= dict(map(json.loads, lines))


@dataclass
class Forked:
    """A job: a number that the process which forks gives back with how it ended."""

    runs: Sequence[Run]
    forker: Forker
    process: subprocess.Popen[bytes]
    number: int

    def end(self) -> End | None:
        """See `Job`."""
        try:
            status = self.forker.status(self.process, self.number)
        except ChildProcessError as died:
            return End(f"the process that starts the runs ended with {died}")
        if status is None:
            return None
        return End(f"its process ended with {how(status)}", status == BUSY, status == REQUEUE)


def how(status: int) -> str:
    """An exit status in words; a negative one is a signal."""
    if status == -signal.SIGKILL and kills_for_memory() > _BEFORE:
        return "signal 9: killed for memory; ask for more, or for fewer jobs at once"
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def kills_for_memory(root: Path = Path("/")) -> int:
    """How often the kernel killed a process of this control group, a job's on a cluster."""
    with suppress(OSError, ValueError, StopIteration):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        kinds = {kind: path.lstrip("/") for _, kind, path in (ln.split(":", 2) for ln in lines)}
        if "memory" in kinds:  # version 1
            place = root / "sys/fs/cgroup/memory" / kinds["memory"] / "memory.oom_control"
        else:
            place = root / "sys/fs/cgroup" / kinds.get("", "") / "memory.events"
        words = (line.split() for line in place.read_text().splitlines())
        return int(next(number for name, number in words if name == "oom_kill"))
    return 0


_BEFORE = kills_for_memory()
