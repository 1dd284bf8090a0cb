"""A whole short run against the sum of its bare steps: what the loop itself costs."""

from __future__ import annotations

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks.runs import brief_run
from benchmarks.step import CONTENDERS, step_of
from benchmarks.tables import Table
from benchmarks.timing import as_in_training, interleaved
from deepset_bench.training import checkpoint, train
from deepset_bench.training.step import SingleOptimisation

EPOCHS = 10
TRAIN, BATCH = 1000, 20
STEPS = TRAIN // BATCH
RUN = (
    f"trainer.epochs={EPOCHS}",
    f"trainer.batch_size={BATCH}",
    f"data.train_size={TRAIN}",
    "data.val_size=100",
    "compile=false",
)
PARTS = {
    "setup": (train, "prepare"),
    "loop": (train, "fit"),
    "steps": (SingleOptimisation, "train"),
    "validation": (SingleOptimisation, "validate"),
    "checkpoints": (checkpoint, "save"),
}


@contextmanager
def stopwatches() -> Iterator[dict[str, float]]:
    """Seconds spent in each of PARTS while it is open; the product's code stays free of clocks."""
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.perf_counter() - started

        return call

    with ExitStack() as stack:
        for name, (owner, attribute) in PARTS.items():
            function = timed(name, getattr(owner, attribute))
            stack.enter_context(patch.object(owner, attribute, function))
        yield spent


def peak_memory_mb() -> float:
    """Largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def measure(threads: int, _: int) -> list[Table]:
    """Where the time of a run goes, epochs a minute, and the memory of the process."""
    as_in_training(threads)
    bare_step = step_of(CONTENDERS[1], RUN)
    assert bare_step is not None
    interleaved({"warm-up": bare_step}, repeats=1)
    with stopwatches() as spent:

        def bare_epoch() -> None:
            """As many bare steps after each epoch, so that a busy moment meets both."""
            within = dict(spent)
            started = time.perf_counter()
            for number in range(STEPS):
                bare_step(number)
            bare = within.get("bare", 0.0) + time.perf_counter() - started
            # These steps went through the same stopwatches; only their own entry may keep them.
            spent.clear()
            spent.update(within, bare=bare)

        with brief_run(*RUN, f"threads={threads}", after_epoch=bare_epoch):
            pass
    whole = spent["loop"] - spent["bare"]
    parts = {
        "bare steps": spent["bare"],
        "steps within the run": spent["steps"],
        "validation (100 frames an epoch)": spent["validation"],
        "checkpoints": spent["checkpoints"],
        "the rest (order of frames, metrics.csv)": whole
        - spent["steps"]
        - spent["validation"]
        - spent["checkpoints"],
        "whole loop": whole,
    }
    rows = [
        [name, f"{1e3 * seconds / EPOCHS:.0f}", f"{100 * seconds / whole:.1f} %"]
        for name, seconds in parts.items()
    ]
    return [
        Table(
            f"An epoch of {TRAIN:,} frames, {threads} thread{'s' * (threads > 1)}.",
            f"Baseline, fused, batches of {BATCH}; {60 * EPOCHS / whole:.0f} epochs a minute; "
            f"{spent['setup']:.1f} s before the first step; "
            f"largest resident memory {peak_memory_mb():,.0f} MB.",
            ["", "ms per epoch", "share"],
            rows,
        )
    ]
