"""The command line from outside: what a person types, reads and gets as exit status."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.config import experiment
from deepset_bench.groups import groups
from deepset_bench.runs import run_folder
from tests.training.tiny import OVERRIDES, asked, assert_same_run, run

ROOT = Path(__file__).parents[1]


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`bench ARGUMENTS` as a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, env=env(environment))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deepset_bench.cli", *arguments]


def env(extra: dict[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(extra or {})}


def inside(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """The same within this process: exit status, standard output and error."""
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    output = capsys.readouterr()
    return int(ended.value.code or 0), output.out, output.err


def test_help_lists_the_groups_and_answers_fast():
    """Half a second of CPU time: nothing heavy may be imported for it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = bench("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 0
    for group, options in groups().items():
        assert f"{group}: {options[0]}" in result.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


@pytest.mark.parametrize("name", ["train", "config"])
def test_help_of_a_command_lists_the_groups(name):
    result = CliRunner().invoke(cli.app, [name, "--help"])
    assert result.exit_code == 0
    for group in groups():
        assert f"{group}: " in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "width=64", "width=128"), "width=64 and width=128: width is given twice"),
        (("config", "gnn=sage", "+gnn=gat"), "gnn=sage and +gnn=gat: gnn is given twice"),
        (("sweep", "table_3", "seed=0,1", "seed=2"), "seed=0,1 and seed=2: seed is given twice"),
        (("evaluate", "runs", "seed=1", "seed=2"), "seed=1 and seed=2"),
        (("tables", "2", "data=alkenes", "--data", "but-2-ene"), "data=alkenes and data=but-2-ene"),
        (("figures", "width=64", "width=128"), "width=64 and width=128"),
        (("report", "width=64", "width=128"), "width=64 and width=128"),
    ],
)
def test_two_values_for_one_key_are_a_mistake(monkeypatch, capsys, words, said):
    status, out, err = inside(monkeypatch, capsys, *words)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {said}")
    assert err.endswith("; give one of them\n")


def test_one_value_may_be_given_twice(monkeypatch, capsys):
    status, out, _ = inside(monkeypatch, capsys, "config", "width=64", "width=64.0", "+width=64")
    assert (status, "width: 64\n" in out) == (0, True)


def test_config_prints_the_composition_and_the_options():
    result = CliRunner().invoke(cli.app, ["config", "+scalars=cub_sqrt", "trainer.epochs=7"])
    assert result.exit_code == 0
    config = OmegaConf.create(result.stdout)
    assert config.scalars == ["x3", "sqrt"]
    assert config.trainer.epochs == 7
    for group, options in groups().items():
        (line,) = [x for x in result.stdout.splitlines() if x.startswith(f"# {group}: ")]
        assert all(option in line for option in options)
    assert "[cub_sqrt]" in result.stdout


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sclars=sq"], "unknown group or key 'sclars'; did you mean scalars"),
        (["cutoff=nan"], "cutoff=nan must be greater than zero, and finite"),  # once is not twice
        (["scalars=cubsqrt"], "unknown option scalars=cubsqrt; did you mean cub_sqrt"),
        (["trainer.epoch=3"], "unknown group or key 'trainer.epoch'; did you mean trainer.epochs"),
        (["data=tinny"], "unknown option data=tinny; did you mean tiny"),
        (["data.name=tinny"], "unknown data set 'tinny'; did you mean tiny"),
        (["data=tiny", "trainer.epochs=many"], "trainer.epochs=many must be a whole number\n"),
        (["data=tiny", "trainer.epochs=[1]"], "trainer.epochs=[1] must be a whole number\n"),
        (["data=tiny", "threads=1.5"], "threads=1.5 must be a whole number or null\n"),
        (["data=tiny", "trainer.learning_rate=null"], "learning_rate=null must be a number\n"),
        (["data=tiny", "width=true"], "width=true must be a whole number\n"),
        (["data=tiny", "name=[a]"], "name=['a'] must be text or null\n"),
        (["data=tiny", "reference.energies_ev=3"], "=3 must be a mapping of keys to values\n"),
        (["data=tiny", "logger.tensorboard=maybe"], "tensorboard=maybe must be true or false\n"),
        (["data=tiny", "data.train_size=51"], "train 51 + val 5 + test 5 frames do not fit: there"),
        (["data=tiny", "data.train_size=0"], "data.train_size=0"),
        (["scalars=sq,cub_sqrt"], "bench sweep takes each of them"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(monkeypatch, capsys, arguments, expected):
    status, out, err = inside(monkeypatch, capsys, "train", *arguments)
    assert status == 2
    assert err.startswith("error: ")
    assert expected in err
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["xyz"], "bench has no command 'xyz'; valid: "),
        (["swep"], "bench has no command 'swep'; did you mean sweep?"),
        (["data", "imprt"], "bench data has no command 'imprt'; did you mean import?"),
        (["train", "--frsh"], "bench train has no option --frsh; did you mean --fresh"),
        (["train", "--hel"], "bench train has no option --hel; did you mean --help"),
        (["train", "--fresh=3"], "option '--fresh' does not take a value"),
        (["plan", "--jobs"], "option '--jobs' requires an argument"),
        (["plan", "--jobs", "0"], "bench plan: invalid value for '--jobs': it should be greater"),
        (["tables", "--unit", "kcal"], "bench tables: invalid value for '--unit': 'kcal' is not"),
        (
            ["data", "import"],
            "bench data import: missing argument 'name'; bench data import --help",
        ),
    ],
)
def test_what_the_parser_refuses_is_one_line_and_status_2(monkeypatch, capsys, words, said):
    status, out, err = inside(monkeypatch, capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {said}")


def test_without_a_command_the_help_is_printed(monkeypatch, capsys):
    status, out, err = inside(monkeypatch, capsys)
    assert (status, out) == (2, "")
    assert err.startswith("Usage: bench")
    assert "error" not in err.splitlines()[0]


def test_a_mistake_seen_from_outside():
    result = bench("config", "sclars=sq")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: unknown group or key 'sclars'; did you mean scalars or pairs or gnn.layers?\n"
    )


@pytest.mark.usefixtures("tiny")
def test_train_from_the_first_time_to_done(monkeypatch, capsys):
    status, out, err = inside(monkeypatch, capsys, "train", *OVERRIDES)
    folder = run_folder(experiment(OVERRIDES))
    assert (status, err) == (0, "")
    assert str(folder.path) in out
    assert "20 train, 8 val, 7 test frames" in out
    assert f"{folder.result()['parameters']:,} parameters" in out
    assert "epoch 4/4" in out
    first = folder.result()
    error = first["metrics"]["test"]["forces_mae_ev_per_angstrom"]
    assert f"{1000 * error:.1f}" in out  # whole, though no terminal is wider than 80 columns

    status, out, _ = inside(monkeypatch, capsys, "train", *OVERRIDES)
    assert status == 0
    assert "already done" in out
    assert "--fresh" in out
    assert folder.result() == first

    written = (folder.path / "result.json").stat().st_mtime_ns
    status, out, _ = inside(monkeypatch, capsys, "train", "--fresh", *OVERRIDES)
    assert status == 0
    assert "already done" not in out
    assert (folder.path / "result.json").stat().st_mtime_ns > written
    assert folder.result()["metrics"] == first["metrics"]


@pytest.mark.usefixtures("tiny")
def test_a_diverged_run_fails(monkeypatch, capsys):
    status, out, _ = inside(monkeypatch, capsys, "train", *asked("trainer.learning_rate=1e18"))
    assert status == 1
    assert "diverged" in out
    assert "log.txt" in out.replace("\n", "")


@pytest.mark.usefixtures("tiny")
def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    from deepset_bench.training import train as module

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "fit", interrupted)
    status, _, err = inside(monkeypatch, capsys, "train", *OVERRIDES)
    assert status == 130
    assert err.count("\n") == 1
    assert "same command" in err


@pytest.mark.usefixtures("tiny")
def test_killed_and_continued_is_bit_for_bit_the_run_that_was_not(
    tmp_path, monkeypatch, capsys, request
):
    """SIGKILL in the middle of training; the same command goes on."""
    if request.config.getoption("perturb"):
        pytest.skip("--perturb changes the parameters of this process, not of another")
    epochs = "trainer.epochs=40"
    where = f"runs_dir={tmp_path}/cut"
    arguments = ["train", *asked(epochs, where)]
    folder = run_folder(experiment([*OVERRIDES, epochs, where]))
    process = subprocess.Popen(command(*arguments), env=env(), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not folder.last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it had not ended by itself
    assert folder.status()["state"] == "running"
    done = len(pd.read_csv(folder.metrics))
    assert 0 < done < 40

    status, _, err = inside(monkeypatch, capsys, *arguments)
    assert (status, err) == (0, "")
    assert json.loads((folder.path / "result.json").read_text())["status"] == "done"
    assert "going on after epoch" in folder.log.read_text()
    assert_same_run(folder, run(epochs, f"runs_dir={tmp_path}/whole").folder)
