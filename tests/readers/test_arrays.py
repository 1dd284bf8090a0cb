"""MD17, rMD17, ANI-1 and ANI-1x: every number and unit as published."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import units

from deepset_bench.errors import UserError
from tests.readers.dialects import (
    ENERGIES,
    FORCES,
    PLACES,
    ani1,
    ani1x,
    md17,
    npz,
    read_file,
    rmd17,
    write_hdf5,
)

KCAL = units.kcal / units.mol


def save(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    path.write_bytes(npz(arrays))
    return path


@pytest.mark.parametrize("layout", [md17, rmd17])
def test_both_md17s_are_in_kcal_per_mol(tmp_path, layout):
    frames = read_file(save(tmp_path / "water.npz", layout()), "water")
    assert frames.numbers.tolist() == [8, 1, 1] * 4
    np.testing.assert_array_equal(frames.positions, PLACES.reshape(-1, 3))
    np.testing.assert_allclose(frames.energy, (np.array(ENERGIES) - 1000) * KCAL, rtol=1e-14)
    np.testing.assert_allclose(frames.forces, FORCES.reshape(-1, 3) * KCAL, rtol=1e-14)
    assert frames.index.tolist() == [0, 1, 2, 3]
    assert set(frames.molecule) == {"water"}
    part = read_file(tmp_path / "water.npz", "water", frames="2-3")
    np.testing.assert_array_equal(part.forces, frames.select([1, 2]).forces)
    assert part.index.tolist() == [1, 2]


def test_the_unit_in_the_file_counts(tmp_path):
    written = {"e_unit": np.array("Ha"), "r_unit": np.array("Bohr")}
    path = save(tmp_path / "water.npz", md17() | written)
    frames = read_file(path, "water")
    np.testing.assert_allclose(frames.positions, PLACES.reshape(-1, 3) * units.Bohr)
    force = units.Hartree / units.Bohr
    np.testing.assert_allclose(frames.forces, FORCES.reshape(-1, 3) * force)
    assert len(read_file(path, "water", energy_unit="hartree", length_unit="bohr")) == 4
    np.testing.assert_allclose(
        read_file(path, "water", energy_unit="eV").energy, np.array(ENERGIES) - 1000
    )


def test_other_keys_and_units(tmp_path):
    arrays = rmd17() | {"ccsd": np.array(ENERGIES), "ccsd_f": -FORCES}
    frames = read_file(
        save(tmp_path / "water.npz", arrays),
        "water",
        energy_key="ccsd",
        forces_key="ccsd_f",
        energy_unit="hartree",
    )
    np.testing.assert_allclose(frames.energy, np.array(ENERGIES) * units.Hartree)
    np.testing.assert_allclose(frames.forces, -FORCES.reshape(-1, 3) * units.Hartree)


@pytest.mark.parametrize("frames", ["0-1", "3-9", "x"])
def test_impossible_ranges_are_refused(tmp_path, frames):
    with pytest.raises(UserError, match="--frames"):
        read_file(save(tmp_path / "water.npz", md17()), "water", frames=frames)


def test_geometries_without_labels(tmp_path):
    arrays = md17()
    del arrays["F"]
    frames = read_file(save(tmp_path / "water.npz", arrays), "water", unlabelled=True)
    np.testing.assert_array_equal(frames.positions, PLACES.reshape(-1, 3))
    assert not frames.forces.any()
    assert not frames.energy.any()


def test_ani1x_is_in_hartree_and_angstrom(tmp_path):
    pytest.importorskip("h5py")
    frames = read_file(write_hdf5(tmp_path / "ani.h5", ani1x()), "ani")
    assert frames.n_atoms.tolist() == [5, 3, 3, 3]
    assert frames.molecule.tolist() == ["CH4", "H2O", "H2O", "H2O"]
    assert frames.index.tolist() == [0, 1, 2, 4]  # 3 has no forces
    kept = [0, 1, 3]
    np.testing.assert_allclose(frames.positions[5:], PLACES[kept].reshape(-1, 3), rtol=1e-6)
    energy = (np.array(ENERGIES)[kept] - 70) * units.Hartree
    np.testing.assert_allclose(frames.energy[1:], energy, rtol=1e-14)
    forces = FORCES[kept].reshape(-1, 3) * units.Hartree
    np.testing.assert_allclose(frames.forces[5:], forces, rtol=1e-6)


def test_a_part_of_ani1x(tmp_path):
    pytest.importorskip("h5py")
    path = write_hdf5(tmp_path / "ani.h5", ani1x())
    whole = read_file(path, "ani")
    assert read_file(path, "ani", frames="1-5").index.tolist() == whole.index.tolist()
    for frames, index in (("1-1", [0]), ("2-3", [1, 2]), ("1-2", [0, 1]), ("4-5", [4])):
        part = read_file(path, "ani", frames=frames)
        assert part.index.tolist() == index
        expected = whole.select(np.flatnonzero(np.isin(whole.index, index)))
        np.testing.assert_array_equal(part.positions, expected.positions)
        np.testing.assert_array_equal(part.energy, expected.energy)
    water = read_file(path, "ani", formula="OH2,C9H9")
    assert set(water.molecule) == {"ani"}
    assert water.index.tolist() == [0, 1, 3]
    assert read_file(path, "ani", formula="H2O", frames="2-4").index.tolist() == [1, 3]


def test_other_levels_of_ani1x(tmp_path):
    pytest.importorskip("h5py")
    water = {"H2O1": ani1x()["H2O1"]}
    frames = read_file(
        write_hdf5(tmp_path / "ani.h5", water),
        "ani",
        energy_key="wb97x_tz.energy",
        forces_key="wb97x_tz.forces",
    )
    np.testing.assert_allclose(frames.energy[0], (ENERGIES[0] - 71) * units.Hartree)
    np.testing.assert_allclose(frames.forces[:3], -FORCES[0] * units.Hartree, rtol=1e-6)


def test_ani1_has_geometries_only(tmp_path):
    pytest.importorskip("h5py")
    path = write_hdf5(tmp_path / "ani.h5", ani1())
    with pytest.raises(UserError, match=r"has no 'wb97x_dz.forces'.*--relabel gfn1"):
        read_file(path, "ani")
    frames = read_file(path, "ani", unlabelled=True)
    assert frames.numbers.tolist() == [8, 1, 1] * 4
    assert not frames.energy.any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"frames": "2-6"}, r"--frames 2-6 .* 5 whole frames"),
        ({"formula": "C4H8"}, "no labelled geometry of C4H8; .*CH4"),
        ({"formula": "butene"}, "--formula butene: expected"),
        ({"energy_unit": "mHa"}, "valid: eV"),
    ],
)
def test_mistakes_are_one_line(tmp_path, options, expected):
    pytest.importorskip("h5py")
    with pytest.raises(UserError, match=expected):
        read_file(write_hdf5(tmp_path / "ani.h5", ani1x()), "ani", **options)


def test_more_than_fits_says_how_to_take_a_part(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    monkeypatch.setattr("deepset_bench.readers.hdf5._MOST_ATOMS", 10)
    path = write_hdf5(tmp_path / "ani.h5", ani1x())
    with pytest.raises(UserError, match="--formula H2O or --frames 1-2"):
        read_file(path, "ani", unlabelled=True)
    assert len(read_file(path, "ani", frames="1-2", unlabelled=True)) == 2


def test_h5py_is_an_extra(tmp_path, monkeypatch):
    path = write_hdf5(tmp_path / "ani.h5", ani1x())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"h5py is not installed; .*deepset-bench\[hdf5\]"):
        read_file(path, "ani")


@pytest.mark.parametrize("change", [lambda z: np.array(["O", "H", "H"]), lambda z: z.astype(float)])
def test_elements_are_numbers_of_any_type_or_symbols(tmp_path, change):
    arrays = md17()
    arrays["z"] = change(arrays["z"])
    frames = read_file(save(tmp_path / "water.npz", arrays), "water")
    assert frames.numbers.tolist() == [8, 1, 1] * 4


def spice() -> dict[str, dict[str, np.ndarray]]:
    """SPICE's groups: bohr, hartree and gradients; charges in SMILES alone."""
    hydroxide = {
        "atomic_numbers": np.array([8, 1], dtype=np.int16),
        "conformations": PLACES[:2, :2].astype(np.float32) / units.Bohr,
        "dft_total_energy": np.array([-75.1, -75.2]),
        "dft_total_gradient": np.ones((2, 2, 3), dtype=np.float32) * [[[0.1], [-0.1]]],
        "smiles": np.array([b"[O-:1][H:2]"]),
    }
    water = {
        "atomic_numbers": np.array([8, 1, 1], dtype=np.int16),
        "conformations": PLACES.astype(np.float32) / units.Bohr,
        "dft_total_energy": np.array(ENERGIES) - 70,
        "dft_total_gradient": -FORCES.astype(np.float32),
        "smiles": np.array([b"[O:1]([H:2])[H:3]"]),
    }
    return {"103147721": hydroxide, "water": water}


def test_spice_has_gradients_in_atomic_units(tmp_path):
    pytest.importorskip("h5py")
    path = write_hdf5(tmp_path / "spice.h5", spice())
    frames = read_file(path, "spice")
    assert frames.charge.tolist() == [-1, -1, 0, 0, 0, 0]
    water = frames.select([2, 3, 4, 5])
    np.testing.assert_allclose(water.positions, PLACES.reshape(-1, 3), atol=1e-6)
    np.testing.assert_allclose(water.energy, (np.array(ENERGIES) - 70) * units.Hartree)
    force = units.Hartree / units.Bohr
    np.testing.assert_allclose(water.forces, FORCES.reshape(-1, 3) * force, atol=1e-6)
    asked = read_file(path, "spice", gradients=True, forces_key="dft_total_gradient")
    np.testing.assert_array_equal(asked.forces, frames.forces)


@pytest.mark.parametrize(
    ("smiles", "charge"),
    [
        ("C[NH3+:1]", 1),
        ("[Ca+2:3].[O-]C", 1),
        ("[Fe++]", 2),
        ("[C@@H:4](C)(O)[O--]", -2),
        ("C-C", 0),
    ],
)
def test_charges_of_smiles(smiles, charge):
    pytest.importorskip("h5py")
    from deepset_bench.readers.hdf5 import _charge

    assert _charge(smiles) == charge


def test_hdf5_without_positions_says_what_it_has(tmp_path):
    pytest.importorskip("h5py")
    path = write_hdf5(tmp_path / "other.h5", {"a": {"geometry": np.zeros(3)}})
    with pytest.raises(UserError, match=r"holds no coordinates \(ANI\) or .*, but a, a/geometry"):
        read_file(path, "other")
    mixed = spice() | {"xenon": ani1x()["H2O1"]}
    with pytest.raises(UserError, match="group /xenon: has no 'conformations' as the groups"):
        read_file(write_hdf5(tmp_path / "mixed.h5", mixed), "mixed")
