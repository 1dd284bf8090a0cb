"""The sets shipped with the program are what their datasheets say."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from deepset_bench.data.bias import torsion
from deepset_bench.data.frames import Frames
from deepset_bench.data.molecule import Molecule
from deepset_bench.data.xtb import XTB
from deepset_bench.files import resource


def net_force_and_torque(positions: np.ndarray, forces: np.ndarray) -> float:
    """The largest component of the net force and torque of (M, A, 3) arrays."""
    torque = np.cross(positions, forces).sum(axis=1)
    return float(max(np.abs(forces.sum(axis=1)).max(), np.abs(torque).max()))


@pytest.mark.parametrize("name", ["but-2-ene", "pent-2-ene"])
class TestShippedSet:
    @pytest.fixture
    def folder(self, name: str) -> Path:
        return resource("datasets") / name

    @pytest.fixture
    def sheet(self, folder: Path) -> dict:
        return yaml.safe_load((folder / "datasheet.yaml").read_text())

    @pytest.fixture
    def frames(self, folder: Path) -> Frames:
        return Frames.load(folder / "frames.npz")

    def test_checksum_and_size(self, folder: Path, sheet: dict) -> None:
        data = (folder / "frames.npz").read_bytes()
        assert hashlib.sha256(data).hexdigest() == sheet["sha256"]
        assert len(data) < 6000 * 1024

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
        twist = np.degrees([abs(torsion(p, sheet["sampling"]["torsion"])[0]) for p in positions])
        for low, high in [(0, 30), (60, 120), (150, 180)]:
            assert ((twist >= low) & (twist <= high)).mean() > 0.1

    def test_forces_are_the_gradient_of_the_energy(self, sheet: dict, frames: Frames) -> None:
        pytest.importorskip("tblite")
        kelvin, chosen = sheet["electronic_temperature_kelvin"], [0, len(frames) // 2]
        some = frames.select([*chosen, len(frames) - 1])
        A = int(some.n_atoms[0])
        potential = XTB(some.numbers[:A], "gfn1", kelvin)
        direction = np.random.default_rng(0).normal(size=(A, 3))
        direction /= np.linalg.norm(direction)
        step = 2e-3
        for m in range(len(some)):
            atoms = some.atoms_of(m)
            positions = some.positions[atoms]
            energy, forces = potential(positions)
            assert energy == pytest.approx(some.energy[m], abs=1e-6)
            np.testing.assert_allclose(forces, some.forces[atoms], atol=1e-5)
            ahead, behind = (potential(positions + s * step * direction)[0] for s in (1, -1))
            slope = (ahead - behind) / (2 * step)
            assert (some.forces[atoms] * direction).sum() == pytest.approx(-slope, abs=2e-3)

    def test_bias_is_internal_and_as_large_as_the_reports(self, frames: Frames) -> None:
        assert frames.bias_forces is not None
        shape = (len(frames), -1, 3)
        positions = frames.positions.reshape(shape)
        assert net_force_and_torque(positions, frames.bias_forces.reshape(shape)) < 1e-9
        ratio = np.abs(frames.bias_forces).mean() / np.abs(frames.forces).mean()
        assert 1.5 < ratio < 2.5
