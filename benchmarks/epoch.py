"""Whole runs: what is not their steps, and what they take of time and memory."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks.tables import Table
from benchmarks.timing import in_fresh_process, of_threads
from deepset_bench.config import experiment
from deepset_bench.training import checkpoint, train
from deepset_bench.training.step import SingleOptimisation

PARTS = {
    "before the first step": (train, "prepare"),
    "steps": (SingleOptimisation, "train"),
    "validation": (SingleOptimisation, "validate"),
    "checkpoints": (checkpoint, "save"),
}


RUNS: dict[str, list[str]] = {
    "The default run": [],
    "With 20 frames in a batch": ["scalars=cub_sqrt", "trainer.batch_size=20"],
}

BAR = 75.0
"""Seconds that the default run may take from nothing, on two idle cores."""
LOOP = ("steps", "validation", "checkpoints", "rest")


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


def peak_memory_mib() -> float:
    """Largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def measure(threads: int, _: int) -> list[Table]:
    """Where the time of `bench train` goes, its epochs a minute, and its memory."""
    # Each in a process of its own, so that its memory is its own.
    return [
        in_fresh_process(whole_run, name, overrides, threads) for name, overrides in RUNS.items()
    ]


def whole_run(name: str, overrides: list[str], threads: int) -> Table:
    """One of RUNS from its first line of Python on."""
    ended: list[tuple[float, dict[str, float]]] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        # Nothing kept from earlier runs, by the compiler or by us.
        empty = {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiler", "BENCH_DATA": f"{folder}/data"}
        stack.enter_context(patch.dict("os.environ", empty))
        wanted = experiment(
            [*overrides, f"threads={threads}", f"runs_dir='{folder}'", "device=cpu"]
        )
        spent = stack.enter_context(stopwatches())
        started = time.perf_counter()
        train.train([wanted], on_epoch=lambda *_: ended.append((time.perf_counter(), dict(spent))))
        whole = time.perf_counter() - started
    # The first epoch compiles; it is as long as the others but for that.
    (first, by_then), (last, in_all) = ended[0], ended[-1]
    epochs, scale = len(ended), len(ended) / (len(ended) - 1)
    seconds = {name: scale * (in_all[name] - by_then.get(name, 0.0)) for name in LOOP[:-1]}
    loop = scale * (last - first)
    seconds |= {
        "before the first step": spent["before the first step"],
        "rest": loop - sum(seconds.values()),
        "end": whole - (last - started),
    }
    seconds["compiling"] = last - started - loop - seconds["before the first step"]
    names = {
        "before the first step": "data, tables, model",
        "compiling": "compiling, nothing kept from earlier runs, and imports for it",
        "steps": "steps",
        "validation": "validation, every epoch",
        "checkpoints": "checkpoints",
        "rest": "the rest (order of frames, metrics.csv)",
        "end": "errors of the best checkpoint, on 4,900 held-out frames, too",
    }
    rows = [
        [name, f"{seconds[key]:.1f}", f"{100 * seconds[key] / loop:.1f} %" if key in LOOP else "—"]
        for key, name in names.items()
    ]
    rows.append(["all", f"{whole:.1f}", "—"])
    bar = ""
    if not overrides and threads == 2:
        met = "met" if whole <= BAR else f"missed by a factor of {whole / BAR:.1f}"
        bar = f" The bar is {BAR:.0f} s for all of it: {met}."
    outside = 100 * (loop - seconds["steps"]) / seconds["steps"]
    return Table(
        f"`{' '.join(['bench train', *overrides])}`, {of_threads(threads)}.",
        f"{name}: {epochs} epochs of 1,000 frames, {60 * epochs / loop:.0f} epochs a minute; "
        f"outside the steps {outside:.1f} % of them; "
        f"largest resident memory {peak_memory_mib():,.0f} MiB.{bar}",
        ["", "s", "share of the loop"],
        rows,
    )
