"""What batch systems send before they kill: a run stops with a checkpoint and goes on from it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepset_bench.config import experiment
from deepset_bench.files import PACKAGE
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.sweep.plan import plan
from deepset_bench.training import checkpoint, stopping
from deepset_bench.training.step import SingleOptimisation
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES, asked, assert_same_run, run

pytestmark = pytest.mark.usefixtures("tiny")
LONG = "trainer.epochs=40"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_stops_a_run_at_the_end_of_its_epoch(number, tmp_path, monkeypatch, capsys):
    """Not only where a checkpoint is due; then it goes on, to the same bits."""
    whole = run(f"runs_dir={tmp_path}/whole")
    monkeypatch.setattr("deepset_bench.training.loop.CHECKPOINT_SECONDS", 1e9)
    steps: list[int] = []
    validate = SingleOptimisation.validate

    def signalled(self):
        steps.append(1)
        if len(steps) == 2:
            os.kill(os.getpid(), number)
        return validate(self)

    arguments = asked(f"runs_dir={tmp_path}/cut")
    with monkeypatch.context() as patch:
        patch.setattr(SingleOptimisation, "validate", signalled)
        status, _, err = inside(monkeypatch, capsys, "train", *arguments)
    assert status == stopping.REQUEUE
    assert "stopped on request, with a checkpoint; the same command goes on" in err
    folder = run_folder(experiment(arguments))
    assert checkpoint.load_last(folder.last, "cpu")["epochs"] == 2
    assert "stopped on request after epoch 2" in folder.log.read_text()
    assert inside(monkeypatch, capsys, "train", *arguments)[0] == 0
    assert_same_run(whole.folder, folder)
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def test_a_sweep_passes_the_signal_on_and_goes_on(tmp_path):
    """Its two processes stop with checkpoints; nothing is failed; the same command ends it."""
    words = [*asked(LONG), "--seeds", "3", "--jobs", "2"]
    command = [sys.executable, "-m", "deepset_bench.cli", "sweep", *words]
    runs = plan(asked(LONG), 3).runs
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sweep:
        wait_for(lambda: sum(epochs(one.folder) > 2 for one in runs) == 2, sweep)
        sweep.send_signal(signal.SIGUSR1)
        _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == stopping.REQUEUE, said
    begun = [one for one in runs if one.folder.last.exists()]
    assert len(begun) == 2
    assert all("stopped on request" in one.folder.log.read_text() for one in begun)
    assert {one.folder.status()["state"] for one in runs} == {"running", "queued"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch" in begun[0].folder.log.read_text()
    whole = run(LONG, "seed=0", f"runs_dir={tmp_path}/whole")
    assert_same_run(whole.folder, runs[0].folder)


def test_a_sweep_that_does_not_wait_leaves_what_another_trains(monkeypatch, capsys):
    runs = plan(OVERRIDES, 2).runs
    with runs[0].folder.lock():
        runs[0].folder.write_status("running", runs[0].identity)
        words = [*asked(), "--seeds", "2", "--no-wait"]
        status, out, err = inside(monkeypatch, capsys, "sweep", *words)
    assert (status, err) == (0, "")
    assert "2 runs: 1 running, 1 done" in out


def test_a_plan_for_other_programs(monkeypatch, capsys):
    """One object a run, with a command that trains that run."""
    arguments = [*asked(), "+scalars=none,sq", "--seeds", "2", "--dry-run", "--json"]
    status, out, err = inside(monkeypatch, capsys, "sweep", *arguments)
    assert (status, err) == (0, "")
    listed = [json.loads(line) for line in out.splitlines()]
    assert len({one["folder"] for one in listed}) == 4
    assert {one["state"] for one in listed} == {"queued"}
    first = listed[0]
    words = shlex.split(first["command"])
    assert words[:2] == ["bench", "train"]
    assert "seed=0" in first["overrides"]
    assert inside(monkeypatch, capsys, *words[1:])[0] == 0
    assert RunFolder(Path(first["folder"])).has_ended()
    again = inside(monkeypatch, capsys, "sweep", *arguments)[1]
    assert [json.loads(line)["state"] for line in again.splitlines()].count("done") == 1


def test_json_is_of_a_plan(monkeypatch, capsys):
    status, _, err = inside(monkeypatch, capsys, "sweep", *asked(), "--json")
    assert status == 2
    assert "--json lists the runs, so it needs --dry-run" in err


def snakefile() -> str:
    return (PACKAGE.parent / "docs/examples/Snakefile").read_text()


@pytest.fixture
def with_bench(tmp_path, monkeypatch) -> None:
    """The command `bench`, wherever the tests run from."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "bench"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m deepset_bench.cli "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(not shutil.which("snakemake"), reason="snakemake is not installed")
def test_snakemake_trains_a_sweep(with_bench, tmp_path):
    (tmp_path / "Snakefile").write_text(snakefile())
    words = shlex.join([*asked(), "--seeds", "2"])
    command = ["snakemake", "--cores", "1", "--config", f"sweep={words}"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    assert all(one.folder.has_ended() for one in plan(asked(), 2).runs)


def test_the_snakefile_asks_for_runs_and_commands(with_bench):
    """Without snakemake: its Python, which lists the runs, and then one of its commands."""
    head = snakefile().partition("\nrule ")[0]
    names = {"config": {"sweep": " ".join([*asked(), "--seeds", "2"])}}
    exec(compile(head, "Snakefile", "exec"), names)
    commands = names["commands"]
    expected = [str(one.folder.path / "result.json") for one in plan(asked(), 2).runs]
    assert list(commands) == expected
    subprocess.run(commands[expected[1]], shell=True, check=True, timeout=60)
    assert [Path(path).exists() for path in expected] == [False, True]


def epochs(folder: RunFolder) -> int:
    return max(len(folder.epochs().splitlines()) - 1, 0)


def wait_for(holds, process, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
