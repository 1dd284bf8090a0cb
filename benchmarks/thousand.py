"""A thousand tiny runs by one command: in processes of this machine, and in tasks of a real Slurm.

The Slurm is that of the tests: two nodes of one core, all on this machine. It is left out where it
cannot be brought up.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.many import ONE, PROGRAM, TINY
from benchmarks.tables import Table
from benchmarks.timing import of_threads
from deepset_bench.runs import RunsFolder
from tests.sweep.slurm import CAN, WHY_NOT, cluster

PACKED = 50
"""Runs in a task."""
BAR = 3.0
"""Seconds of the processor for a run, with its share of submission, start and bookkeeping."""
_LOOK = 1.0  # seconds between two looks at a command's memory, or at the queue
_PYTHON = """#!{python}
import resource, subprocess, sys
status = subprocess.run([{python!r}, *sys.argv[1:]]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open({said!r}, "a") as file:
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3, file=file)
sys.exit(status)
"""


def measure(threads: int, repeats: int) -> list[Table]:
    """One table, of 20 runs a repeat."""
    number = 20 * repeats
    with tempfile.TemporaryDirectory() as folder:
        rows = [_local(Path(folder), threads, number)]
        if CAN:
            rows.append(_slurm(Path(folder), threads, number))
        else:
            print(f"Slurm is left out: {WHY_NOT}", file=sys.stderr)
    return [
        Table(
            f"{number:,} runs of 20 frames and one epoch, {of_threads(threads)}.",
            "Seconds of the processor of all that they take together and for each, of which its "
            f"bar is {BAR:g}; MB of the local sweep and the process that forks its runs, together, "
            "when a tenth of its time is over and at most, and of the largest process of a task; "
            "runs that were trained twice.",
            ["", "command", "runs", "a run", "MB, early", "MB, at most", "twice"],
            rows,
        )
    ]


def _local(here: Path, threads: int, number: int) -> list[str]:
    words = [*TINY, ONE, f"runs_dir={here}/local", "--seeds", str(number), "--jobs", "2"]
    process = subprocess.Popen(
        [*PROGRAM, "sweep", *words], env=_environment(threads), stdout=subprocess.DEVNULL
    )
    memory = []
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        memory.append(_memory(process.pid))
        time.sleep(_LOOK)
    _, status, used = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"bench sweep ends with status {process.returncode}")
    spent = used.ru_utime + used.ru_stime
    early, most = memory[len(memory) // 10], max(memory)
    cells = ["", f"{spent:.0f}", f"{spent / number:.2f}", f"{early:.0f}", f"{most:.0f}"]
    return ["on this machine, 2 at once", *cells, str(_twice(here / "local", number))]


def _slurm(here: Path, threads: int, number: int) -> list[str]:
    said, python = here / "said", here / "python"
    python.write_text(_PYTHON.format(python=sys.executable, said=str(said)))
    python.chmod(0o755)
    with cluster(here / "slurm", most_tasks=1001) as up:
        words = [*TINY, ONE, f"runs_dir={here}/slurm-runs", "--seeds", str(number)]
        where = [f"executor.runs_per_task={PACKED}", f"executor.python={python}"]
        command = [*PROGRAM, "sweep", *words, "executor=slurm", *where]
        environment = {**_environment(threads), "SLURM_CONF": str(up.conf)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"bench sweep ends with status {process.returncode}")
        while up.run("squeue", "--noheader"):
            time.sleep(_LOOK)
    submitting = used.ru_utime + used.ru_stime
    tasks = [tuple(map(float, line.split())) for line in said.read_text().splitlines()]
    spent = sum(seconds for seconds, _ in tasks)
    each, most = (submitting + spent) / number, max(memory for _, memory in tasks)
    cells = [f"{submitting:.1f}", f"{spent:.0f}", f"{each:.2f}", "", f"{most:.0f}"]
    title = f"submitted to Slurm, {len(tasks)} tasks of {PACKED} on two nodes"
    return [title, *cells, str(_twice(here / "slurm-runs", number))]


def _environment(threads: int) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


def _memory(process: int) -> float:
    """Resident MB of a process and of those that it started, together."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        pages = (Path(f"/proc/{one}/statm").read_text().split() for one in (process, *children))
        return sum(int(words[1]) for words in pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, IndexError):  # it has just ended
        return 0.0


def _twice(runs: Path, number: int) -> int:
    """How many runs were begun more than once; all of them have to be done."""
    every = RunsFolder(runs).every()
    if len(every) != number or not all(one.has_ended() for one in every):
        raise RuntimeError(f"{runs}: not all of {number} runs are done")
    return sum(one.log.read_text().count(" data but-2-ene: ") != 1 for one in every)
