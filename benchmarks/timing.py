"""What to say about times, and about the machine that they are from."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from typing import Any

import numpy as np

from deepset_bench.processor import model_name


def in_fresh_process(function: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """What a function returns in a process with its own thread count and peak memory."""
    # Not forked: threads that torch started here would be missing there.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *given, **options).result()


def milliseconds(seconds: np.ndarray) -> str:
    """The median, for a table."""
    value = 1e3 * float(np.median(seconds))
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(slow: np.ndarray, fast: np.ndarray) -> float:
    """How many times faster: the median over rounds of the ratio within the round."""
    return float(np.median(slow / fast))


def of_threads(count: int) -> str:
    """What a table's title says of where its times are from."""
    return f"{count} thread{'s' * (count > 1)} of {model_name()}"


def machine() -> str:
    """Processor, cores and versions, as one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torch-geometric"))
    python = f"{platform.system()}, Python {platform.python_version()}"
    return f"{model_name()}, {os.cpu_count()} cores, {python}, {versions}"
