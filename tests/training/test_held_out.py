"""Frames that a run has not seen are scored once it is trained; the error of each is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deepset_bench import file_version
from deepset_bench.config import experiment
from deepset_bench.config_file import determinants
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.selected import Selected
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.results import exporting, restoring, stored
from deepset_bench.runs import RunsFolder, run_folder, runs_root
from deepset_bench.scoring.frame_errors import FrameErrors
from deepset_bench.training import held_out
from deepset_bench.training.setup import prepare
from tests import toy
from tests.test_cli import inside
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import OVERRIDES, UNMOVED, asked, run, untimed

SHORT = ("trainer.epochs=1", *UNMOVED)
LEFT = 32
"""Of 60 frames those that are not among 20 for training and 8 for validation."""


@pytest.fixture
def many(tiny) -> Frames:
    """The set `many`: frames of three molecules, registered."""
    frames = Frames.concatenate([toy.frames(n, 30, seed=n, noise=0.02) for n in (2, 3, 5)])
    catalogue.register("many", frames, {"method": "analytic"})
    return frames


def test_its_errors_are_those_of_its_frames(tiny):
    outcome = run(*SHORT)
    result, drawn = outcome.folder.result(), Split.load(outcome.folder.split)
    found = FrameErrors.load(outcome.folder.held_out)
    assert len(found) == LEFT
    np.testing.assert_array_equal(found.frame, drawn.held_out)
    np.testing.assert_array_equal(found.index, tiny.index[drawn.held_out])
    of_test = np.isin(found.frame, drawn.test)
    assert of_test.sum() == 7
    for part, rows in (("held_out", slice(None)), ("test", of_test)):
        errors = result["metrics"][part]
        assert errors[ENERGY_MAE] == pytest.approx(np.abs(found.energy[rows]).mean(), rel=1e-4)
        assert errors[FORCES_MAE] == pytest.approx(found.forces[rows].mean(), rel=1e-4)
    assert result["metrics"]["held_out"].keys() == result["metrics"]["test"].keys()
    assert result["frame_errors"] == {"held_out": found.uncertainty()}
    trivial = result["baselines"]["held_out"]
    mean = tiny.energy[drawn.train].mean()
    own = tiny.select(drawn.held_out)
    assert trivial[ENERGY_MAE] == pytest.approx(np.abs(own.energy - mean).mean())
    assert trivial[FORCES_MAE] == pytest.approx(np.abs(own.forces).mean())


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("overrides", [("data=many",), ("condition.edges=every_second",)])
def test_in_pieces_it_is_the_same(overrides, monkeypatch, tmp_path):
    """Of frames of several sizes, too; a piece is whole batches, on which a halved list depends."""
    asked = (*SHORT, *overrides)
    whole = run(*asked, f"runs_dir={tmp_path}/whole")
    monkeypatch.setattr(held_out, "PIECE", 13)
    pieces = run(*asked, f"runs_dir={tmp_path}/pieces")
    one, other = (FrameErrors.load(outcome.folder.held_out) for outcome in (whole, pieces))
    assert len(one) == (62 if "data=many" in overrides else LEFT)
    np.testing.assert_array_equal(one.frame, other.frame)
    np.testing.assert_allclose(one.energy, other.energy, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(one.forces, other.forces, rtol=1e-3, atol=1e-5)


def test_nothing_is_made_of_it_before_the_end(tiny, monkeypatch):
    def too_early(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Selected, "select", too_early)
    setup = prepare(experiment([*OVERRIDES]).config)
    assert setup.held_out is not None
    assert len(setup.held_out.frames) == LEFT
    assert "held_out" not in setup.parts.keys() | setup.baselines.keys()


@pytest.mark.usefixtures("tiny")
def test_a_line_says_it(monkeypatch, capsys):
    status, out, _ = inside(monkeypatch, capsys, "train", *asked(*SHORT))
    folder = run_folder(experiment(asked(*SHORT)))
    value = folder.result()["metrics"]["held_out"][ENERGY_MAE]
    error = folder.result()["frame_errors"]["held_out"][ENERGY_MAE]
    assert status == 0
    said = f"energy MAE {1000 * value:.1f} ± {1000 * error:.1f} meV"
    assert f"on {LEFT} held-out frames: {said}, forces MAE " in out


@pytest.mark.usefixtures("tiny")
def test_without_any_a_run_is_what_it_was():
    outcome = run(*SHORT, "data.held_out_size=0")
    assert outcome.result["metrics"].keys() == {"test", "val"}
    assert outcome.result["baselines"].keys() == {"test", "val", "all"}
    assert "frame_errors" not in outcome.result
    assert not outcome.folder.held_out.exists()
    with np.load(outcome.folder.split) as kept:
        assert set(kept) == {"train", "val", "test", file_version.KEY}


def test_the_usual_size_is_not_said():
    """What was trained before is still the same run."""
    assert "held_out_size" not in determinants(experiment([]).config)["data"]
    with pytest.raises(UserError, match=r"data\.held_out_size=-1 must be finite and not negative"):
        experiment(["data.held_out_size=-1"])


@pytest.mark.usefixtures("tiny")
def test_an_interrupted_run_ends_alike(tmp_path):
    whole = run("trainer.epochs=2", f"runs_dir={tmp_path}/whole")
    with pytest.raises(Killed):
        run("trainer.epochs=2", f"runs_dir={tmp_path}/cut", on_epoch=stop_at(2))
    resumed = run("trainer.epochs=2", f"runs_dir={tmp_path}/cut")
    assert untimed(resumed.result) == untimed(whole.result)
    assert resumed.folder.held_out.read_bytes() == whole.folder.held_out.read_bytes()


@pytest.mark.usefixtures("tiny")
def test_it_is_evaluated_by_name(monkeypatch, capsys):
    outcomes = [run(*SHORT, f"seed={seed}") for seed in (0, 1)]
    paths = [str(outcome.folder.path) for outcome in outcomes]
    status, out, _ = inside(monkeypatch, capsys, "evaluate", paths[0], "part=held_out")
    assert status == 0
    assert f"tiny, held-out frames: {LEFT} frames" in out
    assert f"0 of {LEFT} frames (0 %) are training frames" in out
    target = outcomes[0].folder.path / "evaluation" / "tiny-held_out" / "evaluation.json"
    errors = json.loads(target.read_text())["errors"][0]
    for key in (ENERGY_MAE, FORCES_MAE):
        measured = outcomes[0].result["metrics"]["held_out"][key]
        assert errors[key] == pytest.approx(measured, rel=1e-3)
    status, out, _ = inside(monkeypatch, capsys, "evaluate", *paths, "part=held_out")
    assert status == 0
    both = [Split.load(outcome.folder.split) for outcome in outcomes]
    used = np.concatenate([rows for each in both for rows in (each.train, each.val)])
    assert f"tiny, held-out frames: {60 - len(np.unique(used))} frames" in out
    without = run(*SHORT, "data.held_out_size=0").folder
    status, _, err = inside(monkeypatch, capsys, "evaluate", str(without.path), "part=held_out")
    assert (status, err.count("\n")) == (2, 1)
    assert "has no held-out frames; it was trained by an earlier version, or with" in err


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("before", [False, True], ids=["now", "earlier version"])
def test_a_metric_that_is_measured_later_is_of_it_too(before, monkeypatch, capsys):
    folder = run(*SHORT).folder
    result = folder.result()
    wanted = result["metrics"]["held_out"].pop("forces_p95_ev_per_angstrom")
    if before:
        for key in ("metrics", "baselines"):
            del result[key]["held_out"]
    folder.write_result(result)
    status, _, _ = inside(monkeypatch, capsys, "evaluate", str(folder.path), "--metric=forces_p95")
    assert status == 0
    after = folder.result()["metrics"]
    assert ("held_out" in after) != before
    if not before:
        assert after["held_out"]["forces_p95_ev_per_angstrom"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.usefixtures("tiny")
def test_it_comes_back_from_a_table_without_the_errors_of_frames(tmp_path):
    folder = run(*SHORT).folder
    records = RunsFolder(runs_root(None))
    exporting.export(records, records.every(), tmp_path / "t.csv")
    (row,) = stored.read(tmp_path / "t.csv").every()
    for key in ("metrics", "baselines", "frame_errors"):
        assert row.result()[key]["held_out"] == folder.result()[key]["held_out"]
    restoring.restore(stored.read(tmp_path / "t.csv"), tmp_path / "back")
    (back,) = RunsFolder(tmp_path / "back").every()
    assert back.text("result.json") == folder.text("result.json")
    assert not back.held_out.exists()


def test_with_a_task_it_is_of_what_the_run_is_trained_on(many):
    outcome = run("data=many", "task.ood.carbons=[5,5]", "task.ood_size=10", *SHORT)
    drawn = Split.load(outcome.folder.split)
    assert len(drawn.held_out) == LEFT
    assert set(many.molecule[drawn.held_out]) == {"c2h4", "c3h6"}
    scores = outcome.result["metrics"]["held_out"]
    assert scores["frames_scored"] == scores["frames"] == LEFT
    assert set(scores["molecules"]) == {"c2h4", "c3h6"}


@pytest.mark.parametrize("size", [0, 1])
def test_molecules_are_scored_one_by_one_where_all_frames_of_test_are(size, many):
    lines = ("data=many", "task.ood.carbons=[5,5]", "task.ood_size=10", *SHORT)
    for most, where in ((size, "test"), (10_000, "held_out")):
        result = run(*lines, f"data.held_out_size={most}").result
        for of in (result["metrics"], result["baselines"]):
            assert "molecules" in of[where]
            assert ("molecules" in of["test"]) == (where == "test")
            assert of["test"]["environments"]["unseen"]["atoms"] == 0
