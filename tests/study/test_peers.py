"""The study `peers`: what settings are chosen by is not what results are of."""

from __future__ import annotations

import pytest
import yaml
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.config import experiment
from deepset_bench.data.tasks import divide
from deepset_bench.files import resource
from deepset_bench.study import choosing
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep import folders, studies, tuning
from tests.study.folders import write_unseen

FOLDER = resource("sweeps") / "peers"


@pytest.fixture(autouse=True)
def peers(monkeypatch):
    monkeypatch.setenv(STUDY, str(FOLDER))


def test_no_setting_is_chosen_by_a_molecule_that_a_result_is_of():
    asked, chosen = (
        divide("chno", experiment(["data=chno", f"task={name}"]).config.task)
        for name in ("new_molecules", "tuning_molecules")
    )

    def names(rows):
        return set(asked.frames.molecule[rows])

    assert names(asked.pool) == names(chosen.pool)
    parts = [names(asked.pool), names(chosen.val_unseen), names(asked.ood)]
    assert [len(part) for part in parts] == [24, 6, 12]
    assert len(set.union(*parts)) == 42
    assert len(chosen.ood) == 0
    assert len(asked.ood) == 12 * 60
    choosing._check_tasks(studies.read(FOLDER), FOLDER, tuning.read(FOLDER / folders.TUNING))


def test_every_network_is_tuned_and_none_is_left_as_another_was():
    asked = tuning.read(FOLDER / folders.TUNING)
    assert studies.read(FOLDER).comparisons["tuning"].file == ("sweeps/peers/tuning.yaml",)
    chosen = yaml.safe_load((FOLDER / folders.TUNED).read_text())["networks"]
    assert list(chosen) == list(asked.networks)
    for name, one in chosen.items():
        assert tuple(one["overrides"][: len(asked.networks[name])]) == asked.networks[name]
    rows = studies.read(FOLDER).comparisons["peers_molecules"].runs
    assert [row.overrides[-1] for row in rows] == [f"tuned={name}" for name in chosen]
    assert {experiment(row.overrides).config.cutoff for row in rows} == {5.0}


@pytest.mark.parametrize("wanted", ["peers", "peers_molecules"])
def test_changes_are_shown_and_errors_by_what_was_seen(wanted, tmp_path):
    """One comparison in both ways, and of each run once."""
    study = studies.read(FOLDER)
    (molecules,) = study.shown
    assert (*study.tables, *study.unseen) == (molecules, molecules)
    for row in molecules.runs[:2]:
        write_unseen(tmp_path, molecules, row.label, 0, 0.01)
    arguments = ["tables", wanted, "--runs-dir", str(tmp_path), "--format", "markdown"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.exception
    changes, _, errors = result.stdout.partition("| ood: seen | ood: unseen |")
    assert "| DeepSet X | 0.01000 | 1 | baseline |" in changes
    assert "| DeepSet X | 1 | 0.00100" in errors
