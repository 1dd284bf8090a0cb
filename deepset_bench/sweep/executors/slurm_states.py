"""How submitted runs stand: their folders say most, Slurm's queue and the tasks' logs the rest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.record import RunRecord
from deepset_bench.sweep.executors import queue, submitted
from deepset_bench.sweep.executors.queue import Queued
from deepset_bench.sweep.status import Standing

BEGINS = "task begins on "
"""What a task's log has each time that it starts."""
_TAIL = 4096  # bytes of a log that say how it ended
_ENDS = {
    "exceeded memory limit": "killed for memory",
    "oom-kill": "killed for memory",
    "oom_kill": "killed for memory",
    "DUE TO TIME LIMIT": "timed out",
    "DUE TO NODE FAILURE": "its node failed",
    "DUE TO PREEMPTION": "preempted",
    "CANCELLED AT": "cancelled",
}
"""What slurmstepd writes into a task's log -> what it means; the first that is there counts."""
_ACCOUNTED = {"OUT_OF_MEMORY": "killed for memory", "TIMEOUT": "timed out"}
_ACCOUNTED |= {"NODE_FAIL": "its node failed", "PREEMPTED": "preempted", "CANCELLED": "cancelled"}
"""The same of sacct's states."""


def with_slurm(
    found: Sequence[tuple[RunRecord, Standing]], root: Path
) -> list[tuple[RunRecord, Standing]]:
    """What is known of runs that were submitted and have not ended, added.

    Args:
        found: runs, and where they stand by their folders.
        root: of the runs.
    """
    places = submitted.places(root) if (root / submitted.FOLDER).is_dir() else {}
    if not places:
        return list(found)
    waiting: dict[tuple[str, int], Queued] | None = None
    if queue.is_there():
        with suppress(UserError):  # the folders tell all the same
            waiting = queue.queued()
    told = []
    for run, stands in found:
        place = places.get(submitted.below(run.path, root))
        if place is not None and stands.state in ("queued", "running", "interrupted"):
            one, task = place
            here = None if waiting is None else waiting.get((one.job, task), _GONE)
            stands = _with(stands, f"{one.job}_{task}", one.log(task), here)
        told.append((run, stands))
    return told


_GONE = Queued("", "", "")


def _with(stands: Standing, job: str, log: Path, here: Queued | None) -> Standing:
    """What a run's task makes of how the run stands.

    Args:
        stands: by its folder.
        job: number of the task.
        log: of the task.
        here: how the task stands; None where Slurm cannot be asked.
    """
    if stands.state == "running":
        return replace(stands, job=job)
    if here is None or here == _GONE:
        return replace(stands, job=job, reason=ended(log, job) or stands.reason)
    if here.state == "RUNNING":
        return replace(stands, state="queued", job=job, reason=f"its task runs on {here.node}")
    begun = stands.epoch > 0 or log.exists()
    why = f" ({here.reason})" if here.reason not in ("", "None") else ""
    where = "requeued" if begun else "in Slurm's queue"
    return replace(stands, state="queued", job=job, reason=where + why)


def ended(log: Path, job: str) -> str:
    """How a task that is gone ended, by its log, else by sacct where there is one."""
    meaning = _logged(log)
    if not meaning:
        with suppress(UserError):
            command = ["sacct", "--jobs", job, "--allocations", "--noheader", "--parsable2"]
            state = queue.told([*command, "--format=State"]).strip().partition(" ")[0]
            meaning = _ACCOUNTED.get(state, "")
    return f"{meaning}; the same bench sweep goes on" if meaning else ""


def _logged(log: Path) -> str:
    with suppress(OSError), log.open("rb") as stream:
        stream.seek(max(log.stat().st_size - _TAIL, 0))
        text = stream.read().decode("utf-8", "replace")
        last = text.rpartition(BEGINS)[2]
        lines = [line for line in last.splitlines() if "DUE TO JOB REQUEUE" not in line]
        found = (meaning for sign, meaning in _ENDS.items() if any(sign in one for one in lines))
        return next(found, "")
    return ""
