"""Runs and folders of somebody else: to be looked at, not written to."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deepset_bench.data import catalogue
from deepset_bench.runs import RunFolder
from deepset_bench.sweep.status import standing
from tests import toy
from tests.surroundings.processes import benches
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES, asked, run


@pytest.fixture
def theirs(public, monkeypatch) -> Path:
    """Somebody's data and runs: one done, and one whose process died."""
    monkeypatch.setenv("BENCH_DATA", str(public / "data"))
    monkeypatch.setenv("BENCH_RUNS", str(public / "runs"))
    catalogue.register("tiny", toy.frames(3, 60), {})
    folder = run("trainer.epochs=1").folder
    dead = RunFolder(folder.path.with_name("seed-9"))
    shutil.copytree(folder.path, dead.path)
    (dead.path / "result.json").unlink()
    dead.write_status("running", folder.status()["run"])
    return folder.path


def test_runs_of_somebody_else(stranger, theirs, public):
    mine = " ".join(asked("trainer.epochs=1"))
    lines = [
        "status",
        f"train {mine}",
        f"sweep {mine} seed=0,1 --dry-run",
        f"sweep {mine}",
        f"evaluate {theirs}",
        f"tables 2 {mine}",
        f"tables 2 {mine} --out {public}/tables",
        f"train {mine} seed=1",
        f"figures experts {mine}",
        f"report {mine}",
    ]
    places = {name: os.environ[name] for name in ("BENCH_DATA", "BENCH_RUNS")}
    result = benches(lines, public, stranger, **places)
    statuses = [line for line in result.stdout.splitlines() if line.startswith("[")]
    assert statuses == [
        *("[0] status", "[0] train", "[0] sweep", "[0] sweep", "[0] evaluate", "[0] tables"),
        *("[1] tables", "[1] train", "[1] figures", "[1] report"),
    ]
    assert "already done" in result.stdout
    assert "2 runs: 1 interrupted, 1 done" in result.stdout
    assert "No scalars, corrected, seed 9: interrupted" in result.stdout
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
