"""Which epoch best.pt holds: of rows that are given, and of runs by their metrics.csv."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.config_file import determinants
from deepset_bench.errors import UserError
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.training.selecting import rank
from deepset_bench.training.step import Measured
from tests.test_cli import inside
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import EVEN, asked, assert_same_run, run, run_seeds

TRIVIAL = {ENERGY_MAE: 2.0, FORCES_MAE: 0.5}
ROWS = [
    Measured(9.0, 0.30, 0.40),  # 0.15 + 0.80
    Measured(5.0, 0.90, 0.10),  # 0.45 + 0.20: lowest sum
    Measured(4.0, 0.20, 0.50),  # 0.10 + 1.00: lowest loss and energy
    Measured(6.0, 1.90, 0.05),  # 0.95 + 0.10: lowest force
    Measured(4.0, 0.20, 0.50),  # the third once more
]


@pytest.mark.parametrize(
    ("overrides", "epoch"),
    [
        (["trainer.select=error"], 2),
        (["trainer.select=error", "trainer.forces_weight=0"], 3),
        (["trainer.select=error", "trainer.energy_weight=0"], 4),
        (["trainer.select=loss"], 3),
        (["trainer.select=loss", "trainer.energy_weight=0"], 3),
        (["trainer.select=last"], 5),
        ([], 2),
        (["trainer=report"], 3),
    ],
)
def test_each_rule_keeps_its_epoch(overrides, epoch):
    trainer = experiment(overrides).config.trainer
    ranks = [rank(trainer, TRIVIAL, number, row) for number, row in enumerate(ROWS, 1)]
    assert ranks.index(min(ranks)) + 1 == epoch


@pytest.mark.parametrize("nothing", [None, 0.0])
def test_energies_that_nothing_varies_of_count_in_ev(nothing):
    trainer = experiment(["trainer.select=error"]).config.trainer
    assert rank(trainer, TRIVIAL | {ENERGY_MAE: nothing}, 1, ROWS[0]) == 0.30 + 0.40 / 0.5


def chosen_by(rule: str, folder: RunFolder) -> int:
    """The epoch that metrics.csv says is the best."""
    table = pd.read_csv(folder.metrics, float_precision="round_trip")
    trivial = folder.result()["baselines"]["val"]
    by = {
        "error": sum(table[f"val_{key}"] / trivial[key] for key in (ENERGY_MAE, FORCES_MAE)),
        "loss": table["val_loss"],
        "last": -table["epoch"],
    }
    return int(table["epoch"][by[rule].idxmin()])


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("rule", ["error", "loss", "last"])
def test_a_run_keeps_what_its_metrics_say(rule, monkeypatch, capsys):
    words = asked(f"trainer.select={rule}", "trainer.learning_rate=0.1")
    status, out, _ = inside(monkeypatch, capsys, "train", *words)
    folder = run_folder(experiment(words))
    best = folder.result()["best_epoch"]
    assert status == 0
    assert best == chosen_by(rule, folder) == torch.load(folder.best)["epochs"]
    assert best == 4 or rule != "last"
    assert f"best epoch {best} of 4" in out


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("rule", ["error", "last"])
def test_stacked_seeds_keep_what_their_metrics_say(rule):
    asked_for = (f"trainer.select={rule}", EVEN, "trainer.learning_rate=0.1", "trainer.epochs=3")
    for outcome in run_seeds(*asked_for, seeds=[3, 4]):
        assert outcome.result["stack"] == 2
        assert outcome.result["best_epoch"] == chosen_by(rule, outcome.folder)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("rule", ["error", "last"])
def test_an_interrupted_run_chooses_alike(rule, tmp_path):
    asked_for = (f"trainer.select={rule}", "trainer.learning_rate=0.1")
    whole = run(*asked_for, f"runs_dir={tmp_path}/whole")
    with pytest.raises(Killed):
        run(*asked_for, f"runs_dir={tmp_path}/cut", on_epoch=stop_at(3))
    assert_same_run(whole.folder, run(*asked_for, f"runs_dir={tmp_path}/cut").folder)


def test_the_rule_of_the_first_runs_is_not_said():
    """What was trained before is still the same run; another rule is another run."""
    before, other = (experiment([f"trainer.select={rule}"]) for rule in ("loss", "error"))
    assert "select" not in determinants(before.config)["trainer"]
    assert other.identity("data") != before.identity("data")


@pytest.mark.usefixtures("tiny")
def test_a_run_of_another_rule_is_another_run():
    before = ("trainer.epochs=1", "trainer.select=loss")
    folder = run(*before).folder
    wanted = experiment(asked(*before))
    assert folder.another(wanted, folder.result()["data_sha256"]) == ""
    trainer = dataclasses.replace(wanted.config.trainer, select="error")
    other = dataclasses.replace(wanted, config=dataclasses.replace(wanted.config, trainer=trainer))
    reason = folder.another(other, folder.result()["data_sha256"])
    assert reason == "trainer.select was loss, is now error"


def test_an_unknown_rule_is_refused():
    with pytest.raises(UserError, match=r"trainer\.select=first is not valid; choose from error,"):
        experiment(["trainer.select=first"])
