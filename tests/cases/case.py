"""One input that a person may have, what is typed for it, and what is to happen."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from tests.surroundings.processes import can_run

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
        environment: variables to set, with `{here}` as above, or to remove for None.
        within: words before the last command that let another user run it, on another disk or in
            another terminal, with `{here}` as above; the case is skipped where they cannot. All
            other commands run in this process, which takes seconds less.
        found: what to add to the output, of the empty folder as the commands leave it.
    """

    id: str
    bench: tuple[str, ...]
    says: tuple[str, ...] = ()
    status: int = 0
    silent: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = lambda folder: None
    environment: Mapping[str, str | None] = field(default_factory=dict)
    within: tuple[str, ...] = ()
    found: Callable[[Path], str] = lambda folder: ""

    @property
    def missing(self) -> list[str]:
        """What it needs and is not there."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        found = [f"{name} is not installed" for name in absent]
        with tempfile.TemporaryDirectory() as folder:
            self.prepare(Path(folder))
            if self.within and not can_run(self._filled(self.within, Path(folder))):
                found.append(f"{self.within[0]} is not possible here")
        return found

    def run(self, folder: Path) -> tuple[int, str]:
        """Exit status and output of the last command that ran; a traceback is an exception."""
        self.prepare(folder)
        wanted = {**_ENVIRONMENT, **self.environment}
        given = {key: value for key, value in wanted.items() if value is not None}
        values = dict(zip(given, self._filled(given.values(), folder), strict=True))
        with patch.dict(os.environ, values), chdir(folder):
            for key in wanted.keys() - given.keys():
                os.environ.pop(key, None)
            *before, last = (self._filled(shlex.split(line), folder) for line in self.bench)
            for words in before:
                status, output = _inside(words)
                if status:
                    return status, f"{shlex.join(words)} failed: {output}"
            prefix = self._filled(self.within, folder)
            status, output = _process(prefix, last) if prefix else _inside(last)
            return status, output + self.found(folder)

    def _filled(self, words: Iterable[str], folder: Path) -> tuple[str, ...]:
        return tuple(word.format(files=FILES, here=folder) for word in words)

    def wrong(self, status: int, output: str) -> list[str]:
        """What is not as it should be, of an outcome."""
        found = [] if status == self.status else [f"exit status {status}, not {self.status}"]
        found += [f"does not say '{text}'" for text in self.says if not _says(text, output)]
        return found + [f"says '{text}'" for text in self.silent if _says(text, output)]

    def says_in(self, line: str) -> bool:
        """Whether a line of the output has something of what is to be said."""
        return any(_says(text, line) for text in self.says)


def _says(pattern: str, output: str) -> bool:
    return re.search(pattern, output, re.MULTILINE) is not None


_ENVIRONMENT = {
    "BENCH_DATA": "{here}/data",
    "BENCH_RUNS": "{here}/runs",
    "COLUMNS": "200",
    "WANDB_MODE": "offline",
}


def _process(prefix: Sequence[str], words: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(
        [*prefix, sys.executable, "-s", "-m", "deepset_bench.cli", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    output = done.stdout + done.stderr
    if "Traceback (most recent call last)" in output:
        raise AssertionError(output)
    return done.returncode, output


def _inside(words: Sequence[str]) -> tuple[int, str]:
    from deepset_bench import cli, composing, config

    # What is known of the folders of the case before.
    for known in (*vars(config).values(), *vars(composing).values()):
        getattr(known, "cache_clear", lambda: None)()
    printed = io.StringIO()
    with (
        patch.object(sys, "argv", ["bench", *words]),
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0), printed.getvalue()
    raise AssertionError("the command line ends by an exit status")
