"""Machines as they are: no home folder, old terminals, full disks, odd paths, folders of others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deepset_bench import composing, config
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.runs import RunFolder
from deepset_bench.sweep.status import standing
from tests import toy
from tests.test_cli import ROOT, inside
from tests.training.tiny import OVERRIDES, run

STRANGER = 12345  # a user id that no system knows
SMALL = ("data=own", "data.train_size=20", "data.val_size=8", "data.test_size=7", "width=8")
SMALL = (*SMALL, "rbf.size=8", "gating.experts=2", "trainer.epochs=1", "device=cpu")
ODD = "José (Cardiff), lab #2"
# One process for several commands: Python and PyTorch take longer to start than each of them.
COMMANDS = """
import sys, shlex
from deepset_bench import cli
for line in sys.stdin.read().splitlines():
    sys.argv = ["bench", *shlex.split(line)]
    try:
        cli.main()
    except SystemExit as stop:
        print(f"[{stop.code}]", line.split(maxsplit=1)[0], flush=True)
"""


def benches(
    lines: list[str], cwd: Path, prefix: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Each line as a command of one process, which prints its exit status behind it."""
    return subprocess.run(
        [*prefix, sys.executable, "-s", "-c", COMMANDS],
        input="\n".join(lines),
        capture_output=True,
        cwd=cwd,
        encoding="utf-8",
        errors="surrogateescape",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.fixture
def stranger() -> tuple[str, ...]:
    """What runs a command as a user whom the system does not know, with no right to write here."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become a user whom the system does not know (setpriv)")
    user = [f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    reading = "+dac_read_search"  # this interpreter may lie in root's own folder
    prefix = ("setpriv", *user, "--inh-caps", reading, "--ambient-caps", reading)
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("this container does not let root hand on the right to read")
    return prefix


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that others may look into, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def own(public) -> Path:
    """A file of 60 frames of C3H6."""
    frames, images = toy.frames(3, 60), []
    for n, rows in enumerate(np.split(np.arange(len(frames.numbers)), len(frames))):
        atoms = Atoms(frames.numbers[rows], frames.positions[rows])
        labels = {"energy": frames.energy[n], "forces": frames.forces[rows]}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        images.append(atoms)
    write(public / "own.xyz", images)
    return public / "own.xyz"


def test_help_and_import_leave_the_home_folder_alone(tmp_path):
    watch = (
        "import sys\n"
        f"def hook(event, given):\n"
        f"    if any({str(tmp_path)!r} in str(one) for one in given): print(event, given)\n"
        "sys.addaudithook(hook)\n"
        "import deepset_bench\n"
        "from deepset_bench import cli\n"
        "sys.argv = ['bench', '--help']\n"
        "cli.main()\n"
    )
    (tmp_path / ".cache/deepset_bench/conf/data").mkdir(parents=True)
    result = subprocess.run(
        [sys.executable, "-s", "-c", watch],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    assert "scalars: all, cub_sqrt" in result.stdout
    assert str(tmp_path) not in result.stdout + result.stderr


def test_a_user_without_a_home_or_a_name(stranger, own, public):
    place = public / "place"
    place.mkdir()
    os.chown(place, STRANGER, STRANGER)
    lines = ["--help", "config", f"data import own {own}"]
    nowhere = benches(lines, place, stranger)
    assert nowhere.stderr.splitlines() == [
        "error: this user has no home folder; set BENCH_DATA to a folder for data"
    ]
    for ending in ("[0] --help", "[0] config", "[2] data"):
        assert ending in nowhere.stdout
    lines = [
        f"data import own {own}",
        f"train {' '.join(SMALL)}",
        f"tables 2 {' '.join(SMALL)}",
        "status",
    ]
    ours = benches(lines, place, stranger, BENCH_DATA=str(place / "data"))
    assert ours.stderr == ""
    assert ours.stdout.count("\n[0] ") == len(lines)
    assert "own: 60 frames" in ours.stdout
    assert "1 run: 1 done" in ours.stdout


names = st.text(
    st.sampled_from("aé字 .,:;=+-~!?#%&@*|<>()[]{}'\"\\`\t$"), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=names)
@example(name=ODD)
@example(name="~")
@example(name="a=b,[c]{d}'e\"")
def test_data_in_a_folder_of_any_name(tmp_path, monkeypatch, name):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / name))
    catalogue.register("own", toy.frames(2, 3), {})
    for cached in (config._experiment, config._compose, composing._composed, composing._option):
        cached.cache_clear()
    assert experiment(["data=own"]).config.data.name == "own"
    assert catalogue.load("own").energy.shape == (3,)


def test_everything_in_a_folder_of_an_odd_name(own, public):
    """Clone, home, working folder and output: imported, trained, looked at."""
    home = public / ODD
    clone = home / "my [clone]"
    for folder in ("deepset_bench", "conf", "sweeps", "datasets"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", clone)
    lines = [
        f"data import own {own}",
        f"train {' '.join(SMALL)}",
        "status",
        f"tables 2 {' '.join(SMALL)} --out 'out [/x]'",
    ]
    result = benches(lines, home, PYTHONPATH=str(clone), HOME=str(home))
    assert result.stderr == ""
    assert result.stdout.count("\n[0] ") == len(lines)
    assert (home / "out [/x]" / "table_2.txt").is_file()
    assert f"own: 60 frames in {home}/.local/share/deepset_bench/own" in result.stdout


@pytest.fixture
def theirs(public, monkeypatch) -> Path:
    """Somebody's data and runs: one done, and one whose process died."""
    monkeypatch.setenv("BENCH_DATA", str(public / "data"))
    monkeypatch.setenv("BENCH_RUNS", str(public / "runs"))
    catalogue.register("tiny", toy.frames(3, 60), {})
    folder = run("trainer.epochs=1").folder
    dead = RunFolder(folder.path.with_name("seed-9"))
    shutil.copytree(folder.path, dead.path)
    dead.write_status("running", folder.status()["run"])
    return folder.path


def test_runs_of_somebody_else(stranger, theirs, public):
    mine = " ".join((*OVERRIDES, "trainer.epochs=1"))
    lines = [
        "status",
        f"train {mine}",
        f"sweep {mine} seed=0,1 --dry-run",
        f"sweep {mine}",
        f"evaluate {theirs}",
        f"tables 2 {mine} --out {public}/tables",
        f"train {mine} seed=1",
        f"figures experts {mine}",
        f"report {mine}",
    ]
    places = {name: os.environ[name] for name in ("BENCH_DATA", "BENCH_RUNS")}
    result = benches(lines, public, stranger, **places)
    statuses = [line for line in result.stdout.splitlines() if line.startswith("[")]
    assert statuses == [
        *("[0] status", "[0] train", "[0] sweep", "[0] sweep", "[0] evaluate"),
        *("[1] tables", "[1] train", "[1] figures", "[1] report"),
    ]
    assert "already done" in result.stdout
    assert "2 runs: 1 interrupted, 1 done" in result.stdout
    assert f"not kept in files: {theirs}/evaluation: Permission denied; " in result.stdout
    refused = result.stderr.splitlines()
    assert [line.split(";")[0] for line in refused] == [
        f"error: {public}: Permission denied",
        f"error: {theirs.with_name('seed-1')}: Permission denied",
        f"error: {public}: Permission denied",
        f"error: {public}: Permission denied",
    ]


def test_runs_on_a_mount_that_is_read_only(theirs, public, monkeypatch, capsys):
    mounted = ["mount", "--bind", str(public), str(public)]
    if os.getuid() != 0 or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("only root can mount, and not in every container")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(public)], check=True)
        dead = RunFolder(theirs.with_name("seed-9"))
        assert standing(dead).state == "interrupted"
        assert run("trainer.epochs=1").already_done
        status, _, err = inside(monkeypatch, capsys, "train", *OVERRIDES)
        assert (status, err.count("\n")) == (1, 1)
        assert err.startswith(f"error: {public}/runs/tiny/")
        assert "Read-only file system; name another folder" in err
    finally:
        subprocess.run(["umount", str(public)], check=True)


def test_a_run_is_held_only_while_somebody_trains_it(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert not folder.is_held()
    with folder.lock():
        assert folder.is_held()
    assert not folder.is_held()
