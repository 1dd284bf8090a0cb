"""`bench check RUN`: models that are no function of a molecule are found out, others left alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.checks.finding import Finding
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.evaluation.check import check_run, rotation
from deepset_bench.evaluation.unread import unknown_keys, unread_keys, values, watched
from deepset_bench.runs import RunFolder
from tests.training.tiny import OVERRIDES, run

TWO = ("data=two", "data.train_size=30", "trainer.epochs=1")


def trained(*overrides: str) -> RunFolder:
    return run(*TWO, *overrides).folder


def verdicts(folder: RunFolder) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in check_run(folder.path)}


def found(folder: RunFolder, check: str) -> Finding:
    (one,) = [finding for finding in check_run(folder.path) if finding.check == check]
    return one


MODEL = ("batch", "order of atoms", "rotation", "forces", "cutoff", "configuration keys", "split")


@pytest.mark.usefixtures("tiny", "two_molecules")
def test_a_sound_run() -> None:
    found = verdicts(trained("scalars=cub_sqrt"))
    assert {check: found[check] for check in MODEL} == dict.fromkeys(MODEL, "ok")


@pytest.mark.usefixtures("tiny", "two_molecules")
def test_a_graph_layer_under_the_reports_condition() -> None:
    """Half of its edges are gone, so its energies depend on the batch and on the order of atoms."""
    folder = trained("condition=report", "gnn=sage")
    kinds = verdicts(folder)
    for check in ("batch", "order of atoms", "forces", "cutoff", "training data"):
        assert kinds[check] == "defect", check
    assert kinds["rotation"] == "ok"
    assert "1.8897 times" in found(folder, "forces").text
    assert found(folder, "batch").number > 1e-4


@pytest.mark.usefixtures("tiny", "two_molecules")
@pytest.mark.parametrize(
    ("overrides", "check"),
    [
        (["envelope=none"], "cutoff"),
        (["condition.units=mixed"], "forces"),
        (["condition.edges=every_second"], "batch"),
        (["condition.labels=biased"], "training data"),
        (["aggregation=max"], "configuration keys"),
    ],
)
def test_each_flaw_by_itself(overrides: list[str], check: str) -> None:
    assert verdicts(trained(*overrides))[check] == "defect"


@pytest.mark.usefixtures("tiny")
def test_an_energy_that_knows_the_axes() -> None:
    """The report's variants took the mean of a unit vector's components for an edge feature."""

    class Turned:
        def __call__(self, frames):
            return frames.positions.reshape(len(frames), -1).mean(axis=1), np.zeros(0)

    assert rotation(Turned(), catalogue.load("tiny")).verdict == "defect"  # type: ignore[arg-type]


@pytest.mark.usefixtures("tiny", "two_molecules")
def test_keys_that_this_version_does_not_have() -> None:
    """The model is examined all the same."""
    folder = trained()
    text = folder.config.read_text()
    folder.config.write_text(text.replace("rbf:\n", "rbf:\n  radial_type: expnorm\n") + "top: 5\n")
    assert unknown_keys(folder.config) == ["rbf.radial_type", "top"]
    keys = found(folder, "configuration keys")
    assert keys.verdict == "defect"
    assert "rbf.radial_type, top" in keys.text
    assert verdicts(folder)["batch"] == "ok"


@pytest.mark.usefixtures("tiny", "two_molecules")
def test_training_frames_in_the_test_part() -> None:
    folder = trained()
    split = Split.load(folder.split)
    test = split.test.copy()
    test[:2] = split.train[:2]
    dataclasses.replace(split, test=test).save(folder.split)
    leak = found(folder, "split")
    assert leak.verdict == "defect"
    assert set(leak.frames) == set(split.train[:2].tolist())


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("overrides", "unread"),
    [
        ([], []),
        (["scalars=all", "rbf=expnorm", "gating=top_k", "gating.experts=6"], []),
        (["gnn=sage", "aggregation=max"], []),
        (["aggregation=max"], ["aggregation"]),
        (["condition=report", "seed=4", "trainer.schedule.patience=3"], []),
        (["reference=isolated_atoms", "reference.energies_ev.6=-50.0"], []),
    ],
)
def test_unread_keys(overrides: list[str], unread: list[str]) -> None:
    assert unread_keys(experiment([*OVERRIDES, *overrides]).config) == unread


def test_watching_reports_what_is_read_and_changes_nothing() -> None:
    config = experiment([]).config
    seen: list[str] = []
    copy = watched(config, seen.append)
    assert copy.trainer.schedule.kind == config.trainer.schedule.kind
    assert seen == ["trainer", "trainer.schedule", "trainer.schedule.kind"]
    assert dataclasses.replace(copy, width=4).width == 4
    assert values(copy) == values(config)


@pytest.mark.usefixtures("tiny")
def test_the_command(tmp_path: Path) -> None:
    folder = run("condition=report", "trainer.epochs=1").folder
    runner, file = CliRunner(), tmp_path / "found.json"
    result = runner.invoke(cli.app, ["check", str(folder.path), "--json", str(file)])
    assert result.exit_code == 1
    assert "defect" in result.output
    content = json.loads(file.read_text())
    assert content["verdict"] == "defect"
    assert {finding["check"] for finding in content["findings"]} >= set(MODEL)


def test_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        check_run(tmp_path)
