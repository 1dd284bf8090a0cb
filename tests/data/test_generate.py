"""Generated trajectories: repeatable, labelled at the recorded geometry, whole or refused."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from deepset_bench.cli_data import app
from deepset_bench.data import catalogue
from deepset_bench.data.bias import torsion
from deepset_bench.data.generate import generate
from deepset_bench.data.molecule import Molecule
from deepset_bench.data.recipe import Recipe
from deepset_bench.data.xtb import XTB
from deepset_bench.errors import UserError

pytest.importorskip("tblite")
pytest.importorskip("rdkit")

BUTENE = "C/C=C/C"


@pytest.mark.parametrize("sampling", ["md", "metadynamics", "umbrella"])
def test_same_seed_same_bytes_and_labels_of_the_recorded_geometry(
    sampling: str, tmp_path: Path
) -> None:
    recipe = Recipe(
        "C=C",
        frames=5,
        sampling=sampling,
        interval=5.0,
        hill_height=0.1,
        hill_interval=1.0,
        window_strength=1.0,
    )
    for path in (tmp_path / "a.npz", tmp_path / "b.npz"):
        frames, temperature = generate("ethene", recipe)
        frames.save(path)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert temperature.shape == (5,)
    assert frames.index.tolist() == [0, 1, 2, 3, 4]
    assert frames.bias_forces is not None
    assert (np.abs(frames.bias_forces[-6:]).max() > 1e-6) == (sampling != "md")
    potential = XTB(frames.numbers[:6], "gfn1", recipe.electronic_temperature)
    energy, forces = potential(frames.positions[-6:])
    assert energy == frames.energy[-1]
    assert np.array_equal(forces, frames.forces[-6:])


def test_another_seed_another_trajectory() -> None:
    a, b = (generate("x", Recipe("C=C", 2, seed=seed, interval=1.0))[0] for seed in (0, 1))
    assert np.abs(a.positions - b.positions).max() > 1e-3


def test_a_broken_molecule_stops_the_run_unless_asked_to_go_on() -> None:
    recipe = Recipe("C=C", 12, sampling="md", temperature=30000.0, friction=1.0, interval=5.0)
    with pytest.raises(UserError, match=r"^hot frame \d+: .*--allow-broken$"):
        generate("hot", recipe)
    assert len(generate("hot", recipe, allow_broken=True)[0]) == 12


def test_damage_is_a_stretched_bond_or_a_new_contact() -> None:
    ethene = Molecule.from_smiles("C=C", 0)
    start = ethene.positions
    assert ethene.damage(start, start) is None
    stretched = start.copy()
    stretched[0] += 3 * (start[0] - start[1])
    assert "times its first length" in str(ethene.damage(stretched, start))
    touching = start.copy()
    first, second = ethene.neighbours(0, 1)
    touching[first] += 0.7 * (start[second] - start[first])
    assert "come within bonding distance" in str(ethene.damage(touching, start))


def test_torsions_across_the_double_bond() -> None:
    butene = Molecule.from_smiles(BUTENE, 0)
    chain, other = butene.torsions_across()
    assert chain == (0, 1, 2, 3)
    assert [butene.numbers[i] for i in other] == [1, 6, 6, 1]
    assert [abs(torsion(butene.positions, t)[0]) for t in (chain, other)] == pytest.approx(
        [np.pi, np.pi], abs=0.1
    )
    hydrogens_first = butene.torsions_across(other)
    assert hydrogens_first == (other, chain)


@pytest.mark.parametrize(
    ("smiles", "chain", "message"),
    [
        ("CCC", None, "0 C=C bonds.*--sampling md"),
        ("C=CC=C", None, "2 C=C bonds.*--torsion"),
        (BUTENE, (0, 1, 2, 9), "not a torsion"),
        (BUTENE, (1, 0, 4, 5), "not a torsion"),
        ("C1=CCCCC1", None, "0 C=C bonds"),
        ("C=C=C", None, "2 C=C bonds"),
    ],
)
def test_no_torsion_to_drive(smiles: str, chain: tuple | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Molecule.from_smiles(smiles, 0).torsions_across(chain)


@pytest.mark.parametrize("smiles", ["C=(", "", "[Na+]", "[CH3]"])
def test_impossible_smiles(smiles: str) -> None:
    with pytest.raises(UserError):
        Molecule.from_smiles(smiles, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling": "metadynamic"}, "did you mean metadynamics"),
        ({"frames": 0}, "frames must be above 0"),
        ({"temperature": -1.0}, "temperature must not be negative"),
        ({"interval": 0.7}, "interval of 0.7 fs is not a multiple"),
    ],
)
def test_impossible_recipes(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recipe(**{"smiles": BUTENE, "frames": 5, **change})


def run(*words: str) -> Exception | str:
    bench = typer.Typer()
    bench.add_typer(app, name="data")
    result = CliRunner().invoke(bench, ["data", *words])
    return result.output if result.exception is None else result.exception  # type: ignore[return-value]


def test_command_writes_a_set_once_and_repeats_it(tmp_path: Path) -> None:
    words = ["generate", "ethene", "--smiles", "C=C", "--frames", "3", "--interval", "2"]
    words += ["--hill-interval", "1", "--out", str(tmp_path)]
    assert "3 frames of C2H4" in str(run(*words)).replace("\n", " ")
    folder = tmp_path / "ethene"
    assert sorted(p.name for p in folder.iterdir()) == ["datasheet.yaml", "frames.npz"]
    before = (folder / "frames.npz").read_bytes()
    sheet = yaml.safe_load((folder / "datasheet.yaml").read_text())
    assert sheet["sha256"] == hashlib.sha256(before).hexdigest()
    refusal = run(*words)
    assert isinstance(refusal, UserError)
    assert "--force" in str(refusal)
    again = shlex.split(sheet["command"])
    assert again[:2] == ["bench", "data"]
    assert isinstance(run(*again[2:], "--force"), str)
    assert (folder / "frames.npz").read_bytes() == before


def test_command_without_a_folder_makes_a_set_that_data_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    words = ["generate", "ethene", "--smiles", "C=C", "--frames", "2", "--sampling", "md"]
    assert isinstance(run(*words, "--interval", "1"), str)
    assert len(catalogue.load("ethene")) == 2
    assert catalogue.datasheet("ethene")["sampling"]["kind"] == "md"
    assert "ethene" in str(run("show", "ethene"))


def test_command_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    failed = run("generate", "x", "--smiles", "CC", "--frames", "3", "--out", str(tmp_path))
    assert isinstance(failed, UserError)
    assert not list(tmp_path.iterdir())
    escape = run("generate", "../x", "--smiles", "C=C", "--out", str(tmp_path))
    assert isinstance(escape, UserError)
