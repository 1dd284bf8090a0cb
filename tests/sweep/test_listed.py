"""`bench status` and `bench rm`: which runs are meant, what is said of them, what is removed."""

from __future__ import annotations

import io
import json
import shutil

import pytest

from deepset_bench.config import experiment
from deepset_bench.runs import RunFolder, run_folder, runs_root
from deepset_bench.sweep.plan import plan
from tests.sweep.test_execute import RESULT
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES

pytestmark = pytest.mark.usefixtures("tiny")


def made(*overrides: str) -> RunFolder:
    """A run that is done, without its training."""
    wanted = experiment(overrides)
    folder = run_folder(wanted)
    folder.path.mkdir(parents=True)
    folder.write_config(wanted)
    folder.write_status("done", "x")
    folder.write_result(RESULT)
    return folder


@pytest.fixture
def runs() -> dict[str, RunFolder]:
    """On two sets, in two conditions, of two variants."""
    return {
        "plain": made("data=tiny"),
        "sage": made("data=tiny", "gnn=sage", "trainer.epochs=7"),
        "another seed": made("data=tiny", "gnn=sage", "trainer.epochs=7", "seed=1"),
        "report": made("data=tiny", "condition=report"),
        "butene": made("data=but-2-ene", "gnn=sage"),
    }


def told(monkeypatch, capsys, *words: str) -> list[str]:
    status, out, err = inside(monkeypatch, capsys, *words)
    assert (status, err) == (0, "")
    return out.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", {"plain", "sage", "another seed", "report", "butene"}),
        ("data=tiny", {"plain", "sage", "another seed", "report"}),
        ("--data but-2-ene", {"butene"}),
        ("gnn=sage", {"sage", "another seed", "butene"}),
        ("gnn=sage seed=0", {"sage", "butene"}),
        ("gnn=sage,none data=tiny seed=0,1", {"plain", "sage", "another seed", "report"}),
        ("condition=report", {"report"}),
        ("trainer.epochs=7", {"sage", "another seed"}),
        ("trainer.epochs=7 gnn=edge", set()),
        ("readout=equivariant task=none data=but-2-ene", {"butene"}),  # younger keys
    ],
)
def test_which_runs_status_shows(words, expected, runs, monkeypatch, capsys):
    lines = told(monkeypatch, capsys, "status", "--json", *words.split())
    found = {json.loads(line)["run"] for line in lines}
    assert found == {str(runs[name].path.relative_to(runs_root(None))) for name in expected}


def test_status_groups_by_data_and_condition(runs, monkeypatch, capsys):
    lines = told(monkeypatch, capsys, "status")
    headings = [line for line in lines if "/" in line and "seed-" not in line]
    assert headings == ["but-2-ene/corrected", "tiny/corrected", "tiny/report"]
    assert lines[1].startswith("done        sage/seed-0  epoch 1/1, val energy MAE 1000.0 meV")
    assert lines[-1] == "5 runs: 5 done"


def test_status_of_a_sweep_shows_every_seed_and_what_is_not_begun(
    runs, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "title: mine\ncommon: [data=tiny, trainer.epochs=7]\naxes: {gnn: [sage, edge]}\n"
    )
    lines = told(monkeypatch, capsys, "status", str(file), "--json")
    states = {(found["variant"], found["seed"]): found["state"] for found in map(json.loads, lines)}
    sage, edge = "sage+trainer.epochs-7", "edge+trainer.epochs-7"
    assert states == {(sage, 0): "done", (sage, 1): "done", (edge, 0): "queued"}
    lines = told(monkeypatch, capsys, "status", str(file), "seed=1", "--json")
    assert {json.loads(line)["seed"] for line in lines} == {1}


def test_the_keys_of_json(runs, monkeypatch, capsys):
    (line,) = told(monkeypatch, capsys, "status", "--json", "condition=report")
    assert json.loads(line) == {
        **{"run": "tiny/report/baseline/seed-0", "data": "tiny", "condition": "report"},
        **{"variant": "baseline", "seed": 0, "split": None, "state": "done", "reason": ""},
        **{"val_energy_mae_ev": 1.0, "val_forces_mae_ev_per_angstrom": 1.0},
        **{"epoch": 1, "epochs": 1, "seconds": 1, "seconds_left": None},
        **{"node": "", "job": ""},
    }


@pytest.mark.parametrize("command", ["status", "rm"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gnnn=sage"], "unknown group or key 'gnnn'"),
        (["quik"], "unknown sweep 'quik'"),
        (["tiny/corrected"], "tiny/corrected is not the folder of a run; bench status lists these"),
        (["seed=1", "seed=2"], "seed=1 and seed=2: seed is given twice"),
    ],
)
def test_mistakes_are_one_line(command, words, said, runs, monkeypatch, capsys):
    status, out, err = inside(monkeypatch, capsys, command, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {said}")


def test_rm_removes_what_it_lists_and_no_more(runs, monkeypatch, capsys):
    (runs["plain"].path / "variants" / "sub").mkdir(parents=True)
    (runs["plain"].path / "variants" / "sub" / "own.py").touch()
    lines = told(monkeypatch, capsys, "rm", "--yes", "data=tiny", "condition=corrected")
    gone = [runs[name].path for name in ("plain", "another seed", "sage")]
    assert sorted(lines[:-1]) == sorted(map(str, gone))
    assert lines[-1] == "removed 3 runs"
    left = set(runs_root(None).rglob("seed-*"))
    assert left == {runs["report"].path, runs["butene"].path}
    assert not (runs_root(None) / "tiny" / "corrected").exists()  # no empty parents
    told(
        monkeypatch, capsys, "rm", "--yes", "tiny/report/baseline/seed-0", str(runs["butene"].path)
    )
    assert list(runs_root(None).iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_rm_asks(runs, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal("n\ny\n"))
    status, out, _ = inside(monkeypatch, capsys, "rm", "condition=report")
    assert status == 1
    assert "remove this run? [y/N]" in out
    assert out.endswith("nothing is removed\n")
    assert runs["report"].is_run()
    assert inside(monkeypatch, capsys, "rm", "condition=report")[0] == 0
    assert not runs["report"].path.exists()


def test_rm_without_a_terminal_is_one_line(runs, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    status, _, err = inside(monkeypatch, capsys, "rm", "condition=report")
    assert (status, err) == (
        2,
        "error: nobody is there to confirm; --yes deletes this run without asking\n",
    )
    assert runs["report"].is_run()


def refused(monkeypatch, capsys, *words: str) -> str:
    status, _, err = inside(monkeypatch, capsys, "rm", "--yes", *words)
    assert (status, err.count("\n")) == (2, 1)
    return err


def test_rm_refuses_a_run_that_is_held_and_removes_none(runs, monkeypatch, capsys):
    with runs["sage"].lock():
        assert "is being trained by a process" in refused(monkeypatch, capsys, "data=tiny")
    assert all(folder.is_run() for folder in runs.values())


def test_a_run_that_is_removed_while_it_is_looked_at(runs, monkeypatch, capsys):
    one = runs["plain"]
    one.write_status("running", "x")

    def is_held(folder: RunFolder) -> bool:
        if folder == one:
            shutil.rmtree(folder.path)
        return False

    monkeypatch.setattr(RunFolder, "is_held", is_held)
    (line,) = told(monkeypatch, capsys, "status", "--json", str(one.path))
    assert json.loads(line)["state"] == "queued"


def test_rm_refuses_nothing_on_disk(runs, monkeypatch, capsys):
    assert "gnn=edge: no such run on disk" in refused(monkeypatch, capsys, "gnn=edge")


def test_rm_follows_no_link(runs, tmp_path, monkeypatch, capsys):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "x").mkdir(parents=True)
    (elsewhere / "x" / "kept.json").touch()
    linked = runs_root(None) / "tiny" / "corrected" / "baseline" / "seed-9"
    runs["sage"].path.rename(elsewhere / "run")
    linked.symlink_to(elsewhere / "run")
    assert "is a link to" in refused(monkeypatch, capsys, str(linked))
    (runs["plain"].path / "evaluation").symlink_to(elsewhere)
    said = refused(monkeypatch, capsys, "--yes", str(runs["plain"].path))
    assert "evaluation: is a link, and nothing is written through links" in said
    assert (runs["plain"].path / "result.json").exists()
    assert (elsewhere / "x" / "kept.json").exists()
    assert (elsewhere / "run" / "result.json").exists()


def test_rm_keeps_what_no_run_made(runs, monkeypatch, capsys):
    (runs["report"].path / "notes.txt").touch()
    lines = told(monkeypatch, capsys, "rm", "--yes", "condition=report")
    assert f"{runs['report'].path} stays, with what no run made: notes.txt" in lines
    assert [path.name for path in runs["report"].path.iterdir()] == ["notes.txt"]


def test_planned_runs_are_found_by_what_they_were_asked_for_with(monkeypatch, capsys):
    """They have no config.yaml yet."""
    (planned,) = plan([*OVERRIDES, "scalars=sq"]).runs
    (other,) = plan([*OVERRIDES, "scalars=none"]).runs
    for run in (planned, other):
        run.folder.path.mkdir(parents=True)
        run.folder.write_status("queued", run.identity)
    (line,) = told(monkeypatch, capsys, "status", "--json", *OVERRIDES, "scalars=sq")
    assert json.loads(line)["run"] == planned.name
