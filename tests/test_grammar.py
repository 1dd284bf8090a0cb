"""One grammar: what can be said to one command can be said to all, as an override or an option."""

from __future__ import annotations

import importlib.metadata

import pytest
import typer.main

from deepset_bench import cli, grammar
from tests.test_cli import bench, inside
from tests.training.tiny import OVERRIDES, run


def uniform(line: str) -> str:
    return " ".join(grammar.uniform(line.split(), typer.main.get_command(cli.app)))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("train --data tiny --condition=report", "train data=tiny condition=report"),
        ("train --stack 3 +data=tiny", "train stack=3 +data=tiny"),
        ("train --runs-dir /a,b", 'train runs_dir="/a,b"'),
        ("config --runs-dir /a/b.c-d", "config runs_dir=/a/b.c-d"),
        ("sweep quick stack=2 --jobs 2", "sweep quick --stack 2 --jobs 2"),
        ("sweep quick condition=both", "sweep quick condition=report,corrected"),
        ("sweep quick --condition both", "sweep quick condition=report,corrected"),
        ("status runs_dir=/a", "status --runs-dir /a"),
        ("status runs_dir='/a,b'", "status --runs-dir /a,b"),
        ("evaluate a --data tiny runs_dir=b", "evaluate a data=tiny --runs-dir b"),
        ("check a runs_dir=b", "check a --runs-dir b"),
        ("tables 2 condition=corrected,report", "tables 2 --condition corrected,report"),
        ("tables condition=both --out x", "tables --condition both --out x"),
        ("figures 7 --data tiny runs_dir=a", "figures 7 data=tiny --runs-dir a"),
        ("report runs_dir=a", "report --runs-dir a"),
        ("tables --out data=x", "tables --out data=x"),  # a file of that name
        ("train --fresh --data tiny", "train --fresh data=tiny"),
        ("check a --stack 3", "check a --stack 3"),  # it means nothing there
        ("config gnn=gin --variants v.py --data a", "--variants v.py config gnn=gin data=a"),
        ("config -- --data tiny", "config -- --data tiny"),
        ("data import data=x --force", "data import data=x --force"),
        ("", ""),
        ("--help", "--help"),
        ("train --data", "train --data"),
    ],
)
def test_each_thing_is_brought_into_the_form_that_the_command_has(typed, meant):
    assert uniform(typed) == meant
    assert uniform(meant) == meant


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train --data but-2-ene data=alkenes", "data=but-2-ene and data=alkenes: data is"),
        ("train --condition=report +condition=corrected", "condition=report and +condition=cor"),
        ("sweep quick --stack 2 stack=3", "stack=2 and stack=3: stack is given twice"),
        ("tables 2 condition=report --condition both", "condition=report and condition=both"),
        ("status runs_dir=a --runs-dir b", "runs_dir=a and runs_dir=b: runs_dir is given twice"),
    ],
)
def test_two_forms_with_different_values_are_a_mistake(words, said, monkeypatch, capsys):
    status, out, err = inside(monkeypatch, capsys, *words.split())
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {said}")
    assert err.endswith("; give one of them\n")


@pytest.mark.usefixtures("tiny")
def test_a_run_is_named_by_its_path_or_below_the_runs_folder(tmp_path, monkeypatch, capsys):
    made = run(f"runs_dir={tmp_path}/other").folder
    name = str(made.path.relative_to(tmp_path / "other"))
    for where in ([name, f"runs_dir={tmp_path}/other"], [name, "--runs-dir", f"{tmp_path}/other"]):
        assert inside(monkeypatch, capsys, "evaluate", *where)[0] == 0
        assert inside(monkeypatch, capsys, "check", *where)[0] in (0, 1)
    status, _, err = inside(monkeypatch, capsys, "evaluate", name)
    assert status == 2
    assert f"{name}/config.yaml: no such file" in err


@pytest.mark.usefixtures("tiny")
def test_train_takes_options(tmp_path, monkeypatch, capsys):
    overrides = [text for text in OVERRIDES if text != "data=tiny"]
    words = [*overrides, "--data", "tiny", "--condition", "corrected", "--stack", "1"]
    assert inside(monkeypatch, capsys, "train", *words, "--runs-dir", f"{tmp_path}/a b")[0] == 0
    assert len(list((tmp_path / "a b" / "tiny" / "corrected").glob("*/seed-0/result.json"))) == 1


def test_version_says_what_computes():
    result = bench("--version")
    assert (result.returncode, result.stderr) == (0, "")
    found = dict(line.split() for line in result.stdout.splitlines())
    assert found["torch"] == importlib.metadata.version("torch")
    assert list(found)[:2] == ["deepset-bench", "python"]
