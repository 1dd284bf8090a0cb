"""`bench check RUN`: models that are no function of a molecule are found out, others left alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.checks.finding import Finding, graded
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.evaluation.check import batch, check_run, cutoff, gradient, order, rotation
from deepset_bench.evaluation.trained import load_trained
from deepset_bench.evaluation.unread import unknown_keys, unread_keys, values, watched
from deepset_bench.molecules.frames import Frames
from deepset_bench.runs import RunFolder
from tests import toy
from tests.test_cli import inside
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
    ],
)
def test_each_flaw_by_itself(overrides: list[str], check: str) -> None:
    assert verdicts(trained(*overrides))[check] == "defect"


@pytest.mark.usefixtures("tiny", "two_molecules")
def test_a_key_that_the_run_did_not_read() -> None:
    """Today it is refused; a run of an earlier version may have it."""
    folder = trained()
    text = folder.config.read_text()
    folder.config.write_text(text.replace("aggregation: mean", "aggregation: max"))
    keys = found(folder, "configuration keys")
    assert (keys.verdict, keys.text.split(",")[0]) == ("defect", "nothing read aggregation")


@pytest.mark.usefixtures("tiny")
def test_an_energy_that_knows_the_axes() -> None:
    """The report's variants took the mean of a unit vector's components for an edge feature."""

    class Turned:
        def __call__(self, frames):
            return frames.positions.reshape(len(frames), -1).mean(axis=1), np.zeros(0)

    assert rotation(Turned(), catalogue.load("tiny")).verdict == "defect"  # type: ignore[arg-type]


class Broken:
    """A constant energy and no force, but for what one frame of C3H6 or a pair is given."""

    def __init__(self, energy: float, force: float = 0.0, species: tuple[int, ...] = (1, 6)):
        self.energy, self.force, self.species, self.cutoff = energy, force, list(species), 5.0

    def __call__(self, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
        concerned = (frames.index == 7) | (frames.molecule == "probe") & (
            frames.positions[-1, 0] > 5
        )
        forces = np.zeros_like(frames.positions)
        forces[concerned[frames.frame_of_atom]] = self.force
        return np.where(concerned, self.energy, 1.0), forces


@pytest.mark.parametrize("check", [batch, order, rotation, gradient])
def test_one_frame_that_is_not_finite_is_named(tiny: Frames, check: Any) -> None:
    finding = check(Broken(np.nan), tiny.select(slice(0, 20)))
    assert (finding.verdict, finding.frames) == ("defect", (7,))
    assert "of 1 of 20 frames are NaN or infinite" in finding.text
    assert check(Broken(1.0), tiny.select(slice(0, 20))).verdict == "ok"


def test_a_force_that_is_not_finite_is_named(tiny: Frames) -> None:
    finding = gradient(Broken(1.0, np.nan), tiny.select(slice(0, 20)))
    assert (finding.verdict, finding.frames) == ("defect", (7,))


def test_forces_where_the_energy_is_flat(tiny: Frames) -> None:
    assert gradient(Broken(1.0, 0.1), tiny.select(slice(0, 20))).verdict == "defect"


def test_a_cutoff_across_which_the_energy_is_not_finite() -> None:
    finding = cutoff(Broken(np.nan))
    assert finding.verdict == "defect"
    assert "the energy is NaN or infinite where atomic numbers 1 and 1 cross" in finding.text
    assert cutoff(Broken(1.0)).verdict == "ok"


@pytest.mark.parametrize(("value", "verdict"), [(0.5, "ok"), (1.5, "suspect"), (np.nan, "defect")])
def test_no_number_is_a_defect(value: float, verdict: str) -> None:
    assert graded(value, 1.0, 2.0) == verdict


def stored(folder: RunFolder) -> dict[str, Any]:
    return torch.load(folder.best, weights_only=True)


def spoil(content: dict[str, Any], place: str, value: Any) -> None:
    """Put a value, or what a function makes of the old one, at a place such as potential/scale."""
    *groups, name = place.split("/")
    for group in groups:
        content = content[group]
    name = next((key for key in content if key.endswith(name)), name)
    content[name] = value(content[name]) if callable(value) else value


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite(monkeypatch, capsys, value: float) -> None:
    """The examination says so, check by check; everything else refuses the run."""
    folder = run("trainer.epochs=1").folder
    content = stored(folder)
    spoil(content, "potential/weight", lambda weight: torch.full_like(weight, value))
    torch.save(content, folder.best)
    file = folder.path / "found.json"
    status, out, err = inside(monkeypatch, capsys, "check", str(folder.path), "--json", str(file))
    assert (status, err) == (1, "")
    assert "are NaN or infinite, in model." in " ".join(out.split())
    kinds = {one["check"]: one for one in json.loads(file.read_text())["findings"]}
    for check in ("parameters", "batch", "order of atoms", "rotation", "forces", "cutoff"):
        assert kinds[check]["verdict"] == "defect", check
    assert len(kinds["batch"]["frames"]) == 7
    status, _, err = inside(monkeypatch, capsys, "evaluate", str(folder.path))
    assert status == 2
    assert err.count("\n") == 1
    assert "weight holds NaN or infinity" in err


HOSTILE = {
    "potential": [1, {}, None],
    "potential/scale": [
        *(torch.tensor(x) for x in (np.nan, np.inf, 0.0, -1.0, 2, 1j, True, [1.0, 2.0])),
        *(None, "1.0", 1.0, [1.0], {}),
    ],
    "potential/species": [
        *(torch.tensor(x) for x in ([6, 1], [1, 1], [0, 1], [1, 200], [1.0, 6.0], 6, [[1, 6]], [])),
        *(torch.tensor([1, 7]), torch.tensor([1, 6, 8]), [1, 6], "CH", None),
    ],
    "potential/weight": [
        *(lambda w: w[:-1], lambda w: w.T[None], lambda w: w.long(), lambda w: w.tolist()),
        *(lambda w: w.to(torch.complex64), lambda w: torch.full_like(w, np.inf), None, 1.0),
    ],
    "potential/unheard_of": [torch.zeros(2)],
    "reference": [None, [], {}, "none"],
    "reference/species": [torch.tensor([1, 7]), torch.tensor([1.0, 6.0]), torch.tensor(1), [1, 6]],
    "reference/energies": [
        *(torch.tensor([1.0, np.nan]), torch.tensor([1, 2]), torch.zeros(3), torch.zeros(2, 1)),
        *([1.0, 2.0], None),
    ],
    "reference/constant": [np.nan, np.inf, "0", None, torch.zeros(2)],
    "reference/rank": [-1, 3, 1.5, None, "2"],
    "reference/molecules": [torch.zeros(2), torch.zeros(2, 3).long(), torch.zeros(1, 4), 7, [1]],
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> RunFolder:
    """A run in a home of its own."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(home / "data"))
        patch.setenv("BENCH_RUNS", str(home / "runs"))
        catalogue.register("tiny", toy.frames(3, 60), {"method": "analytic"})
        return run("trainer.epochs=1").folder


@pytest.mark.parametrize("place", HOSTILE)
def test_hostile_content_of_a_checkpoint_is_one_line(place: str, sound, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.config.write_bytes(sound.config.read_bytes())
    torch.save(stored(sound), folder.best)
    load_trained(folder.path)
    for value in HOSTILE[place]:
        content = stored(sound)
        spoil(content, place, value)
        torch.save(content, folder.best)
        with pytest.raises(UserError, match=r"best\.pt: ") as caught:
            load_trained(folder.path)
        assert "\n" not in str(caught.value)


def test_a_prediction_that_is_not_finite_is_no_answer(sound) -> None:
    atoms = Atoms("CH", [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    atoms.calc = DeepSetCalculator(sound.path)
    atoms.calc.deployed.members[0].runner.deployed.scale.fill_(np.nan)
    with pytest.raises(UserError, match=r"what is predicted is NaN or infinite"):
        atoms.get_potential_energy()


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
    "overrides",
    [
        [],
        ["scalars=all", "rbf=expnorm", "gating=top_k", "gating.experts=6"],
        ["gnn=sage", "aggregation=max"],
        ["condition=report", "seed=4", "trainer.schedule.patience=3"],
        ["reference=isolated_atoms", "reference.energies_ev.6=-50", "reference.energies_ev.1=-10"],
    ],
)
def test_what_an_experiment_can_set_is_read(overrides: list[str]) -> None:
    config = experiment([*OVERRIDES, *overrides]).config
    assert unread_keys(config) == []
    if config.gnn.kind == "none":
        assert unread_keys(dataclasses.replace(config, aggregation="sum")) == ["aggregation"]


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
