"""The sets shipped with the program are what their datasheets say."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from deepset_bench.cli.data_group import app
from deepset_bench.config import experiment
from deepset_bench.data.splits import split
from deepset_bench.data.tasks import divide
from deepset_bench.files import resource
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.xtb import XTB
from deepset_bench.surroundings import STUDY


def net_force_and_torque(positions: np.ndarray, forces: np.ndarray) -> float:
    """The largest component of the net force and torque of (M, A, 3) arrays."""
    torque = np.cross(positions, forces).sum(axis=1)
    return float(max(np.abs(forces.sum(axis=1)).max(), np.abs(torque).max()))


@pytest.fixture
def folder(name: str) -> Path:
    return resource("datasets") / name


@pytest.fixture
def sheet(folder: Path) -> dict:
    return yaml.safe_load((folder / "datasheet.yaml").read_text())


@pytest.fixture
def frames(folder: Path) -> Frames:
    return Frames.load(folder / "frames.npz")


@pytest.mark.parametrize("name", ["but-2-ene", "pent-2-ene", "alkenes", "chno"])
def test_checksum_and_size(folder: Path, sheet: dict) -> None:
    data = (folder / "frames.npz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == sheet["sha256"]
    assert len(data) < 6000 * 1024


@pytest.mark.parametrize("name", ["but-2-ene", "pent-2-ene", "alkenes", "chno"])
def test_its_command_makes_its_first_frames(sheet: dict, frames: Frames, tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    pytest.importorskip("rdkit")
    words = shlex.split(sheet["command"])[2:]
    while words.count("--smiles") > 1:  # of several molecules the first alone, by its name
        last = len(words) - 1 - words[::-1].index("--smiles")
        del words[last : last + 2]
    words[words.index("--frames") + 1] = "3"
    words[words.index("--out") + 1] = str(tmp_path)
    result = CliRunner().invoke(app, words)
    assert result.exception is None
    first, made = frames.select([0, 1, 2]), Frames.load(tmp_path / words[1] / "frames.npz")
    assert made.molecule.tolist() == first.molecule.tolist()
    for label in ("numbers", "positions", "energy", "forces", "bias_forces"):
        # Bit for bit where the shipped sets were made; other processors round otherwise.
        np.testing.assert_allclose(getattr(made, label), getattr(first, label), atol=1e-6)


@pytest.mark.parametrize("name", ["but-2-ene", "pent-2-ene", "alkenes", "chno"])
def test_forces_are_the_gradient_of_the_energy(sheet: dict, frames: Frames) -> None:
    pytest.importorskip("tblite")
    kelvin, M = sheet["electronic_temperature_kelvin"], len(frames)
    assert kelvin == 5000.0  # labels of all sets are of one potential
    rng = np.random.default_rng(0)
    step = 2e-3
    for m in (0, M // 2, M - 1):
        atoms = frames.atoms_of(m)
        positions, forces = frames.positions[atoms], frames.forces[atoms]
        potential = XTB(frames.numbers[atoms], "gfn1", kelvin)
        energy, expected = potential(positions)
        assert energy == pytest.approx(frames.energy[m], abs=1e-6)
        np.testing.assert_allclose(expected, forces, atol=1e-5)
        direction = rng.normal(size=positions.shape)
        direction /= np.linalg.norm(direction)
        ahead, behind = (potential(positions + s * step * direction)[0] for s in (1, -1))
        slope = (ahead - behind) / (2 * step)
        assert (forces * direction).sum() == pytest.approx(-slope, abs=2e-3)


@pytest.mark.parametrize("name", ["but-2-ene", "pent-2-ene"])
class TestTurnedDoubleBond:
    def test_is_the_molecule_intact_and_turns_all_the_way(
        self, name: str, sheet: dict, frames: Frames
    ) -> None:
        M = len(frames)
        assert M == sheet["frames"] >= 6000
        assert set(frames.molecule) == {name}
        assert np.array_equal(frames.index, np.arange(M))
        pytest.importorskip("rdkit")
        molecule = Molecule.from_smiles(sheet["smiles"], sheet["seed"])
        assert np.array_equal(frames.numbers, np.tile(molecule.numbers, M))
        positions = frames.positions.reshape(M, -1, 3)
        assert molecule.bond_stretch(positions, positions[0]).max() < 1.6
        twist = np.degrees([abs(torsion(p, sheet["torsions"][0])[0]) for p in positions])
        for low, high in [(0, 30), (60, 120), (150, 180)]:
            assert ((twist >= low) & (twist <= high)).mean() > 0.1

    def test_bias_is_internal_and_as_large_as_the_reports(self, frames: Frames) -> None:
        assert frames.bias_forces is not None
        shape = (len(frames), -1, 3)
        positions = frames.positions.reshape(shape)
        assert net_force_and_torque(positions, frames.bias_forces.reshape(shape)) < 1e-9
        ratio = np.abs(frames.bias_forces).mean() / np.abs(frames.forces).mean()
        assert 1.5 < ratio < 2.5


@pytest.mark.parametrize("name", ["alkenes"])
class TestAlkenes:
    def test_every_molecule_is_whole_and_what_its_name_says(
        self, sheet: dict, frames: Frames
    ) -> None:
        pytest.importorskip("rdkit")
        assert len(sheet["molecules"]) == 13
        assert set(frames.molecule) == set(sheet["molecules"])
        for name, facts in sheet["molecules"].items():
            part = frames.select(np.flatnonzero(frames.molecule == name))
            assert np.array_equal(part.index, np.arange(400))
            molecule = Molecule.from_smiles(facts["smiles"], facts["seed"])
            assert np.array_equal(part.numbers, np.tile(molecule.numbers, 400))
            positions = part.positions.reshape(400, -1, 3)
            assert not any(molecule.damage(p, positions[0]) for p in positions)
            side = name.partition("-")[0]
            if side in ("cis", "trans"):
                chain, _ = molecule.torsions_across()
                twist = np.degrees([abs(torsion(p, chain)[0]) for p in positions])
                assert (twist < 90).all() if side == "cis" else (twist > 90).all()

    def test_there_is_no_bias_and_frames_are_apart(self, sheet: dict, frames: Frames) -> None:
        assert frames.bias_forces is not None
        assert not frames.bias_forces.any()
        assert sheet["sampling"]["kind"] == "md"
        assert sheet["sampling"]["interval_fs"] >= 50

    def test_show_has_a_row_for_every_molecule(self, name: str, sheet: dict) -> None:
        output = CliRunner().invoke(app, ["show", name]).output
        for molecule, facts in sheet["molecules"].items():
            row = next(line for line in output.splitlines() if f"│ {molecule} " in line)
            assert facts["smiles"] in row
            assert facts["formula"] in row

    def test_compositions_identify_an_energy_for_each_element(self, frames: Frames) -> None:
        assert np.linalg.matrix_rank(frames.composition(frames.species)) == 2

    @pytest.mark.parametrize("kind", ["random", "blocks", "molecule"])
    def test_the_sizes_of_the_option_fit_every_split(self, kind: str, frames: Frames) -> None:
        option = yaml.safe_load((resource("conf") / "data" / "alkenes.yaml").read_text())
        sizes = [option[f"{part}_size"] for part in ("train", "val", "test")]
        parts = split(frames, kind, *sizes, seed=0)
        assert [len(part) for part in (parts.train, parts.val, parts.test)] == sizes
        if kind == "molecule":
            seen = [set(frames.molecule[part]) for part in (parts.train, parts.val, parts.test)]
            assert sum(len(names) for names in seen) == len(set().union(*seen)) == 13


@pytest.mark.parametrize("name", ["chno"])
class TestSmallMolecules:
    def test_every_molecule_is_whole(self, sheet: dict, frames: Frames) -> None:
        pytest.importorskip("rdkit")
        assert len(sheet["molecules"]) == 42
        assert set(frames.molecule) == set(sheet["molecules"])
        for name, facts in sheet["molecules"].items():
            part = frames.select(np.flatnonzero(frames.molecule == name))
            assert np.array_equal(part.index, np.arange(60))
            molecule = Molecule.from_smiles(facts["smiles"], facts["seed"])
            assert np.array_equal(part.numbers, np.tile(molecule.numbers, 60))
            positions = part.positions.reshape(60, -1, 3)
            assert not any(molecule.damage(p, positions[0]) for p in positions)

    def test_training_compositions_identify_an_energy_for_each_element(
        self, frames: Frames, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that absolute energies of the molecules that are asked about can be scored."""
        monkeypatch.setenv(STUDY, str(resource("sweeps") / "peers"))
        division = divide("chno", experiment(["data=chno", "task=new_molecules"]).config.task)
        assert np.linalg.matrix_rank(frames.select(division.pool).composition(frames.species)) == 4
