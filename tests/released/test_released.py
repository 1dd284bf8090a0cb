"""Run folders as released versions wrote them are read for ever, and say what they said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from deepset_bench.config import Experiment, experiment
from deepset_bench.config_file import load_config
from deepset_bench.data import catalogue
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.training.train import train

HERE = Path(__file__).parent
RUNS = sorted(path.parent for path in HERE.glob("*/*/config.yaml"))


@pytest.fixture(params=RUNS, ids=lambda path: f"{path.parent.name}-{path.name}")
def run(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def as_typed_now(run: Path) -> Experiment:
    """What its command asked for, with what has had another default since."""
    return experiment([*(run / "command.txt").read_text().split(), "trainer.select=loss"])


def test_its_checkpoint_predicts_what_its_result_says(run: Path) -> None:
    folder = RunFolder(run)
    frames = catalogue.load(load_config(folder.config).data.name)
    with np.load(folder.split) as split:
        test = frames.select(split["test"])
    said = folder.result()["metrics"]["test"]
    predicted = Ensemble([run], "cpu")(test)
    # float32 in another order of sums: each of some thousand terms rounds by 6e-8 of itself
    energy = np.abs(predicted.energy - test.energy).mean()
    assert energy == pytest.approx(said["energy_mae_ev"], rel=1e-4)
    forces = np.abs(predicted.forces - test.forces).mean()
    assert forces == pytest.approx(said["forces_mae_ev_per_angstrom"], rel=1e-4)


def test_asking_for_it_again_returns_it_and_trains_nothing(run: Path) -> None:
    """Its folder's name, however long, and its identity mean the same run in this version."""
    wanted = as_typed_now(run)
    short = run_folder(wanted).path
    home = short.parents[1] / wanted.variant / short.name
    shutil.copytree(run, home)
    assert run_folder(wanted).path == home
    (outcome,) = train(wanted.seeds())
    assert outcome.result == RunFolder(run).result()
    assert (home / "last.pt").read_bytes() == (run / "last.pt").read_bytes()


def test_its_training_goes_on(run: Path) -> None:
    """What last.pt holds, optimiser and random states included, fits this version."""
    wanted = as_typed_now(run)
    home = run_folder(wanted).path
    shutil.copytree(run, home)
    (home / "result.json").unlink()
    RunFolder(home).write_status("running", RunFolder(run).result()["run"])  # killed at its end
    (outcome,) = train(wanted.seeds())
    before = (run / "metrics.csv").read_text().splitlines()
    assert (home / "metrics.csv").read_text().splitlines()[: len(before)] == before
    assert outcome.result["run"] == RunFolder(run).result()["run"]
