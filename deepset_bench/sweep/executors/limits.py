"""What a cluster allows of an array job, asked before one is submitted."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from deepset_bench.errors import UserError
from deepset_bench.sweep.executors import queue

_MOST_TASKS = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Limits:
    """Each None where there is none, or none that Slurm tells.

    Attributes:
        seconds: that a task may take.
        tasks: in one array.
    """

    seconds: int | None = None
    tasks: int | None = None


def asked(partition: str | None) -> Limits:
    """Those of a partition, of several with commas between, or (None) of the usual one."""
    longest: int | None = None
    with suppress(UserError):
        given = [f"--partition={partition}"] if partition else []
        lines = queue.told(["sinfo", "--noheader", "--format=%P|%l", *given]).splitlines()
        each = [line.split("|", 1) for line in lines if "|" in line]
        times = [seconds(time) for name, time in each if partition or name.endswith("*")]
        known = [time for time in times if time is not None]
        longest = max(known) if known and len(known) == len(times) else None
    tasks: int | None = None
    with suppress(UserError):
        if found := _MOST_TASKS.search(queue.told(["scontrol", "show", "config"])):
            tasks = int(found[1]) or None  # 0: no arrays, which sbatch says
    return Limits(longest, tasks)


def seconds(text: str) -> int | None:
    """A time as Slurm has it, `30` (minutes), `02:30:00`, `1-12` (days, hours); None for others."""
    days, dash, rest = text.partition("-") if "-" in text else ("0", "", text)
    parts = rest.split(":")
    if not all(part.isdecimal() for part in (days, *parts)) or len(parts) > 3:
        return None
    numbers = [int(part) for part in parts]
    if not dash and len(numbers) < 3:
        numbers.insert(0, 0)  # minutes come first
    hours, minutes, left = [*numbers, 0, 0][:3]
    return ((int(days) * 24 + hours) * 60 + minutes) * 60 + left


def written(time: int) -> str:
    """Seconds as Slurm reads them: `02:30:00`."""
    return f"{time // 3600:02}:{time // 60 % 60:02}:{time % 60:02}"
