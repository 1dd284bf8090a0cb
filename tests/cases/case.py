"""One input that a person may have, what is typed for it, and what is to happen."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

FILES = Path(__file__).parent / "files"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """Commands and what the last of them is to do.

    Attributes:
        id: of the table, as `S1`; several cases may share one.
        bench: command lines without `bench`, run one after another in an empty folder. `{files}`
            is the folder of the handed files, `{here}` the empty folder.
        says: regular expressions that are all found in what the last command prints.
        status: its exit status; the commands before it must end with 0.
        silent: regular expressions that are not found there.
        needs: modules without which the case is skipped.
        prepare: makes what else the commands need in the empty folder.
        environment: variables to set, with `{here}` as above, or to remove for None; the commands
            are then processes of their own.
    """

    id: str
    bench: tuple[str, ...]
    says: tuple[str, ...] = ()
    status: int = 0
    silent: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = lambda folder: None
    environment: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """What it needs and is not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]

    def run(self, folder: Path) -> tuple[int, str]:
        """Exit status and output of the last command that ran; a traceback is an exception."""
        self.prepare(folder)
        status, output = 0, ""
        for line in self.bench:
            words = shlex.split(line.format(files=FILES, here=folder))
            run = self._process if self.environment else _inside
            status, output = run(words, folder)
            if status and line is not self.bench[-1]:
                return status, f"{line} failed: {output}"
        return status, output

    def wrong(self, status: int, output: str) -> list[str]:
        """What is not as it should be, of an outcome."""
        found = [] if status == self.status else [f"exit status {status}, not {self.status}"]
        found += [f"does not say '{text}'" for text in self.says if not re.search(text, output)]
        return found + [f"says '{text}'" for text in self.silent if re.search(text, output)]

    def says_in(self, line: str) -> bool:
        """Whether a line of the output has something of what is to be said."""
        return any(re.search(text, line) for text in self.says)

    def _process(self, words: list[str], folder: Path) -> tuple[int, str]:
        own = {key: value and value.format(here=folder) for key, value in self.environment.items()}
        wanted = {**_environment(folder), **own, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "deepset_bench.cli", *words],
            cwd=folder,
            env={k: v for k, v in {**os.environ, **wanted}.items() if v is not None},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        return done.returncode, done.stdout + done.stderr


def _environment(folder: Path) -> dict[str, str]:
    return {
        "BENCH_DATA": str(folder / "data"),
        "BENCH_RUNS": str(folder / "runs"),
        "COLUMNS": "200",
        "WANDB_MODE": "offline",
    }


def _inside(words: list[str], folder: Path) -> tuple[int, str]:
    """The same within this process, which takes seconds less."""
    from deepset_bench import cli, composing, config

    # What is known of the folders of the case before.
    for known in (*vars(config).values(), *vars(composing).values()):
        getattr(known, "cache_clear", lambda: None)()
    printed = io.StringIO()
    with (
        chdir(folder),
        patch.dict(os.environ, _environment(folder)),
        patch.object(sys, "argv", ["bench", *words]),
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0), printed.getvalue()
    raise AssertionError("the command line ends by an exit status")
