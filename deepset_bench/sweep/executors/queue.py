"""What Slurm says of its jobs, through its own commands."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from deepset_bench.errors import UserError
from deepset_bench.sweep.executors.refusals import explained

_SECONDS = 60  # a busy controller takes its time
_FORMAT = "%F|%K|%T|%N|%r"  # array's number, task, state, node, why it waits


class Queued(NamedTuple):
    """A task that has not ended: PENDING, RUNNING, ...; its node; why it waits."""

    state: str
    node: str
    reason: str

    @property
    def is_ending(self) -> bool:
        """Whether it trains nothing any more; it may come back into the queue."""
        return self.state == "COMPLETING"


def is_there() -> bool:
    """Whether this machine has Slurm's commands."""
    return shutil.which("squeue") is not None


def told(command: Sequence[str], given: str | None = None) -> str:
    """The output of a command of Slurm's.

    Args:
        command: its words.
        given: its input.

    Raises:
        UserError: it is not there, or fails; with what it says.
    """
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        raise UserError(
            f"{command[0]} is not there; executor=slurm is for the login node of a cluster "
            "with Slurm"
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} does not answer; try again later") from None
    if done.returncode:
        said = explained(done.stderr) or f"exit status {done.returncode}"
        raise UserError(f"{command[0]} refuses: {said}")
    return done.stdout


def queued() -> dict[tuple[str, int], Queued]:
    """This user's tasks of arrays that have not ended, by the array's number and their own.

    Raises:
        UserError: see `told`.
    """
    lines = told(["squeue", "--me", "--noheader", "--array", f"--format={_FORMAT}"]).splitlines()
    found: dict[tuple[str, int], Queued] = {}
    for line in lines:
        job, task, *rest = line.split("|", 4)
        if task.isdecimal() and len(rest) == 3:
            found[job, int(task)] = Queued(*rest)
    return found


def going() -> set[tuple[str, int]]:
    """Those of them that train runs, or will; see `queued`."""
    return {key for key, one in queued().items() if not one.is_ending}
