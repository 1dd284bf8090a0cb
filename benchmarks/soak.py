"""`python -m benchmarks soak`: a sweep of very many short runs, watched while it lasts.

What must not grow: the processor's time a run, the memory of the process that forks the runs and of
the sweep, the time that `bench status` takes for as many runs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.many import ONE, PROGRAM, TINY
from deepset_bench.runs import RESULT

_LOOK = 20.0
"""Seconds between two looks."""


@dataclass(frozen=True)
class Look:
    """What was seen at a time.

    Attributes:
        seconds: since the sweep began.
        done: runs that had ended.
        processor: seconds of it that all processes had taken.
        memory: MB of each process that lasts.
        status: seconds that `bench status` took.
    """

    seconds: float
    done: int
    processor: float
    memory: tuple[float, ...]
    status: float


def main(words: Sequence[str]) -> None:
    """Print a line a look; exit status 1 if something grew."""
    options = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    options.add_argument("--runs", type=int, default=500, help="of each sweep (500)")
    options.add_argument("--minutes", type=float, default=0.0, help="sweeps go on for so long (0)")
    options.add_argument("--jobs", type=int, default=1, help="runs at the same time (1)")
    asked = options.parse_args(words)
    grown: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        print("| s | runs done | processor / s | memory / MB | status / s |", flush=True)
        print("| --: | --: | --: | --- | --: |", flush=True)
        for number in itertools.count():
            looks: list[Look] = []
            for look in _sweep(Path(folder) / str(number), asked.runs, asked.jobs):
                looks.append(look)
                memory = ", ".join(f"{one:.0f}" for one in look.memory)
                cells = f"{time.monotonic() - began:.0f} | {look.done} | {look.processor:.0f}"
                print(f"| {cells} | {memory} | {look.status:.2f} |", flush=True)
            grown += _grown(looks)
            if time.monotonic() - began > 60 * asked.minutes:
                break
    print("\n".join(grown) or "memory is flat")
    sys.exit(bool(grown))


def _sweep(runs: Path, count: int, jobs: int) -> Iterator[Look]:
    words = ["sweep", *TINY, ONE, f"runs_dir={runs}", "--seeds", str(count), "--jobs", str(jobs)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    with subprocess.Popen(
        [*PROGRAM, *words], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            time.sleep(min(_LOOK, 1 + (time.monotonic() - began) / 4))
            if process.poll() is None:
                yield _look(process.pid, runs, time.monotonic() - began)
        if process.returncode:
            raise RuntimeError(f"the sweep ended with {process.returncode}")


def _look(sweep: int, runs: Path, seconds: float) -> Look:
    lasting = [sweep, *_children(sweep)]
    processor = sum(_processor(one) for one in lasting)
    memory = tuple(_memory(one) for one in lasting)
    done = sum(1 for _ in runs.rglob(RESULT))
    began = time.monotonic()
    subprocess.run(
        [*PROGRAM, "status", "--runs-dir", str(runs)], check=True, stdout=subprocess.DEVNULL
    )
    return Look(seconds, done, processor, memory, time.monotonic() - began)


def _children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(number) for number in text.split()]


def _processor(process: int) -> float:
    """Seconds that a process and those of its own that have ended took."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> float:
    """MB of a process, with those that it shares with its forks."""
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _grown(looks: Sequence[Look]) -> list[str]:
    """What the last look has more of than one of the first; prints what a run took."""
    early = next((look for look in looks if look.done >= 20), looks[0])
    last = looks[-1]
    grown = []
    for name, before, after in zip(("sweep", "forking"), early.memory, last.memory, strict=False):
        if after > 1.2 * before + 20:
            grown.append(f"memory of the {name} process: {before:.0f} to {after:.0f} MB")
    if last.done > early.done:
        each = (last.processor - early.processor) / (last.done - early.done)
        print(f"{each:.2f} s of the processor a run")
    return grown
