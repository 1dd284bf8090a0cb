"""`bench ...` in a process of its own that costs milliseconds, with what it took."""

from __future__ import annotations

import os
import resource
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

import deepset_bench.checks.full
import deepset_bench.evaluation.evaluate_command
import deepset_bench.figures.figures_command
import deepset_bench.page.report_command
import deepset_bench.sweep.sweep_command
import deepset_bench.training.train  # noqa: F401
from deepset_bench import cli

SECONDS = 10
"""Of processor time that anything may take; a kill then. Most take less than one."""
MIB = 500
"""That anything may add to the memory of a process."""
EVERY = bool(os.environ.get("EVERY"))
"""Whether every attack is tried with every command, as by `make hostile`."""
LOG = os.environ.get("ATTEMPTS", "")
"""A file that gets seconds and MiB of each attempt."""
Words = tuple[str, ...]


class Ended(NamedTuple):
    """How a command ended: exit status, what it printed, processor time and memory it added."""

    status: int
    out: str
    err: str
    seconds: float
    mib: float


def some(commands: Sequence[Words], number: int) -> Sequence[Words]:
    """Those that an attack of this number is tried with: all, or another one for each."""
    return commands if EVERY else [commands[number % len(commands)]]


def numbered(attacks: Mapping[str, object]) -> pytest.MarkDecorator:
    """The attacks of a table, each with its number, as `number` and `attack`."""
    return pytest.mark.parametrize(
        ("number", "attack"), enumerate(attacks.values()), ids=list(attacks)
    )


def attempt(folder: Path, *words: str) -> Ended:
    """`bench WORDS` in a folder, by a fork of this process."""
    files = [folder / f".{name}" for name in ("out", "err", "memory")]
    process = os.fork()
    if process == 0:
        _bench(folder, files, words)
    _, status, used = os.wait4(process, 0)
    out, err, memory = (
        file.read_text(errors="surrogateescape") if file.exists() else "" for file in files
    )
    ended = Ended(
        os.waitstatus_to_exitcode(status),
        *(out, err),
        used.ru_utime + used.ru_stime,
        float(memory or 0),
    )
    if LOG:
        with Path(LOG).open("a") as stream:
            stream.write(f"{ended.seconds:.2f} {ended.mib:.0f} {' '.join(words)[:100]!r}\n")
    return ended


def _bench(folder: Path, files: list[Path], words: tuple[str, ...]) -> NoReturn:
    status = 99  # of a traceback
    try:
        os.chdir(folder)
        for number, file in enumerate(files[:2], 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (
            open(number, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
            for number in (1, 2)
        )
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        before = _memory("VmRSS")
        if before:
            Path("/proc/self/clear_refs").write_text("5")
        sys.argv = ["bench", *words]
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        files[2].write_text(str(max(_memory("VmHWM") - before, 0.0)))
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _memory(key: str) -> float:
    """MiB, where the system tells: now or, since it was asked to count anew, at most."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key)), 0.0)


def check_refused(ended: Ended) -> None:
    """One line for the person, no traceback, nothing that steers a terminal, little effort."""
    assert ended.status in (1, 2), ended
    assert ended.err.startswith("error: "), ended
    assert ended.err.count("\n") == 1, ended
    check_harmless(ended)


def check_harmless(ended: Ended) -> None:
    """Whatever it says: no traceback, nothing that steers a terminal, little effort."""
    assert ended.status in (0, 1, 2), ended
    assert "Traceback" not in ended.out + ended.err, ended
    assert not set(_STEERING) & set(ended.out + ended.err), ended
    assert ended.mib < MIB, ended


def check(ended: Ended, harmless: bool) -> None:
    """`check_harmless` of what a command may do without, else `check_refused`."""
    (check_harmless if harmless else check_refused)(ended)


_STEERING = "\x00\x07\x08\x0b\x0c\x1b\x7f\x9b\u202e\u2066"
