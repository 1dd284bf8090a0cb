"""More epochs on a run that is done: on from it where that is bit for bit the longer run."""

from __future__ import annotations

import pytest

from deepset_bench.config import experiment
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.schema import Schedule, Trainer
from deepset_bench.training.schedule import agree
from tests.test_cli import inside
from tests.training.tiny import EVEN, asked, assert_same_run, run, run_seeds

pytestmark = pytest.mark.usefixtures("tiny")

PLATEAU = (
    *("trainer.schedule.kind=plateau", "trainer.schedule.factor=0.5"),
    "trainer.schedule.patience=0",
)
IN_WARM_UP = "trainer.schedule.warmup_steps=8"  # two epochs of four batches


def log(folder: RunFolder) -> str:
    return folder.log.read_text()


@pytest.mark.parametrize("schedule", [PLATEAU, (IN_WARM_UP,)], ids=["plateau", "warm-up"])
def test_on_from_a_shorter_run_bit_for_bit(schedule, tmp_path, monkeypatch, capsys):
    short = run(*schedule, "trainer.epochs=2").folder
    words = asked(*schedule, "trainer.epochs=5")
    status, out, err = inside(monkeypatch, capsys, "train", *words)
    assert (status, err) == (0, "")
    assert f"begun where {short.path} ended, after epoch 2" in out
    made = run_folder(experiment(words))
    assert "going on after" not in log(made)
    at_once = run(*schedule, "trainer.epochs=5", f"runs_dir={tmp_path}/other").folder
    assert_same_run(made, at_once)
    assert short.has_ended()
    assert short.result()["epochs"] == 2


def test_the_longest_of_the_shorter_runs_is_gone_on_from():
    run(*PLATEAU, "trainer.epochs=1")
    longer = run(*PLATEAU, "trainer.epochs=2").folder
    assert "begun where" in log(longer)
    run(*PLATEAU, "trainer.epochs=4")
    third = run(*PLATEAU, "trainer.epochs=3").folder
    assert f"begun where {longer.path} ended, after epoch 2" in log(third)


def test_stacked_seeds_go_on_from_theirs():
    for seed in (0, 1):
        run(*PLATEAU, EVEN, "trainer.epochs=1", f"seed={seed}")
    for outcome in run_seeds(*PLATEAU, EVEN, "trainer.epochs=2", seeds=[0, 1]):
        assert f"seed-{outcome.folder.path.name[-1]} ended, after epoch 1" in log(outcome.folder)
        assert outcome.result["epochs"] == outcome.result["stack"] == 2


def test_not_where_the_rate_falls_over_the_epochs():
    short = run("trainer.epochs=2").folder
    folder = run("trainer.epochs=3").folder
    assert f"begun from the start: {short.path} has another number of epochs" in log(folder)
    assert "begun where" not in log(folder)


def test_not_from_another_run():
    run(*PLATEAU, "trainer.epochs=2", "seed=1")
    run(*PLATEAU, "trainer.epochs=2", "width=4")
    assert "begun" not in log(run(*PLATEAU, "trainer.epochs=3").folder)


def test_not_without_checkpoints_and_not_where_fresh_is_said():
    short = run(*PLATEAU, "trainer.epochs=1").folder
    folder = run(*PLATEAU, "trainer.epochs=2").folder
    run(*PLATEAU, "trainer.epochs=2", fresh=True)
    assert log(folder).count("begun") == 0  # the log is new, too
    short.last.unlink()
    folder.clear()
    assert "does not hold its checkpoints any more" in log(run(*PLATEAU, "trainer.epochs=2").folder)


def test_a_damaged_checkpoint_is_one_line(monkeypatch, capsys):
    short = run(*PLATEAU, "trainer.epochs=1").folder
    short.last.write_bytes(b"nonsense")
    status, _, err = inside(monkeypatch, capsys, "train", *asked(*PLATEAU, "trainer.epochs=2"))
    assert status == 2
    assert err.startswith(f"error: {short.last}: not a readable checkpoint")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "warmup", "minimum", "same"),
    [
        ("plateau", 0, 0.0, True),
        ("cosine", 0, 0.0, False),
        ("cosine", 20, 0.0, True),  # all of the shorter run, and the first step after it
        ("cosine", 18, 0.0, False),
        ("cosine", 0, 1e-3, True),  # it does not fall
    ],
)
def test_which_schedules_agree(kind, warmup, minimum, same):
    plateau = (0.5, 1) if kind == "plateau" else (None, None)
    schedule = Schedule(kind, warmup, minimum, *plateau)
    shorter, longer = (
        Trainer(epochs, 20, 1e-3, 0.0, None, 0.2, 0.8, "atomic", schedule) for epochs in (5, 9)
    )
    assert agree(shorter, longer, 4) is same
