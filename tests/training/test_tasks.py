"""Runs with a task, from overrides to result.json and what is said of it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from deepset_bench import cli, file_version
from deepset_bench.config import experiment
from deepset_bench.config_file import determinants
from deepset_bench.console import Console
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.training.progress import ood_table
from tests import toy
from tests.training.tiny import EVEN, run, run_seeds

LARGER = ("data=many", "task.ood.carbons=[4,5]", "task.ood_size=10", "trainer.epochs=2")
CARBONS = (2, 3, 4, 5)


@pytest.fixture
def many(tiny) -> Frames:
    """The set `many`: 20 frames each of four molecules, registered."""
    frames = Frames.concatenate([toy.frames(n, 20, seed=n, noise=0.02) for n in CARBONS])
    catalogue.register("many", frames, {"method": "analytic"})
    return frames


def test_a_run_without_a_task_is_what_it_was(tiny):
    config = experiment(["data=tiny"]).config
    assert not {"task", "energy_error"} & determinants(config).keys()
    outcome = run("trainer.epochs=1")
    assert outcome.result["metrics"].keys() == {"test", "val", "held_out"}
    of_tasks = {"molecules", "environments", "frames_scored", "relative_energy_mae_ev"}
    assert not of_tasks & outcome.result["metrics"]["test"].keys()
    with np.load(outcome.folder.split) as stored:
        assert set(stored) == {"train", "val", "test", "held_out", file_version.KEY}


def test_out_of_distribution(many):
    first, other = run_seeds(*LARGER, EVEN, seeds=[0, 1])
    splits = [Split.load(outcome.folder.split) for outcome in (first, other)]
    np.testing.assert_array_equal(splits[0].ood, splits[1].ood)
    assert (splits[0].train != splits[1].train).any()
    for part in ("train", "val", "test"):
        rows = getattr(splits[0], part)
        assert set(many.molecule[rows]) <= {"c2h4", "c3h6"}
    assert set(many.molecule[splits[0].ood]) == {"c4h8", "c5h10"}

    metrics, baselines = first.result["metrics"], first.result["baselines"]
    assert set(metrics) == {"test", "val", "ood", "held_out"}
    assert set(metrics["ood"]["molecules"]) == {"c4h8", "c5h10"}
    assert metrics["ood"]["frames_scored"] == 10  # all C(n)H(2n): identified
    assert metrics["test"]["environments"]["unseen"]["atoms"] == 0
    assert metrics["ood"]["environments"]["unseen"]["atoms"] > 0
    ood = many.select(splits[0].ood)
    zero = np.abs(ood.forces).mean()
    assert baselines["ood"]["forces_mae_ev_per_angstrom"] == pytest.approx(zero)
    own = [ood.energy[ood.molecule == name] for name in np.unique(ood.molecule)]
    spread = np.abs(np.concatenate([energy - energy.mean() for energy in own])).mean()
    assert baselines["ood"]["relative_energy_mae_ev"] == pytest.approx(spread)

    console = Console(width=80, record=True)
    console.print(ood_table(first.result))
    assert "unseen first shells" in console.export_text()


def test_evaluation_agrees(monkeypatch, capsys, many):
    outcomes = [run(*LARGER, f"seed={seed}") for seed in (0, 1)]
    paths = [str(outcome.folder.path) for outcome in outcomes]

    def evaluated(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["bench", "evaluate", *arguments])
        monkeypatch.setenv("COLUMNS", "100")
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), "".join(capsys.readouterr())

    assert evaluated(paths[0], "part=ood")[0] == 0
    target = outcomes[0].folder.path / "evaluation" / "many-ood" / "evaluation.json"
    errors = json.loads(target.read_text())["errors"][0]
    measured = outcomes[0].result["metrics"]["ood"]
    for key in ("energy_mae_ev", "relative_energy_mae_ev", "forces_mae_ev_per_angstrom"):
        assert errors[key] == pytest.approx(measured[key], rel=1e-4)
    assert evaluated(paths[0], "seed=5")[0] == 0  # another division of what was trained on
    target = target.parent.parent / "many-random-7-seed-5" / "evaluation.json"
    assert {row["of"] for row in json.loads(target.read_text())["errors"]} >= {"c2h4", "c3h6"}
    assert "c4h8" not in target.read_text()
    status, text = evaluated(*paths, "part=ood")
    assert status == 0
    assert "RMSE / uncertainty" in text
    for given, message in (
        (["part=test"], "part=test: part= is ood or held_out, without other overrides"),
        (
            ["part=ood", "data=many"],
            "part=ood data=many: part= is ood or held_out, without other overrides",
        ),
    ):
        status, text = evaluated(paths[0], *given)
        assert status == 2
        assert message in text


def test_no_task_no_such_frames(monkeypatch, capsys, tiny):
    path = str(run("trainer.epochs=1").folder.path)
    monkeypatch.setattr(sys, "argv", ["bench", "evaluate", path, "part=ood"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "the run was trained without a task=" in capsys.readouterr().err


def test_another_set_is_part_of_the_identity(many):
    overrides = ("task.data=many", "task.ood.molecules=[c5h10]", "trainer.epochs=1")
    first = run(*overrides)
    assert set(first.result["metrics"]["ood"]["molecules"]) == {"c5h10"}
    assert run(*overrides).already_done
    catalogue.register("many", many.select(slice(20, 80)), {}, force=True)
    with pytest.raises(UserError, match="holds another run"):
        run(*overrides)


def test_an_energy_that_is_not_identified_is_said_and_not_scored(many):
    outcome = run(*LARGER, "reference=molecule_mean")
    assert outcome.result["metrics"]["ood"]["energy_mae_ev"] is None
    assert outcome.result["baselines"]["ood"]["energy_mae_ev"] is None
    assert "c4h8, c5h10: absolute energy undetermined" in outcome.folder.log.read_text()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.ood.carbons=[4]", r"task.ood.carbons=\[4\] must be \[min, max\]"),
        ("task.train.torsion=[90,10]", r"must be \[min, max\], e.g. \[2,4\]"),
        ("task.ood_size=0", "task.ood_size=0 must be greater than zero"),
        ("task=largest", "unknown option task=largest; did you mean larger"),
        ("energy_error=frame", "choose from molecule, atom"),
    ],
)
def test_mistakes(override, message):
    with pytest.raises(UserError, match=message):
        experiment([override])
