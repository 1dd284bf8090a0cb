"""The program as processes of its own, in surroundings that a test chooses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.test_cli import ROOT

STRANGER = 12345  # a user id that no system knows
AS_STRANGER = (
    *("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"),
    # This interpreter may lie in root's own folder.
    *("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"),
)
"""What runs a command as a user whom the system does not know, with no right to write here."""
SMALL = ("data=own", "data.train_size=20", "data.val_size=8", "data.test_size=7", "width=8")
SMALL = (*SMALL, "rbf.size=8", "gating.experts=2", "trainer.epochs=1", "device=cpu")
ODD = "José (Cardiff), lab #2"
# One process for several commands: Python and PyTorch take longer to start than each of them.
COMMANDS = """
import os, sys, shlex
from deepset_bench import cli
for line in sys.stdin.read().splitlines():
    name, sign, value = line.partition("=")
    if sign and name.isidentifier():
        os.environ[name] = value
        continue
    sys.argv = ["bench", *shlex.split(line)]
    try:
        cli.main()
    except SystemExit as stop:
        print(f"[{stop.code}]", line.split(maxsplit=1)[0], flush=True)
"""


def on_small_disk(size: str, place: str) -> tuple[str, ...]:
    """What runs a command with a file system of this size at a folder, for itself alone."""
    mounted = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", mounted, place)


def can_run(prefix: tuple[str, ...]) -> bool:
    """Whether this user, in this container, may run commands so."""
    if not shutil.which(prefix[0]):
        return False
    return subprocess.run([*prefix, "true"], capture_output=True).returncode == 0


def benches(
    lines: list[str], cwd: Path, prefix: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Each line as a command of one process, which prints its exit status behind it.

    A line as NAME=value sets a variable for those after it.
    """
    return subprocess.run(
        [*prefix, sys.executable, "-s", "-c", COMMANDS],
        input="\n".join(lines),
        capture_output=True,
        cwd=cwd,
        encoding="utf-8",
        errors="surrogateescape",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
    )


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line for bash in which `bench` is the program."""
    bench = f'bench() {{ "{sys.executable}" -m deepset_bench.cli "$@"; }}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", f"{bench}; set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )
