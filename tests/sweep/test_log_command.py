"""`bench log sync`, with a program in the place of `wandb sync`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import wandb

from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.sweep import log_command
from deepset_bench.sweep.plan import plan
from tests.test_cli import inside
from tests.training.test_mlflow import fake as mlflow  # noqa: F401
from tests.training.tiny import OVERRIDES

pytestmark = pytest.mark.usefixtures("tiny")

# Marks what it has sent as W&B does; a recording that holds a file REFUSED is not sent.
SENDS = """
import sys
from pathlib import Path

with open("sent", "a") as sent:
    for name in sys.argv[1:]:
        folder = Path(name)
        if (folder / "REFUSED").exists():
            print("Uploading\\nError: permission denied", file=sys.stderr)
            sys.exit(1)
        (next(folder.glob("*.wandb")).with_suffix(".wandb.synced")).touch()
        print(folder.name, file=sent)
"""


@pytest.fixture
def folders(tmp_path, monkeypatch) -> list[RunFolder]:
    """Two runs, the first of which was interrupted: it has two recordings."""
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "sends.py"
    script.write_text(SENDS)
    monkeypatch.setattr(log_command, "SEND", (sys.executable, "-S", str(script)))
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    found = [run_folder(one.experiment) for one in plan(OVERRIDES, 2).runs]
    for folder, times in zip(found, [("1", "2"), ("3",)], strict=True):
        for time in times:
            recording = folder.path / "wandb" / f"offline-run-2026010{time}-abc"
            recording.mkdir(parents=True)
            (recording / "run-abc.wandb").touch()
        folder.write_status("done", "abc")
    return found


def sent() -> list[str]:
    return Path("sent").read_text().split() if Path("sent").exists() else []


def test_what_was_recorded_is_sent_once_and_oldest_first(folders, monkeypatch, capsys):
    status, out, err = inside(monkeypatch, capsys, "log", "sync")
    assert (status, out, err) == (0, "W&B: 3 recordings sent\n", "")
    assert sent() == [f"offline-run-2026010{n}-abc" for n in (1, 2, 3)]
    status, out, err = inside(monkeypatch, capsys, "log", "sync")
    assert (status, err) == (0, "")
    assert out.startswith("W&B: nothing to send; ")
    assert len(out.splitlines()) == 1
    assert len(sent()) == 3


def test_runs_can_be_chosen(folders, monkeypatch, capsys):
    assert inside(monkeypatch, capsys, "log", "sync", str(folders[1].path))[0] == 0
    assert sent() == ["offline-run-20260103-abc"]


def test_a_run_that_is_trained_is_left_alone(folders, monkeypatch, capsys):
    with folders[0].lock():
        assert inside(monkeypatch, capsys, "log", "sync")[0] == 0
    assert sent() == ["offline-run-20260103-abc"]


def test_without_an_account_it_is_one_line(folders, monkeypatch, capsys):
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    status, out, err = inside(monkeypatch, capsys, "log", "sync")
    assert (status, out) == (2, "")
    assert err == "error: W&B: 3 recordings to send, but no login; `wandb login` makes one\n"
    assert sent() == []


def test_what_could_not_be_sent_is_said_and_tried_again(folders, monkeypatch, capsys):
    refused = folders[0].path / "wandb" / "offline-run-20260102-abc" / "REFUSED"
    refused.touch()
    status, out, err = inside(monkeypatch, capsys, "log", "sync")
    assert (status, out) == (2, "W&B: 1 recording sent\n")
    assert err == (
        "error: W&B: 2 recordings not sent (Error: permission denied); "
        "the same command tries again\n"
    )
    refused.unlink()
    assert inside(monkeypatch, capsys, "log", "sync")[1] == "W&B: 2 recordings sent\n"


def test_a_table_of_results_holds_no_recordings(folders, tmp_path, monkeypatch, capsys):
    table = tmp_path / "results.csv"
    table.touch()
    status, _, err = inside(monkeypatch, capsys, "log", "sync", "--runs-dir", str(table))
    assert status == 2
    assert len(err.splitlines()) == 1


def test_a_run_that_died_is_marked_as_failed_in_mlflow(folders, mlflow, monkeypatch, capsys):  # noqa: F811
    """It could not say so itself. One that is done is as it says."""
    ids = []
    for folder, state in zip(folders, ("failed", "done"), strict=True):
        ids.append(mlflow.create_run("0", {}, "name").info.run_id)
        (folder.path / "mlflow").mkdir()
        (folder.path / "mlflow" / "run-id").write_text(ids[-1])
        folder.write_status(state, "abc")
    monkeypatch.setattr(RunFolder, "has_ended", lambda self: self.status()["state"] == "done")
    status, out, _ = inside(monkeypatch, capsys, "log", "sync")
    assert status == 0
    assert out.splitlines()[0] == "MLflow: 1 marked as failed that had died"
    assert [mlflow.get_run(one).info.status for one in ids] == ["FAILED", "RUNNING"]
