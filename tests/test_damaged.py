"""Run folders that are not as they were left: one line, and no hindrance to any other run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.reading import read_yaml
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.sweep.status import last_epoch
from deepset_bench.training import checkpoint
from tests.test_cli import inside
from tests.training.tiny import asked, metrics, run, untimed

pytestmark = pytest.mark.usefixtures("tiny")
SHORT = "trainer.epochs=1"
NOT_JSON = {
    "empty": b"",
    "cut": b'{"state": "done", "rea',
    "text": b"done",
    "bytes": b"\xff\xfe\x00\x01",
    "list": b"[1, 2]",
    "null": b"null",
    "no keys": b"{}",
    "wrong kinds": b'{"state": 3, "status": [], "run": {}, "reason": null}',
    "nested": b"[" * 100_000,
    "NaN": b'{"state": NaN}',
}
NOT_YAML = {
    "empty": b"",
    "list": b"- 1\n",
    "text": b"a: [1\n",
    "bytes": b"\xff\xfe\x00",
    "twice": b"seed: 0\nseed: 1\n",
    "bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "itself": b"a: &a {b: *a}\n",
    "nested": b"[" * 5_000,
    "other kinds": b"trainer: 3\ndata: [1]\n",
}


@pytest.fixture
def bench(monkeypatch, capsys):
    def typed(*arguments: str) -> tuple[int, str, str]:
        return inside(monkeypatch, capsys, *arguments)

    return typed


@pytest.fixture
def folder(bench) -> RunFolder:
    """A done run of one epoch; the next seed is done, too."""
    for seed in ("seed=1", "seed=0"):
        assert bench("train", *asked(SHORT, seed))[0] == 0
    return run_folder(experiment(asked(SHORT)))


@pytest.fixture
def sheet(tmp_path) -> str:
    path = tmp_path / "mine.yaml"
    runs = [{"label": "plain", "overrides": []}]
    common = [*asked(SHORT), "condition=corrected"]
    content = {"title": "Mine", "baseline": "plain", "common": common, "runs": runs}
    path.write_text(yaml.safe_dump(content))
    return str(path)


def everyone_reads(bench, sheet: str) -> dict[str, str]:
    """What each reader says of the folder and its neighbour; none of them may stop."""
    told = {}
    for command in (
        ("status",),
        ("sweep", *asked(SHORT), "--seeds", "2", "--dry-run"),
        ("tables", sheet, "--condition", "corrected"),
    ):
        status, out, err = bench(*command)
        assert (status, err) == (0, "")
        told[command[0]] = " ".join(out.split())
    return told


@pytest.mark.parametrize("name", ["status.json", "result.json"])
def test_a_damaged_record_stops_nobody_and_is_mended(bench, folder, sheet, name):
    path = folder.path / name
    before = folder.result()
    for what, content in NOT_JSON.items():
        path.write_bytes(content)
        read = folder.status() if name == "status.json" else folder.result()
        assert read["reason"].startswith(f"{name} is damaged ("), what
        assert "\n" not in read["reason"]
    for what in ("empty", "list"):
        path.write_bytes(NOT_JSON[what])
        told = everyone_reads(bench, sheet)
        if name == "status.json":  # the result says that it has ended
            assert "2 runs: 2 done" in told["status"], what
        else:
            assert "result.json is damaged (" in told["status"], what
            assert "2 runs: 1 interrupted, 1 done" in told["sweep"], what
            assert "plain, corrected, seed 0: damaged (result.json is dam" in told["tables"], what
        status, _, err = bench("train", *asked(SHORT))
        assert (status, err) == (0, "")
        assert untimed(folder.result()) == untimed(before)
    path.unlink()
    everyone_reads(bench, sheet)
    assert bench("train", *asked(SHORT))[0] == 0
    assert folder.result() == before


def test_without_status_and_result_a_run_is_unfinished(bench, folder, sheet):
    """Both damaged: the checkpoint is what is left, and training ends it."""
    for name in ("status.json", "result.json"):
        (folder.path / name).write_bytes(b"")
    told = everyone_reads(bench, sheet)
    assert "2 runs: 1 damaged, 1 done" in told["status"]
    assert "status.json is damaged (it is not JSON" in told["status"]
    assert bench("train", *asked(SHORT))[0] == 0
    assert folder.status()["state"] == "done"


@pytest.mark.parametrize("key", ["metrics", "baselines", "data_verdict", "threads", "parameters"])
def test_a_result_that_lacks_a_key_is_no_result(bench, folder, sheet, key):
    whole = folder.result()
    path = folder.path / "result.json"
    for value in (None, [], "x", {}, "gone"):
        content = whole | {key: value}
        if value == "gone":
            del content[key]
        path.write_text(json.dumps(content))
        assert folder.result()["status"] == "damaged"
    assert "seed 0: damaged (" in everyone_reads(bench, sheet)["tables"]


@pytest.mark.parametrize("error", ["NaN", "Infinity", "1e999", '"0.1"', "true", "[]"])
def test_an_error_that_is_no_number_is_never_averaged(folder, error):
    whole = folder.result()
    whole["metrics"]["test"]["energy_mae_ev"] = "HERE"
    (folder.path / "result.json").write_text(json.dumps(whole).replace('"HERE"', error))
    assert folder.result()["status"] == "damaged"


def test_a_damaged_configuration_stops_nobody(bench, folder, sheet):
    for content in NOT_YAML.values():
        folder.config.write_bytes(content)
        folder.settings()
    for what in ("bomb", "other kinds"):
        folder.config.write_bytes(NOT_YAML[what])
        told = everyone_reads(bench, sheet)
        assert "2 runs: 2 done" in told["status"]
        assert "plain, corrected, seed 0: another run (" in told["tables"]


def test_damaged_metrics_stop_nobody(bench, folder, sheet):
    for content in (b"", b"epoch\n", b"epoch,seconds\n1\n", b"x" * 1000, b"\xff\xfe"):
        folder.metrics.write_bytes(content)
        last_epoch(folder)
    everyone_reads(bench, sheet)


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04", "list", "empty mapping"])
def test_a_damaged_checkpoint_is_one_line(bench, folder, name, content):
    """Of a run that is to go on: its result is not there yet."""
    for record in ("status.json", "result.json"):
        (folder.path / record).unlink()
    path = folder.path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save([1] if content == "list" else {}, path)
    status, _, err = bench("train", *asked(SHORT))
    assert status == 2
    assert err.startswith(f"error: {path}: ")
    assert err.endswith("bench train ... --fresh trains the run again\n")
    assert err.count("\n") == 1
    if name == "best.pt":
        status, out, err = bench("evaluate", str(folder.path))
        assert (status, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", "one"),
        ("epochs", 0),
        ("lowest", None),
        ("run", 3),
        ("optimizer", []),
        ("potential", {"x": torch.tensor([float("nan")])}),
        ("potential", {"x": "text"}),
    ],
)
def test_a_checkpoint_of_other_kinds_is_one_line(bench, folder, key, value):
    (folder.path / "result.json").unlink()
    torch.save(torch.load(folder.last, weights_only=True) | {key: value}, folder.last)
    status, _, err = bench("train", *asked(SHORT))
    assert status == 2
    assert f"{folder.last}: is not whole (" in err
    assert err.count("\n") == 1


def test_a_checkpoint_of_other_shapes_is_one_line(bench, folder):
    (folder.path / "result.json").unlink()
    content = checkpoint.load(folder.last, torch.device("cpu")) | {"epochs": 1}
    content["potential"] = {k: v.reshape(-1)[:1] for k, v in content["potential"].items()}
    torch.save(content, folder.last)
    status, _, err = bench("train", *asked(SHORT))
    assert (status, err.count("\n")) == (2, 1)
    assert "Traceback" not in folder.log.read_text()


def test_what_cannot_be_trained_leaves_an_earlier_result(bench, folder):
    """--fresh forgets a run only once its successor can begin."""
    before = {p.name: p.read_bytes() for p in folder.path.iterdir()}
    assert bench("train", *asked(SHORT, "device=mps"), "--fresh")[0] == 2
    assert {p.name: p.read_bytes() for p in folder.path.iterdir()} == before


def test_fresh_deletes_what_the_program_made_and_nothing_else(bench, folder):
    assert bench("evaluate", str(folder.path))[0] == 0
    mine = [folder.path / "notes.txt", folder.path / "evaluation" / "plot.py"]
    mine += [folder.path / "figures" / "a.png", folder.path / "metrics.csv.bak"]
    theirs = [*folder.path.glob("evaluation/*/*"), folder.path / ".last.pt.a1b2.bench-unfinished"]
    theirs[-1].write_bytes(b"of a killed process")
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert bench("train", *asked(SHORT), "--fresh")[0] == 0
    assert all(path.read_text() == "mine" for path in mine)
    assert not any(path.exists() for path in theirs)


def test_metrics_hold_each_epoch_once_or_the_run_is_not_gone_on_with():
    """As many whole rows as the checkpoint has epochs, in their order."""

    def stop(row) -> None:
        if row.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_epoch=stop)
    folder = run_folder(experiment(asked()))
    whole = folder.metrics.read_text()
    rows = whole.splitlines()
    for lines in ([], rows[:1], rows[:3], [*rows[:2], rows[1]], [rows[0], *rows[2:]], ["x"] * 9):
        folder.metrics.write_text("".join(f"{line}\n" for line in lines))
        with pytest.raises(UserError, match=r"metrics\.csv: .*epoch.* of last\.pt.*--fresh"):
            run()
    folder.metrics.unlink()
    with pytest.raises(UserError, match=r"metrics\.csv: .*--fresh"):
        run()
    folder.metrics.write_text(whole)
    assert metrics(run().folder)["epoch"].tolist() == ["1", "2", "3", "4"]


def test_metrics_are_on_disk_before_the_checkpoint_that_counts_them(monkeypatch):
    """A machine that goes down keeps what was synced: the rows, and only then the checkpoint."""
    synced: list[int] = []
    monkeypatch.setattr(RunFolder, "sync_metrics", lambda self: synced.append(len(metrics(self))))
    save = checkpoint.save

    def checked(path: Path, content: dict) -> None:
        if path.name == "last.pt":
            assert synced[-1] == content["epochs"]
        save(path, content)

    monkeypatch.setattr(checkpoint, "save", checked)
    run()
    assert synced == [1, 2, 3, 4]


def test_a_bomb_in_a_sweep_file_is_one_line(tmp_path):
    path = tmp_path / "bomb.yaml"
    for what, content in NOT_YAML.items():
        if what in ("empty", "list", "other kinds"):
            continue
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            read_yaml(path)
        assert "\n" not in str(caught.value)
    path.write_text("a: [&few data.train_size=300]\nb: [*few]\n")
    assert read_yaml(path) == {"a": ["data.train_size=300"], "b": ["data.train_size=300"]}
