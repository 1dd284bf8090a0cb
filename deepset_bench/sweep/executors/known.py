"""What `bench sweep --executor` takes; a new executor is a file beside this, and its name here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepset_bench.errors import UserError, nearest
from deepset_bench.sweep.executors.executor import Executor
from deepset_bench.sweep.executors.local import share_out
from deepset_bench.sweep.plan import Run

Make = Callable[[Sequence[Run], int | None, int | None], Executor[Any]]
"""Of all runs of a sweep, jobs at once, and runs a job; None where the executor is to choose."""

EXECUTORS: dict[str, Make] = {"local": share_out}


def executor(name: str) -> Make:
    """What makes the executor of a name.

    Raises:
        UserError: there is none (the message has the nearest names).
    """
    if name not in EXECUTORS:
        raise UserError(f"unknown executor {name!r}; {nearest(name, EXECUTORS)}")
    return EXECUTORS[name]
