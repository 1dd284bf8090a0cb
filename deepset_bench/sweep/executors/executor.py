"""What a sweep asks of the place where its runs are trained.

How a run stands is read from its folder, never asked of an executor. So what an executor starts is
to see the run folders, and to hold a run while it trains it (`RunFolder.lock`), as
`deepset_bench.training.train.train` does; then any number of sweeps may share the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from deepset_bench import registry
from deepset_bench.sweep.plan import Run


@dataclass(frozen=True)
class End:
    """How a job ended.

    Attributes:
        reason: why a run of it that has not ended is not trained any more, for a run that could not
            write so itself, as in `its process ended with signal 9`.
        busy: another process was training one of the runs, which are to be tried again.
        stopped: it was asked to stop, and left a checkpoint.
    """

    reason: str = ""
    busy: bool = False
    stopped: bool = False


class Job(Protocol):
    """Runs of one variant that were started together, each with a seed of its own."""

    @property
    def runs(self) -> Sequence[Run]:
        """As they were given to `Executor.start`."""

    def end(self) -> End | None:
        """How it ended; None while it goes on. Asked several times a second."""


J = TypeVar("J", bound=Job)


class Share(Protocol):
    """How runs are shared out."""

    @property
    def jobs(self) -> int:
        """How many at once."""

    @property
    def stack(self) -> int:
        """The most runs in one of them."""


class Executor(Share, Protocol[J]):
    """Trains runs, several jobs at once."""

    def start(self, runs: Sequence[Run], slot: int, group: str) -> J:
        """Begin to train runs whose folders are there.

        Args:
            runs: one, or several seeds of one variant.
            slot: from 0 to `jobs` - 1; no other job that goes on has it.
            group: name of the sweep's runs in W&B, unless the environment has one.
        """

    def ask_to_stop(self, jobs: Sequence[J]) -> None:
        """Let jobs end at their next checkpoint; return at once."""

    def stop(self, jobs: Sequence[J]) -> None:
        """End jobs, which keep their checkpoints; return once all have ended.

        A second Ctrl-C meanwhile does not wait for them.
        """


@runtime_checkable
class Submitting(Share, Protocol):
    """Hands runs to a batch system, which trains them whether the sweep's process lives or not."""

    def taken(self, root: Path) -> set[str]:
        """Folders, below that of the runs, of runs that the batch system has to train still."""

    def script(self, runs: Sequence[Run], root: Path, name: str) -> str:
        """What would be submitted."""

    def submit(self, runs: Sequence[Run], root: Path, name: str) -> list[str]:
        """Submit runs; returns lines that tell a person what was, how to watch and to cancel it.

        Args:
            runs: that nobody trains.
            root: the folder of the runs.
            name: of the sweep.
        """


Make = Callable[
    [Sequence[Run], int | None, int | None, Mapping[str, Any]], Executor[Any] | Submitting
]
"""Of all runs of a sweep, jobs at once, runs a job (None where the executor is to choose) and the
executor's settings."""


def executor(name: str) -> Make:
    """What makes the executor of a name; see `deepset_bench.variants.executor`.

    Raises:
        UserError: there is none.
    """
    make: Make = registry.find("executor", name).load()
    return make
