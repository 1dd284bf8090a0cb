"""Equal effort: trials of several networks, and that nothing but validation frames chooses."""

from __future__ import annotations

import copy
import json
import math
import shutil
from pathlib import Path

import pytest
import yaml

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.runs import RunsFolder, run_folder
from deepset_bench.study import choosing
from deepset_bench.study.collect import Where
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep import folders, studies, tuning
from deepset_bench.sweep.plan import plan
from tests.study.folders import write
from tests.test_cli import inside

TUNING = """
title: Trials
common: [data.train_size=20, data.val_size=8, data.test_size=7, threads=1]
networks:
  deepset: []
  schnet: [model=schnet]
tasks:
  three: [data=two, "task.val_unseen.molecules=[c3h6]"]
  two: [data=two, "task.val_unseen.molecules=[c2h4]"]
space:
  trainer.learning_rate: [0.01, 0.003]
  trainer.batch_size: [5, 10]
  trainer.gradient_clip: [null, 1.0]
trials: 3
"""
SHEET = """
title: Networks
runs:
  - {label: DeepSet, overrides: [data=tiny, tuned=deepset]}
  - {label: SchNet, overrides: [data=tiny, tuned=schnet]}
"""


@pytest.fixture
def study(tmp_path: Path, tiny: object, two_molecules: object, monkeypatch) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "study.yaml").write_text("title: Which network?\n")
    (folder / "tuning.yaml").write_text(TUNING)
    (folder / "networks.yaml").write_text(SHEET)
    monkeypatch.setenv(STUDY, str(folder))
    return folder


@pytest.fixture
def runs(study: Path, tmp_path: Path) -> Path:
    """Every trial, one of SchNet's better than all others on molecules it has not seen."""
    root = tmp_path / "runs"
    asked = tuning.read(study / folders.TUNING)
    for label, lines in asked.rows().items():
        better = label.startswith("schnet, trial 2")
        errors = {"energy_mae_ev": 0.5, "relative_energy_mae_ev": 0.25 if better else 0.5}
        errors["forces_mae_ev_per_angstrom"] = 0.3
        run = write(root, [*asked.common, *lines], 0, 0.0102, 0.0149)
        result = json.loads((run.path / "result.json").read_text())
        result["metrics"]["val_unseen"] = errors
        result["baselines"]["val_unseen"] = dict.fromkeys(errors, 1.0)
        (run.path / "result.json").write_text(json.dumps(result))
    return root


def found(study: Path, runs: Path) -> dict[str, list[choosing.Trial]]:
    return choosing.choose(studies.read(study), Where(runs_dir=runs))


def test_every_network_has_the_same_trials(study):
    asked = tuning.read(study / folders.TUNING)
    assert asked.points[0] == ()
    assert len(set(asked.points)) == 3
    assert asked == tuning.read(study / folders.TUNING)
    planned = plan([str(study / folders.TUNING)])
    assert len(planned.runs) == 2 * 3 * 2
    clips = [run.experiment.config.trainer.gradient_clip for run in planned.runs]
    assert clips.count(None) == sum(
        2 * 2 * ("trainer.gradient_clip=null" in p) for p in asked.points
    )


def test_the_study_sweeps_trials_only_where_they_are_named(study):
    whole = studies.read(study)
    assert [one.name for one in whole.tables] == ["networks"]
    assert set(whole.comparisons) == {"networks", "tuning"}


def test_the_best_on_validation_frames_is_chosen_and_stands_for_its_network(study, runs):
    chosen = found(study, runs)
    asked = tuning.read(study / folders.TUNING)
    assert chosen["schnet"][0].number == 2
    assert [one.number for one in chosen["deepset"]] == [0, 1, 2]  # equal: as it is
    with pytest.raises(UserError, match=r"no tuned\.yaml; bench study tune writes it"):
        experiment(["data=tiny", "tuned=schnet"])
    choosing.write(studies.read(study), chosen)
    config = experiment(["data=tiny", "tuned=schnet", "seed=3"]).config
    same = experiment(["data=tiny", "model=schnet", *asked.points[2], "seed=3"]).config
    assert config == same
    with pytest.raises(UserError, match=r"tuned=shnet: no such network was tuned; did you mean"):
        experiment(["data=tiny", "tuned=shnet"])
    assert studies.read(study).comparison("networks", "").runs[1].overrides[-1] == "tuned=schnet"


def test_another_study_has_the_same_settings_by_naming_the_file(study, runs, tmp_path, monkeypatch):
    choosing.write(studies.read(study), found(study, runs))
    chosen = experiment(["data=tiny", "tuned=schnet"]).config
    other = tmp_path / "other"
    other.mkdir()
    (other / folders.TUNED).write_text(f"same_as: ../{study.name}/tuned.yaml\n")
    monkeypatch.setenv(STUDY, str(other))
    assert experiment(["data=tiny", "tuned=schnet"]).config == chosen
    with pytest.raises(UserError, match=r"tuned=shnet: no such network was tuned; did you mean"):
        experiment(["data=tiny", "tuned=shnet"])
    (other / folders.TUNED).write_text("same_as: ../nowhere/tuned.yaml\n")
    with pytest.raises(UserError, match=r"nowhere/tuned\.yaml: cannot be read"):
        experiment(["data=tiny", "tuned=schnet"])
    (other / folders.TUNED).write_text("same_as: tuned.yaml\n")  # which names none
    with pytest.raises(UserError, match=r"tuned\.yaml: is not what bench study tune writes"):
        experiment(["data=tiny", "tuned=schnet"])


def test_nothing_but_validation_frames_chooses(study, runs):
    before = found(study, runs)
    for number, run in enumerate(RunsFolder(runs).every()):
        result = json.loads((run.path / "result.json").read_text())
        kept = {key: copy.deepcopy(result[key]) for key in ("metrics", "baselines")}
        for values in kept.values():
            for part in [part for part in values if part not in choosing.ERRORS]:
                for key in values[part]:
                    values[part][key] = 1e-3 * (1 + number)
        kept["metrics"]["ood"] = {"energy_mae_ev": 1.0 / (1 + number)}
        kept["baselines"]["ood"] = {"energy_mae_ev": 1.0}
        (run.path / "result.json").write_text(json.dumps(result | kept))
    assert found(study, runs) == before


def test_the_score_is_of_errors_over_those_of_knowing_nothing():
    errors = {"energy_mae_ev": 2.0, "forces_mae_ev_per_angstrom": 0.5}
    unseen = {"relative_energy_mae_ev": 4.0, "forces_mae_ev_per_angstrom": 1.0}
    one = {part: dict.fromkeys(unseen | errors, 1.0) for part in ("val", "val_unseen", "ood")}
    both = {"val": errors, "val_unseen": unseen, "ood": dict.fromkeys(errors, 9.0)}
    known = choosing.score({"metrics": both, "baselines": one})
    assert known == pytest.approx(math.log(2 * 0.5 * 4 * 1) / 4)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("task.val_unseen.molecules=[c3h6]", "task.ood.molecules=[c3h6]", "three: has ood frames"),
        ('[data=two, "task.val_unseen.molecules=[c3h6]"]', "[data=tiny]", "networks reports"),
        ("trials: 3", "trials: 10", "trials: 10, and space has 8 combinations"),
        ("trials: 3", "trials: none", "trials must be a whole number from 1"),
        ("trials: 3", "trails: 3", "trails"),
        ("  deepset: []", "  deepset: model", "networks.deepset: must be a list"),
        ("trainer.batch_size: [5, 10]", "trainer.batch_size: 5", "must be a list of options"),
        ("title: Trials", "", "title is missing"),
    ],
)
def test_mistakes_are_one_line(study, runs, old, new, said):
    text = (study / folders.TUNING).read_text()
    assert old in text
    (study / folders.TUNING).write_text(text.replace(old, new))
    with pytest.raises(UserError) as error:
        found(study, runs)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "task",
    [
        "'task.ood.molecules=[c3h6]'",
        "'task.train.molecules=[c3h6]'",  # its test frames are any of them
    ],
)
def test_molecules_that_are_judged_by_are_not_chosen_by(study, runs, task):
    (study / "networks.yaml").write_text(SHEET.replace("data=tiny", f"data=two, {task}"))
    with pytest.raises(UserError, match=r"three: \d+ of its frames, .* c3h6, .* networks judges"):
        found(study, runs)


@pytest.mark.parametrize("error", [0.0, None])
def test_an_error_that_says_nothing_chooses_nothing(study, runs, error):
    path = folder(study, runs, "schnet, trial 2, three") / "result.json"
    result = json.loads(path.read_text())
    for of in ("metrics", "baselines"):
        result[of]["val_unseen"]["relative_energy_mae_ev"] = error
    path.write_text(json.dumps(result))
    with pytest.raises(UserError, match=r"schnet, trial 2, three: val_unseen: relative_energy"):
        found(study, runs)


def folder(study: Path, runs: Path, label: str) -> Path:
    """Where a trial is."""
    asked = tuning.read(study / folders.TUNING)
    return run_folder(experiment([*asked.common, *asked.rows()[label], f"runs_dir={runs}"])).path


def test_missing_trials_are_said_and_nothing_is_written(study, runs):
    shutil.rmtree(folder(study, runs, "schnet, trial 1, two"))
    with pytest.raises(UserError, match=r"1 of 12 runs are missing, .* bench sweep .*tuning\.yaml"):
        found(study, runs)
    assert not (study / "tuned.yaml").exists()


def test_a_diverged_trial_is_never_the_best(study, runs):
    diverge(study, runs, "schnet, trial 2, three")
    worst = found(study, runs)["schnet"][-1]
    assert (worst.number, worst.score) == (2, math.inf)


def test_where_every_trial_diverged_none_is_chosen(study, runs):
    rows = tuning.read(study / folders.TUNING).rows()
    for label in (row for row in rows if row.startswith("schnet, ")):
        diverge(study, runs, label)
    with pytest.raises(UserError, match="schnet: every trial diverged"):
        found(study, runs)


def diverge(study, runs, label):
    path = folder(study, runs, label) / "result.json"
    result = json.loads(path.read_text()) | {"status": "diverged", "reason": "the loss is infinite"}
    path.write_text(json.dumps(result))


def test_from_the_command_line(study, runs, monkeypatch, capsys):
    status, out, err = inside(
        monkeypatch, capsys, "study", "tune", str(study), "--runs-dir", str(runs)
    )
    assert status == 0, err
    assert "schnet" in out
    content = yaml.safe_load((study / "tuned.yaml").read_text())
    assert content["of"] == tuning.read(study / folders.TUNING).hash
    assert len(content["networks"]["schnet"]["trials"]) == 3
    status, out, err = inside(monkeypatch, capsys, "study", "check", str(study))
    assert (status, err) == (0, "")
