"""Fair timing on a machine that may be busy, and what to say about the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepset_bench.denormals import start_threads
from deepset_bench.training.computing import deterministic


def in_fresh_process(function: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """What a function returns in a process with its own thread count and peak memory."""
    # Not forked: threads that torch started here would be missing there.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *given, **options).result()


def interleaved(
    functions: Mapping[str, Callable[[int], object]],
    repeats: int,
    warmup: int = 10,
    calls: int = 1,
) -> dict[str, np.ndarray]:
    """Seconds of each call, (repeats,) for each function.

    The functions take turns within one process, so a busy moment meets all of them. Each gets the
    number of the round, from which it may choose its input.

    Args:
        functions: what is called.
        repeats: rounds that count.
        warmup: rounds before them.
        calls: in a turn, of which the mean counts: what is called again and again in its use finds
            the processor's caches as it left them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(warmup + repeats):
        for name, function in functions.items():
            started = time.perf_counter()
            for _ in range(calls):
                function(number)
            seconds[name].append((time.perf_counter() - started) / calls)
    return {name: np.array(values[warmup:]) for name, values in seconds.items()}


def milliseconds(seconds: np.ndarray) -> str:
    """The median, for a table."""
    value = 1e3 * float(np.median(seconds))
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(slow: np.ndarray, fast: np.ndarray) -> float:
    """How many times faster: the median over rounds of the ratio within the round."""
    return float(np.median(slow / fast))


def processor() -> str:
    """Its model, as the system names it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def of_threads(count: int) -> str:
    """What a table's title says of where its times are from."""
    return f"{count} thread{'s' * (count > 1)} of {processor()}"


def machine() -> str:
    """Processor, cores and versions, as one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torch-geometric"))
    python = f"{platform.system()}, Python {platform.python_version()}"
    return f"{processor()}, {os.cpu_count()} cores, {python}, {versions}"


def as_in_training(threads: int) -> None:
    """The state of torch under which `deepset_bench.training.train` runs."""
    torch.set_num_threads(threads)
    start_threads()
    deterministic()
