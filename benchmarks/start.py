"""How long a person waits before anything happens: processor time of commands, each on its own."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.tables import Table
from benchmarks.timing import of_threads

FEW = [f"data.{part}_size=20" for part in ("train", "val", "test")]
"""So few frames that a run is its start."""
COMPILED = ["train", "trainer.epochs=1", "compile=true", "device=cpu", *FEW, "--fresh"]
SHORT = ["train", "trainer.epochs=1", "device=cpu", "--fresh"]

# Name, what is measured, seconds of the processor that it may take.
COMMANDS = {
    "first": ("a compiled run of 20 frames, the variant's first on a machine", 10.0),
    "second": ("the same with another seed", 3.0),
    "epoch": ("`bench train trainer.epochs=1`, which compiles nothing", 2.5),
    "unscored": ("the same with `data.held_out_size=0`", 2.5),
    "help": ("`bench --help`", 0.15),
    "config": ("`bench config`", 1.0),
    "status": ("`bench status`", 1.0),
    "tables": ("`bench tables`", 2.0),
}


def measure(threads: int, repeats: int) -> list[Table]:
    """Seconds of the processor and of the clock of each command, and its bar."""
    with tempfile.TemporaryDirectory() as folder:
        words, rows = _words(folder), []
        for name, (text, bar) in COMMANDS.items():
            times = 1 if name == "first" else max(1, repeats // 10)
            measured = [_timed(folder, threads, words[name]) for _ in range(times)]
            processor, clock = (statistics.median(column) for column in zip(*measured, strict=True))
            met = "met" if processor <= bar else "missed"
            rows.append([text, f"{processor:.2f}", f"{clock:.2f}", f"{bar:g}", met])
    return [
        Table(
            f"Start, {of_threads(threads)}.",
            "Seconds of the processor, of all processes of a command, and of the clock; medians "
            "but of the first run. The bar is for the processor.",
            ["", "processor", "clock", "bar", ""],
            rows,
        )
    ]


def _words(folder: str) -> dict[str, list[str]]:
    return {
        "first": [*COMPILED, f"runs_dir={folder}/runs"],
        "second": [*COMPILED, f"runs_dir={folder}/runs", "seed=1"],
        "epoch": [*SHORT, f"runs_dir={folder}/short"],
        "unscored": [*SHORT, "data.held_out_size=0", f"runs_dir={folder}/unscored"],
        "help": ["--help"],
        "config": ["config"],
        "status": ["status", "--runs-dir", f"{folder}/runs"],
        "tables": ["tables"],
    }


def _timed(folder: str, threads: int, words: list[str]) -> tuple[float, float]:
    """Seconds of the processor and of the clock of a command with caches of its own."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "BENCH_DATA": f"{folder}/data",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiler",
    }
    program = [sys.executable, "-c", "from deepset_bench.cli import main; main()"]
    before, started = _spent(), time.perf_counter()
    subprocess.run([*program, *words], env=environment, check=True, capture_output=True)
    return _spent() - before, time.perf_counter() - started


def _spent() -> float:
    """Seconds of the processor that ended children took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
