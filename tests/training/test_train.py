"""A run from start to end, twice, interrupted, finished, refused."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from filelock import FileLock

from deepset_bench import file_version
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import load_trained
from deepset_bench.runs import LOCK, run_folder
from deepset_bench.training import checkpoint
from deepset_bench.training import train as training
from deepset_bench.training.loop import Epoch
from deepset_bench.training.records import COLUMNS
from deepset_bench.training.setup import prepare
from deepset_bench.training.step import SingleOptimisation
from tests import toy
from tests.training.tiny import (
    DEEPSET_X,
    DEEPSET_X_2,
    OVERRIDES,
    SCHNET,
    VISNET,
    assert_same_run,
    metrics,
    prepared,
    run,
    run_seeds,
    script_validation,
)

pytestmark = pytest.mark.usefixtures("tiny")

# Each has state of its own: dropout; a moving average, a halved edge list and the plateau.
STATEFUL = {
    "baseline": (),
    "dropout": ("gnn=gat",),
    "report": ("condition=report", "gnn=sage", "trainer.schedule.patience=0"),
    "deepset_x": DEEPSET_X,
    "deepset_x_2": DEEPSET_X_2,
    "schnet": SCHNET,
    "visnet": VISNET,
}
stateful = pytest.mark.parametrize("overrides", STATEFUL.values(), ids=list(STATEFUL))


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def stop_at(epoch: int, error: type[BaseException] = Killed):
    """An `on_epoch` that ends the run in `epoch`: after its row, before its checkpoint."""

    def on_epoch(row: Epoch) -> None:
        if row.epoch == epoch:
            raise error

    return on_epoch


def folder_of(*overrides: str):
    return run_folder(experiment([*OVERRIDES, *overrides]))


@stateful
def test_the_same_seed_gives_the_same_bits(overrides, tmp_path):
    a = run(*overrides, f"runs_dir={tmp_path}/a")
    b = run(*overrides, f"runs_dir={tmp_path}/b")
    assert_same_run(a.folder, b.folder)


def test_another_seed_gives_another_run():
    a, b = run("seed=0"), run("seed=1")
    assert a.folder.path != b.folder.path
    assert not metrics(a.folder).equals(metrics(b.folder))


@stateful
@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupted_run_goes_on_bit_for_bit(overrides, epoch, tmp_path):
    """Killed between an epoch's row and its checkpoint: the row is dropped and written again."""
    whole = run(*overrides, f"runs_dir={tmp_path}/whole")
    where = f"runs_dir={tmp_path}/cut"
    with pytest.raises(Killed):
        run(*overrides, where, on_epoch=stop_at(epoch))
    epochs: list[int] = []
    resumed = run(*overrides, where, on_epoch=lambda row: epochs.append(row.epoch))
    assert epochs == list(range(epoch, 5))
    assert not resumed.already_done
    assert_same_run(whole.folder, resumed.folder)


def test_epochs_since_the_last_checkpoint_are_repeated_alike(tmp_path, monkeypatch):
    """Checkpoints of the first and the last epoch alone: a short run is never older than that."""
    monkeypatch.setattr("deepset_bench.training.loop.CHECKPOINT_SECONDS", 3600.0)
    whole = run(f"runs_dir={tmp_path}/whole")
    with pytest.raises(Killed):
        run(f"runs_dir={tmp_path}/cut", on_epoch=stop_at(4))
    epochs: list[int] = []
    resumed = run(f"runs_dir={tmp_path}/cut", on_epoch=lambda row: epochs.append(row.epoch))
    assert epochs == [2, 3, 4]
    assert_same_run(whole.folder, resumed.folder)


def test_a_plateau_goes_on_where_it_was(tmp_path, monkeypatch):
    """The rate has fallen before the interruption."""
    script_validation(monkeypatch, [1.0, 2.0, 2.0, 0.5])
    plateau = ("trainer=report", "trainer.schedule.patience=0", "trainer.schedule.warmup_steps=0")
    overrides = (*plateau, "trainer.learning_rate=0.05", "trainer.epochs=4")
    whole = run(*overrides, f"runs_dir={tmp_path}/whole")
    rates = metrics(whole.folder)["learning_rate"].astype(float)
    assert rates[0] == rates[1] > rates[2] > rates[3]
    with pytest.raises(Killed):
        run(*overrides, f"runs_dir={tmp_path}/cut", on_epoch=stop_at(4))
    assert_same_run(whole.folder, run(*overrides, f"runs_dir={tmp_path}/cut").folder)


@pytest.mark.parametrize("name", ["best.pt", "last.pt"])
def test_killed_right_after_a_checkpoint(name, tmp_path, monkeypatch):
    script_validation(monkeypatch, [3.0, 1.0, 2.0, 1.5])
    by_loss = "trainer.select=loss"
    whole = run(by_loss, f"runs_dir={tmp_path}/whole")
    best = whole.result["best_epoch"]
    assert best == 2
    save = checkpoint.save

    def save_and_die(path: Path, content: dict) -> None:
        save(path, content)
        if path.name == name and content["epochs"] == best:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_and_die)
        with pytest.raises(Killed):
            run(by_loss, f"runs_dir={tmp_path}/cut")
    epochs: list[int] = []
    resumed = run(by_loss, f"runs_dir={tmp_path}/cut", on_epoch=lambda r: epochs.append(r.epoch))
    assert epochs == list(range(best if name == "best.pt" else best + 1, 5))
    assert_same_run(whole.folder, resumed.folder)


@pytest.mark.parametrize("torn", ["3,0.00", "1", "3,0.001,0.5,0.2,0.1,0.5,0.2,0.1,9."])
def test_killed_while_writing_a_row(torn, tmp_path):
    """What is left of `3,...` or, in a longer run, `1` of `13,...` is no row."""
    whole = run(f"runs_dir={tmp_path}/whole")
    where = f"runs_dir={tmp_path}/cut"
    with pytest.raises(Killed):
        run(where, on_epoch=stop_at(3))
    folder = folder_of(where)
    rows = folder.metrics.read_text().splitlines()
    folder.metrics.write_text("\n".join([*rows[:3], torn]))
    assert_same_run(whole.folder, run(where).folder)


def test_a_failed_run_says_why_and_goes_on(tmp_path):
    whole = run(f"runs_dir={tmp_path}/whole")
    with pytest.raises(ZeroDivisionError):
        run(on_epoch=stop_at(3, ZeroDivisionError))
    folder = folder_of()
    status = folder.status()
    assert status["state"] == "failed"
    assert status["reason"].startswith("ZeroDivisionError")
    assert "Traceback" in folder.log.read_text()
    states: list[str] = []
    resumed = run(on_epoch=lambda _: states.append(folder.status()["state"]))
    assert states == ["running", "running"]
    assert_same_run(whole.folder, resumed.folder)


def test_a_done_run_is_returned_and_not_trained_again():
    first = run()
    before = {p.name: p.stat().st_mtime_ns for p in first.folder.path.iterdir() if p.name != LOCK}
    again = run(on_epoch=stop_at(1), on_start=lambda *_: pytest.fail("it started"))
    assert again.already_done
    assert again.result == first.result
    after = {p.name: p.stat().st_mtime_ns for p in first.folder.path.iterdir() if p.name != LOCK}
    assert after == before


def test_where_it_runs_is_no_part_of_a_run():
    """Another logger, form or number of threads asks for the same run."""
    run()
    again = run("logger=tensorboard", "form=reference", "threads=2", "device=auto")
    assert again.already_done


def test_fresh_trains_again():
    first = run()
    (first.folder.path / "events.out.tfevents.1").write_text("of an earlier run")
    epochs: list[int] = []
    again = run(fresh=True, on_epoch=lambda row: epochs.append(row.epoch))
    assert epochs == [1, 2, 3, 4]
    assert not again.already_done
    assert not (again.folder.path / "events.out.tfevents.1").exists()


def test_data_that_are_replaced_while_a_run_is_prepared_are_not_trained_on(monkeypatch):
    """It would be known by the checksum of those before."""

    def replaced(*given):
        catalogue.register("tiny", toy.frames(3, 60, seed=9, bias=0.5), {}, force=True)
        return prepare(*given)

    with monkeypatch.context() as patch:
        patch.setattr(training, "prepare", replaced)
        with pytest.raises(UserError, match="tiny: the data were replaced while the run was"):
            run("trainer.epochs=1")
    assert not folder_of("trainer.epochs=1").is_run()
    assert run("trainer.epochs=1").result["data_sha256"] == catalogue.checksums(["tiny"])


def test_another_run_in_the_same_folder_is_refused():
    run()
    catalogue.register("tiny", toy.frames(3, 60, seed=9, bias=0.5), {}, force=True)
    with pytest.raises(UserError, match=r"holds another run: .*--fresh trains again") as caught:
        run()
    assert "\n" not in str(caught.value)
    assert not run(fresh=True).already_done


def test_a_folder_that_another_process_trains_is_refused():
    folder = folder_of()
    folder.path.mkdir(parents=True)
    with (
        FileLock(folder.path / LOCK),
        pytest.raises(UserError, match="is being trained by another process"),
    ):
        run()
    assert not run().already_done


def test_a_damaged_checkpoint_is_the_users_to_mend():
    with pytest.raises(Killed):
        run(on_epoch=stop_at(3))
    folder = folder_of()
    folder.last.write_bytes(folder.last.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"last\.pt: not a readable checkpoint .*--fresh") as caught:
        run()
    assert "\n" not in str(caught.value)
    assert run(fresh=True).result["status"] == "done"


def test_a_checkpoint_of_an_earlier_version_is_one_line():
    """Its optimiser had a state for each parameter."""
    with pytest.raises(Killed):
        run(on_epoch=stop_at(3))
    folder = folder_of()
    content = torch.load(folder.last, weights_only=True)
    content["optimizer"]["param_groups"][0]["params"] = [0, 1]
    torch.save(content, folder.last)
    with pytest.raises(UserError, match=r"an earlier version.*use --fresh"):
        run()


def _short(moments: dict) -> None:
    moments["exp_avg"] = moments["exp_avg"][:-1]


def _infinite(moments: dict) -> None:
    moments["exp_avg_sq"].fill_(float("inf"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda saved: _short(saved["optimizer"]["state"][0]),
        lambda saved: _infinite(saved["optimizer"]["state"][0]),
        lambda saved: saved["optimizer"]["state"].clear(),
        lambda saved: saved["optimizer"]["state"].update({0: 1}),
        lambda saved: saved["averages"].update(train=torch.zeros(3)),
        lambda saved: saved["averages"].update(train="none"),
        lambda saved: saved["rate"].update(factor=None, epochs="many"),
        lambda saved: saved["potential"].update(scale=torch.zeros(2)),
        lambda saved: saved.update(share="long"),
    ],
)
def test_what_training_cannot_go_on_from_is_one_line(spoil):
    with pytest.raises(Killed):
        run("trainer.epochs=2", on_epoch=stop_at(2))
    folder = folder_of("trainer.epochs=2")
    saved = torch.load(folder.last, weights_only=True)
    spoil(saved)
    torch.save(saved, folder.last)
    with pytest.raises(UserError, match=r"last\.pt: .*use --fresh") as caught:
        run("trainer.epochs=2")
    assert "\n" not in str(caught.value)


def test_divergence_is_a_result():
    outcome = run("trainer.learning_rate=1e18")
    result = outcome.result
    assert result["status"] == outcome.folder.status()["state"] == "diverged"
    assert result["metrics"] is None
    for reason in (result["reason"], outcome.folder.status()["reason"]):
        assert "loss of epoch" in reason
    assert result["baselines"]["test"]["energy_mae_ev"] > 0
    assert run("trainer.learning_rate=1e18").already_done


def spoiling(monkeypatch, part: str, row: int) -> list[str]:
    """Labels of a part get an energy that is no number; the list gets the frame, from 1."""
    spoilt: list[str] = []

    def spoil(config, start=None):
        setup = prepare(config, start)
        setup.parts[part].energy[row] = float("nan")
        spoilt.append(str(getattr(setup.split, part)[row] + 1))
        return setup

    monkeypatch.setattr("deepset_bench.training.train.prepare", spoil)
    return spoilt


def test_what_is_not_a_number_is_named_by_its_frame_and_epoch(monkeypatch):
    """Among the few frames of its step."""
    spoilt = spoiling(monkeypatch, "train", 13)
    reason = run().result["reason"]
    said = re.fullmatch(
        r"the training loss of epoch 1 is nan, first in step \d, of frames (.+) of tiny", reason
    )
    assert said is not None, reason
    named = said[1].split(", ")
    assert len(named) in (6, 2)
    assert set(spoilt) < set(named)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_what_is_not_a_number_in_validation_is_named_by_its_frame(monkeypatch, seeds):
    spoilt = spoiling(monkeypatch, "val", 3)
    outcomes = run_seeds(seeds=seeds)
    expected = [f"the validation loss of epoch 1 is nan, of frames {of} of tiny" for of in spoilt]
    assert [outcome.result["reason"] for outcome in outcomes] == expected


def test_result_holds_every_key_that_scripts_rely_on():
    outcome = run()
    result = outcome.result
    assert result == outcome.folder.result()
    assert result["status"] == "done"
    for part in ("test", "val"):
        for table in ("metrics", "baselines"):
            for key in ("energy_mae_ev", "forces_mae_ev_per_angstrom"):
                assert math.isfinite(result[table][part][key])
                assert result[table][part][key] > 0
    assert result["label_floor_ev_per_angstrom"] == 0.0
    assert result["data_verdict"]["verdict"] in ("ok", "suspect", "defect")
    assert result["width"] == 8
    assert result["epochs"] == 4
    assert result["device"] == "cpu"
    assert result["threads"] == 1
    assert 0 < result["wall_seconds"] < 600
    assert {"deepset-bench", "python", "torch", "numpy"} <= result["versions"].keys()
    state = checkpoint.load(outcome.folder.last, "cpu")["potential"]
    buffers = ("species", "scale")
    assert result["parameters"] == sum(v.numel() for k, v in state.items() if k not in buffers)


def test_what_a_run_leaves_behind():
    folder = run().folder
    assert folder.path.parts[-4:-1][0] == "tiny"
    assert folder.path.parts[-3] == "corrected"
    assert folder.path.name == "seed-0"
    names = {p.name for p in folder.path.iterdir()}
    expected = {"config.yaml", "split.npz", "last.pt", "best.pt", "held_out.npz", "log.txt"}
    assert names - {LOCK} == expected | {"metrics.csv", "result.json", "status.json"}
    table = pd.read_csv(folder.metrics)
    assert list(table.columns) == COLUMNS
    assert table["epoch"].tolist() == [1, 2, 3, 4]
    assert (table["seconds"].diff().dropna() > 0).all()


@pytest.mark.parametrize(
    "overrides",
    [
        ("scalars=cub_sqrt", "gating=top_k", "gating.top_k=1"),
        ("gnn=sage", "width_budget=parameters"),
        SCHNET,
    ],
)
def test_the_saved_configuration_repeats_the_run(overrides):
    """Every leaf as an override of the default composition gives the same experiment."""
    first = run(*overrides)

    def leaves(content: dict, prefix: str = "") -> list[str]:
        found: list[str] = []
        for key, value in content.items():
            if isinstance(value, dict):
                found += leaves(value, f"{prefix}{key}.")
            elif prefix + key in ("scalars", "rbf.transforms"):
                found.append(f"{prefix}{key}=[{','.join(value)}]")
            elif prefix + key != "runs_dir":
                found.append(f"{prefix}{key}={'null' if value is None else value}")
        return found

    saved = leaves(file_version.unmarked(yaml.safe_load(first.folder.config.read_text())))
    checksum = catalogue.checksum("tiny")
    assert experiment(saved).identity(checksum) == first.result["run"]


def test_the_best_epoch_is_the_one_of_lowest_validation_loss(monkeypatch):
    """Neither the first nor the last, and the final errors are those of its parameters."""
    script_validation(monkeypatch, [2.0, 1.0, 3.0])
    outcome = run("trainer.epochs=3", "trainer.learning_rate=0.05", "trainer.select=loss")
    table = pd.read_csv(outcome.folder.metrics).set_index("epoch")
    assert table["val_loss"].tolist() == [2.0, 1.0, 3.0]
    assert outcome.result["best_epoch"] == 2
    found = outcome.result["metrics"]["val"]
    for key in ("energy_mae_ev", "forces_mae_ev_per_angstrom"):
        of_epoch = table[f"val_{key}"]
        # The loop averages batches in float32, the result sums in float64.
        assert found[key] == pytest.approx(of_epoch[2], rel=1e-4)
        assert (of_epoch - found[key]).abs().idxmin() == 2


def test_the_width_of_a_budget_is_recorded():
    """The baseline of width 8 has 10 experts and 32 radial functions, this variant 2 and 8."""
    outcome = run("width_budget=parameters")
    config = yaml.safe_load(outcome.folder.config.read_text())
    assert (config["width"], config["width_budget"]) == (8, "parameters")
    assert outcome.result["width"] > 8
    assert outcome.result["parameters"] == pytest.approx(3000, rel=0.2)
    assert f"width {outcome.result['width']}, by the parameters" in outcome.folder.log.read_text()
    assert load_trained(outcome.folder.path, "cpu").config.width == 8


networks = pytest.mark.parametrize(
    "overrides",
    [(), DEEPSET_X, SCHNET, VISNET],
    ids=["deepset", "deepset_x", "schnet", "visnet"],
)


@networks
def test_a_run_goes_downhill(overrides):
    """With all frames in a batch and a rate h so small that the loss is linear over a step.

    Adam's steps are then h times the gradient's signs. The loss falls by h times the gradient's
    1-norm in each, here a thousand roundings and more.
    """
    slow = ("trainer.learning_rate=1e-5", "trainer.schedule.warmup_steps=0")
    outcome = run(*overrides, *slow, "trainer.batch_size=20", "trainer.epochs=3")
    losses = pd.read_csv(outcome.folder.metrics)["train_loss"]
    assert (losses.diff().dropna() < 0).all()
    assert outcome.result["width"] == 8


@pytest.mark.usefixtures("float64")
def test_both_forms_train_alike():
    """What two steps and a validation measure, to the rounding of one form's tables to float32."""
    found = []
    for form in ("fused", "reference"):
        setup, config = prepared(f"form={form}")
        steps = SingleOptimisation(setup, config, compile_steps=False, say=pytest.fail)
        trained = [steps.train([frames], [1e-3])[0] for frames in torch.arange(12).split(6)]
        found.append(torch.stack([*trained, torch.tensor(steps.validate()[0])]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=0)
