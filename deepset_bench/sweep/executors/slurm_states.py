"""How submitted runs stand: their folders say most, Slurm's queue and the tasks' logs the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.record import RunRecord
from deepset_bench.sweep.executors import queue, ranges, submitted
from deepset_bench.sweep.executors.queue import Queued
from deepset_bench.sweep.status import Standing, standing

BEGINS = "task begins on "
"""What a task's log has each time that it starts to train."""
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
_AGAIN = "the same bench sweep goes on"
_NEVER = {
    "PartitionConfig": "no node of this partition has so many cores or GPUs",
    "PartitionTimeLimit": "no task of this partition may take so long",
    "BadConstraints": "no node has what is asked for",
}
"""Reasons for which Slurm lets a task wait for ever."""
_OPEN = ("queued", "running", "interrupted")
"""States of a run that a task may still be about."""


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
    of_run = {
        run.path: place
        for run, stands in found
        if stands.state in _OPEN
        and (place := places.get(submitted.below(run.path, root))) is not None
    }
    gone = {
        f"{one.job}_{task}": one.log(task)
        for one, task in of_run.values()
        if waiting is None or (one.job, task) not in waiting
    }
    why = ended(gone)
    told = []
    for run, stands in found:
        if (place := of_run.get(run.path)) is not None:
            one, task = place
            stands = replace(stands, job=f"{one.job}_{task}")
            if waiting is None or stands.state == "running":
                stands = replace(stands, reason=why.get(stands.job) or stands.reason)
            elif here := waiting.get((one.job, task)):
                stands = _waiting(stands, here, begun=stands.epoch > 0 or one.log(task).exists())
            else:
                stands = _left(run, stands, why.get(stands.job, ""))
        told.append((run, stands))
    return told


def _waiting(stands: Standing, here: Queued, *, begun: bool) -> Standing:
    """A run that is not trained just now, whose task is in Slurm's hands.

    Args:
        stands: by its folder.
        here: the task.
        begun: whether it ran before.
    """
    if here.is_ending:
        return replace(stands, state="queued", reason="its task is ending")
    if here.state == "RUNNING":
        return replace(stands, state="queued", reason=f"its task runs on {here.node}")
    why = f" ({here.reason})" if here.reason not in ("", "None") else ""
    if here.reason in _NEVER:
        why = f", for ever: {_NEVER[here.reason]}; bench cancel it, and ask for less"
    where = "requeued" if begun else "in Slurm's queue"
    return replace(stands, state="queued", reason=where + why)


def _left(run: RunRecord, stands: Standing, why: str) -> Standing:
    """A run whose task is gone, unless it has ended since it was looked at."""
    now = standing(run, stands.epochs)
    if now.state not in _OPEN:
        return now
    reason = why or stands.reason or f"no task of Slurm has it any more; {_AGAIN}"
    return replace(stands, state="interrupted", reason=reason)


def ended(logs: Mapping[str, Path]) -> dict[str, str]:
    """How tasks that are gone ended, by their logs, else by sacct where there is one.

    Args:
        logs: number of a task -> what it said.

    Returns:
        Number -> why, of those of which that is known.
    """
    found = {task: _logged(log) for task, log in logs.items()}
    if unknown := {task.partition("_")[0] for task, meaning in found.items() if not meaning}:
        accounted = _accounted(unknown)
        found = {task: meaning or accounted.get(task, "") for task, meaning in found.items()}
    return {task: f"{meaning}; {_AGAIN}" for task, meaning in found.items() if meaning}


def _accounted(jobs: Collection[str]) -> dict[str, str]:
    """What sacct knows of the tasks of jobs; a line of its may be about several."""
    found: dict[str, str] = {}
    command = ["sacct", f"--jobs={','.join(sorted(jobs))}", "--allocations", "--noheader"]
    with suppress(UserError):
        for line in queue.told([*command, "--parsable2", "--format=JobID,State"]).splitlines():
            name, _, state = line.partition("|")
            job, _, tasks = name.partition("_")
            meaning = _ACCOUNTED.get(state.partition(" ")[0], "")
            found |= {f"{job}_{number}": meaning for number in ranges.members(tasks)}
    return found


def _logged(log: Path) -> str:
    with suppress(OSError), log.open("rb") as stream:
        before = max(log.stat().st_size - _TAIL, 0)
        stream.seek(before)
        text = stream.read().decode("utf-8", "replace")
        _, begun, last = text.rpartition(BEGINS)
        lines = [line for line in last.splitlines() if "DUE TO JOB REQUEUE" not in line]
        for sign, meaning in _ENDS.items():
            if any(sign in line for line in lines):
                return meaning
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if said.startswith("error: ") or (said and not begun and not before):
            return f"its task ended with {said.removeprefix('error: '):.200}"
    return ""
