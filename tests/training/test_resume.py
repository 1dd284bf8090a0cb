"""How a run goes on: as it was computed before, or it is said; in its folder, or not at all."""

from __future__ import annotations

import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.config import experiment
from deepset_bench.runs import run_folder
from deepset_bench.training import checkpoint
from deepset_bench.training.computing import changed, earlier
from tests.test_cli import inside
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import EVEN, asked, assert_same_run, run, run_seeds

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """As many as torch is told, while it computes with one: what counts is what is asked for."""
    told = [1]
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: told[-1])


def ways(folder) -> list[tuple[int, int, bool]]:
    return [(w["from_epoch"], w["threads"], w["compile"]) for w in folder.result()["computed"]]


def killed(*overrides: str, epoch: int = 3) -> None:
    with pytest.raises(Killed):
        run(*overrides, on_epoch=stop_at(epoch))


def test_a_run_goes_on_with_its_own_threads(tmp_path):
    """Asked for none, it takes those it had, whatever torch would take by itself."""
    whole = run("threads=2", f"runs_dir={tmp_path}/whole")
    where = f"runs_dir={tmp_path}/cut"
    killed("threads=2", where)
    torch.set_num_threads(1)
    notes: list[str] = []
    resumed = run("threads=null", where, on_note=lambda _, line: notes.append(line))
    assert notes == ["going on after epoch 2"]
    assert resumed.result["threads"] == 2
    assert ways(resumed.folder) == [(1, 2, False)]
    assert_same_run(whole.folder, resumed.folder)


def test_other_threads_are_said_and_kept(monkeypatch, capsys):
    killed()
    status, out, _ = inside(monkeypatch, capsys, "train", *asked("threads=2"))
    assert status == 0
    folder = run_folder(experiment(asked()))
    line = "from epoch 3 on computed with threads=2 (was 1): other rounding, which training"
    assert line in out
    assert line in folder.log.read_text()
    assert ways(folder) == [(1, 1, False), (3, 2, False)]


def test_another_compile_setting_is_said_and_kept(monkeypatch):
    """A stand-in compiles nothing: what counts is what is recorded."""
    monkeypatch.setattr("deepset_bench.training.compiled.compiled", lambda function, *_: function)
    killed()
    notes: list[str] = []
    resumed = run("compile=true", on_note=lambda _, line: notes.append(line))
    assert any("compile=true (was false): other rounding" in line for line in notes)
    assert ways(resumed.folder) == [(1, 1, False), (3, 1, True)]


@pytest.fixture
def no_compiler(monkeypatch):
    """A platform where compiling fails at the first batch."""

    def broken(*_, **__):
        raise RuntimeError("no compiler found")

    for module in ("compiled", "stacked"):
        monkeypatch.setattr(f"deepset_bench.training.{module}.compiled", broken)


@pytest.mark.usefixtures("no_compiler")
def test_what_could_not_be_compiled_is_not_recorded_as_compiled():
    notes: list[str] = []
    whole = run("compile=true", "trainer.epochs=1", on_note=lambda _, line: notes.append(line))
    assert notes == ["not compiled: no compiler found"]
    assert ways(whole.folder) == [(1, 1, False)]
    for stacked in run_seeds("compile=true", "trainer.epochs=1", EVEN, seeds=[3, 4]):
        assert stacked.result["stack"] == 2
        assert ways(stacked.folder) == [(1, 1, False)]


def test_a_compiler_that_is_gone_is_said_and_kept(monkeypatch, request):
    with monkeypatch.context() as patch:
        patch.setattr("deepset_bench.training.compiled.compiled", lambda function, *_: function)
        killed("compile=true")
    request.getfixturevalue("no_compiler")
    notes: list[str] = []
    resumed = run("compile=auto", on_note=lambda _, line: notes.append(line))
    assert any("compile=false (was true): other rounding" in line for line in notes)
    assert ways(resumed.folder) == [(1, 1, True), (3, 1, False)]


def test_auto_is_what_it_was(monkeypatch):
    killed("compile=false")
    monkeypatch.setattr("deepset_bench.training.compiled.WORTHWHILE", 0)
    assert ways(run("compile=auto").folder) == [(1, 1, False)]


def test_a_finished_run_is_computed_no_further():
    first = run()
    (first.folder.path / "result.json").unlink()
    assert ways(run("threads=2").folder) == [(1, 1, False)]


@settings(max_examples=30, deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(), st.lists) | st.just([{"threads": "x"}]))
def test_what_a_checkpoint_says_is_typed(content):
    assert earlier({"computed": content}) == []


def test_an_earlier_checkpoint_says_nothing():
    killed()
    folder = run_folder(experiment(asked()))
    content = torch.load(folder.last, weights_only=True)
    del content["computed"]
    torch.save(content, folder.last)
    assert ways(run("threads=1").folder) == [(3, 1, False)]


def test_what_differs_is_named():
    assert changed({"from_epoch": 1, "threads": 1}, {"from_epoch": 2, "threads": 1}) == ""
    before, now = {"device": "cpu", "compile": True}, {"device": "cuda", "compile": False}
    assert changed(before, now) == "device=cuda (was cpu), compile=false (was true)"


@pytest.mark.parametrize("when", [1, 3, "the end"])
def test_a_folder_that_is_removed_is_not_made_again(monkeypatch, capsys, when):
    folder = run_folder(experiment(asked()))
    save = checkpoint.save

    def removing(path, content):
        save(path, content)
        last = path == folder.last
        if last and content["epochs"] == (4 if when == "the end" else when):
            shutil.rmtree(folder.path)

    monkeypatch.setattr(checkpoint, "save", removing)
    status, _, err = inside(monkeypatch, capsys, "train", *asked())
    assert status == 1
    assert err == f"error: {folder.path}: the folder of this run was removed while it was trained\n"
    assert not folder.path.exists()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("cutoff=0.3",), "cutoff=0.3 angstrom leaves every atom of the training frames without"),
        (
            ("trainer.energy_weight=0", "trainer.forces_weight=0"),
            "trainer.energy_weight=0 with trainer.forces_weight=0: nothing would be learned",
        ),
    ],
)
def test_what_would_learn_nothing_is_one_line(monkeypatch, capsys, overrides, expected):
    status, out, err = inside(monkeypatch, capsys, "train", *asked(*overrides))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert expected in err
