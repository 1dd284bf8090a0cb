"""What a sweep asks of the place where its runs are trained.

How a run stands is read from its folder, never asked of an executor. So what an executor starts is
to see the run folders, and to hold a run while it trains it (`RunFolder.lock`), as
`deepset_bench.training.train.train` does; then any number of sweeps may share the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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


class Executor(Protocol[J]):
    """Trains runs, several jobs at once."""

    @property
    def jobs(self) -> int:
        """How many at once."""

    @property
    def stack(self) -> int:
        """The most runs in one of them."""

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


Make = Callable[[Sequence[Run], int | None, int | None], Executor[Any]]
"""Of all runs of a sweep, jobs at once, and runs a job; None where the executor is to choose."""


def executor(name: str) -> Make:
    """What makes the executor of a name; see `deepset_bench.variants.executor`.

    Raises:
        UserError: there is none.
    """
    make: Make = registry.find("executor", name).load()
    return make
