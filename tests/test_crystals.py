"""From a file of crystals to an evaluated run, through the command line; and what refuses them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.io import write

from deepset_bench.checks.cheap import cheap_checks
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.one_surface import check_one_surface
from deepset_bench.errors import UserError
from deepset_bench.evaluation.paths import starting_molecule
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.topology import double_bond_torsions, environments
from deepset_bench.molecules.xtb import relabel
from deepset_bench.testing import random_crystal
from deepset_bench.training.setup import prepare
from deepset_bench.training.train import train
from tests import toy
from tests.test_cli import inside
from tests.training.tiny import DEEPSET_X, asked

SMALL = ("data=argon", "trainer.epochs=1", "trainer.schedule.warmup_steps=1", "cutoff=4.5")
STRESS = "stress_mae_mev_per_angstrom_3"


def argon(path) -> None:
    """Strained cells of four atoms and eight, displaced; the cutoff sees an atom's own images."""
    rng = np.random.default_rng(0)
    crystals = []
    for m in range(36):
        atoms = bulk("Ar", "fcc", a=4.4, cubic=True) * (1 + m % 2, 1, 1)
        strain = np.eye(3) + rng.normal(scale=0.03, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.1, rng=rng)
        atoms.calc = LennardJones(sigma=2.8, epsilon=0.05, rc=5.0, smooth=True)
        atoms.get_potential_energy()
        atoms.get_stress()
        crystals.append(atoms)
    write(path, crystals)


@pytest.fixture
def imported(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "runs"))
    argon(tmp_path / "argon.extxyz")
    words = ("data", "import", "argon", str(tmp_path / "argon.extxyz"))
    status, out, err = inside(monkeypatch, capsys, *words)
    assert (status, err) == (0, "")
    assert "36 frames" in out
    assert "stress eV/angstrom^3 (energy / length^3)" in out


def trained(*overrides: str) -> dict[str, Any]:
    """The result of a run of one epoch."""
    (outcome,) = train([experiment(asked(*SMALL, *overrides))])
    assert outcome.result is not None
    return outcome.result


@pytest.mark.usefixtures("imported")
def test_from_a_file_of_crystals_to_an_evaluated_run(monkeypatch, capsys, tmp_path):
    status, _, err = inside(monkeypatch, capsys, "train", *asked(*SMALL))
    assert status == 0, err
    (file,) = (tmp_path / "runs").rglob("result.json")
    result = json.loads(file.read_text())
    stress = catalogue.load("argon").stress
    for part in ("val", "test"):
        ours, nothing = (result[key][part][STRESS] for key in ("metrics", "baselines"))
        assert 0 < nothing < 1000 * np.abs(stress).max()
        assert 0 < ours != nothing
    assert result["data_verdict"] == {"verdict": "ok", "findings": []}

    folder = str(file.parent)
    status, out, _ = inside(monkeypatch, capsys, "evaluate", folder)
    assert status == 0
    assert "stress MAE" in out
    content = json.loads(next(file.parent.rglob("evaluation.json")).read_text())
    found = content["metrics"][STRESS]
    assert found["value"] == pytest.approx(result["metrics"]["test"][STRESS], rel=1e-4)
    assert found["trivial"] == pytest.approx(result["baselines"]["test"][STRESS], rel=1e-6)

    status, out, _ = inside(monkeypatch, capsys, "data", "check", "argon")
    assert status == 0
    assert "36 of 36 frames are periodic" in " ".join(out.split())
    assert inside(monkeypatch, capsys, "check", folder)[0] == 0


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize("overrides", [DEEPSET_X, ("form=reference",)])
def test_other_networks_and_forms_train_on_crystals(overrides):
    result = trained(*overrides)
    assert result["metrics"]["test"][STRESS] > 0


@pytest.mark.usefixtures("imported")
def test_stress_moves_the_parameters_where_it_has_a_weight():
    with_it, without = (
        trained(f"trainer.stress_weight={w}", f"name=weight-{w}") for w in (0.9, 0.0)
    )
    assert with_it["metrics"]["test"][STRESS] != without["metrics"]["test"][STRESS]


@pytest.mark.usefixtures("imported")
def test_every_second_edge_is_of_molecules():
    wanted = experiment(asked(*SMALL, "condition.edges=every_second")).config
    with pytest.raises(UserError, match=r"periodic frames take condition\.edges=all"):
        prepare(wanted)


CRYSTAL = random_crystal((6, 1), 4, 1)


@pytest.mark.parametrize(
    "refused",
    [relabel, environments, double_bond_torsions, starting_molecule],
    ids=["xtb", "environments", "torsions", "scans"],
)
def test_what_is_of_molecules_refuses_crystals(refused):
    with pytest.raises(
        UserError,
        match=r"m frame 0 \(.+\) is periodic, but .* of molecules in open space",
    ):
        refused(CRYSTAL)


def test_a_crystal_of_one_atom_is_no_lone_atom():
    iron = toy.geometry(np.array([26]), np.zeros((1, 3)))
    crystal = replace(iron, cell=2.5 * np.eye(3)[None], pbc=np.ones((1, 3)))
    assert (iron.lone_atoms.tolist(), crystal.lone_atoms.tolist()) == ([True], [False])


def test_the_same_positions_in_other_cells_are_another_geometry():
    cells = [replace(CRYSTAL, cell=CRYSTAL.cell * s, energy=np.array([5.0 * s])) for s in (1, 1.3)]
    check_one_surface(Frames.concatenate(cells))
    twice = Frames.concatenate([cells[0], replace(cells[0], energy=np.array([1.0]))])
    with pytest.raises(UserError, match="have the same positions and energies"):
        check_one_surface(twice)


def test_molecules_beside_crystals_are_examined():
    """As they are alone."""
    molecules = Frames.concatenate([toy.random_molecule(4, 1), toy.random_molecule(4, 2)])
    alone = cheap_checks(molecules, "potential")
    assert alone.findings
    both = cheap_checks(Frames.concatenate([molecules, CRYSTAL]), "potential")
    assert set(alone.findings) <= set(both.findings)
