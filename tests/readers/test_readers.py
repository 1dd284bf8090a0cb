"""Files ASE reads, with named labels in named units."""

import gzip
import lzma
import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.errors import UserError
from deepset_bench.units import Units
from tests.readers.dialects import read_file


def images(n: int = 3, formula: str = "H2O") -> list[Atoms]:
    """Labelled geometries that differ in every number."""
    rng = np.random.default_rng(n)
    out = []
    for _ in range(n):
        atoms = Atoms(formula)
        atoms.positions = (
            rng.normal(size=(len(atoms), 3)) + 5 * np.arange(len(atoms))[:, None]
        ).round(6)
        forces = rng.normal(size=(len(atoms), 3)).round(6)
        energy = round(rng.normal(), 6)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        out.append(atoms)
    return out


def water(folder: Path) -> Path:
    """A file of three frames, as ASE writes it."""
    ase.io.write(folder / "water.extxyz", images())
    return folder / "water.extxyz"


def text(path: Path, frames: list[Atoms]) -> str:
    ase.io.write(path, frames, format="extxyz")
    return path.read_text()


@pytest.mark.parametrize("suffix", ["extxyz", "xyz", "traj", "db", "json"])
def test_the_formats_of_ase(tmp_path, suffix):
    written = images()
    path = tmp_path / f"water@1.{suffix}"
    ase.io.write(path, written, **({"format": "extxyz"} if suffix == "xyz" else {}))
    frames = read_file(path, "water")
    np.testing.assert_allclose(frames.positions, np.concatenate([a.positions for a in written]))
    np.testing.assert_allclose(frames.forces, np.concatenate([a.get_forces() for a in written]))
    np.testing.assert_allclose(frames.energy, [a.get_potential_energy() for a in written])
    assert frames.numbers.tolist() == [1, 1, 8] * 3
    assert frames.index.tolist() == [0, 1, 2]
    assert set(frames.molecule) == {"water"}
    assert frames.bias_forces is None


@pytest.mark.parametrize("suffix", ["extxyz", "traj", "db"])
@pytest.mark.parametrize(("ending", "pack"), [("xz", lzma.compress), ("gz", gzip.compress)])
def test_compressed_files(tmp_path, suffix, ending, pack):
    plain = tmp_path / f"water.{suffix}"
    ase.io.write(plain, images())
    packed = tmp_path / f"packed.{suffix}.{ending}"
    packed.write_bytes(pack(plain.read_bytes()))
    np.testing.assert_array_equal(
        read_file(packed, "water").forces, read_file(plain, "water").forces
    )


def test_named_labels_in_named_units(tmp_path):
    atoms = images(1)[0]
    atoms.info["REF_energy"], atoms.arrays["REF_forces"] = -2.0, np.full((3, 3), 0.5)
    atoms.arrays["bias_forces"] = np.full((3, 3), 0.25)
    path = tmp_path / "water.xyz"
    text(path, [atoms])
    frames = read_file(
        path,
        "water",
        energy_key="REF_energy",
        forces_key="REF_forces",
        energy_unit="hartree",
        length_unit="bohr",
    )
    force = units.Hartree / units.Bohr
    np.testing.assert_allclose(frames.energy, -2.0 * units.Hartree, rtol=1e-12)
    np.testing.assert_allclose(frames.positions, atoms.positions * units.Bohr, rtol=1e-12)
    np.testing.assert_allclose(frames.forces, 0.5 * force, rtol=1e-12)
    assert frames.bias_forces is not None
    np.testing.assert_allclose(frames.bias_forces, 0.25 * force, rtol=1e-12)


def test_named_labels_of_a_database_row(tmp_path):
    path = tmp_path / "water.db"
    with connect(path) as database:
        database.write(
            Atoms("H2", np.eye(3)[:2]), dft_energy=-1.5, data={"dft_forces": np.ones((2, 3))}
        )
    frames = read_file(path, "h2", energy_key="dft_energy", forces_key="dft_forces")
    assert frames.energy.tolist() == [-1.5]
    np.testing.assert_array_equal(frames.forces, np.ones((2, 3)))


@pytest.mark.parametrize(
    ("name", "in_ev"),
    [
        ("eV", 1.0),
        ("meV", 0.001),
        ("hartree", 27.211386),
        ("kcal/mol", 0.0433641),
        ("kJ/mol", 0.01036427),
    ],
)
def test_energy_units(name, in_ev):
    assert Units(name).energy == pytest.approx(in_ev, rel=1e-6)
    assert Units(name, "bohr").force == pytest.approx(in_ev / 0.5291772, rel=1e-6)


def test_length_units():
    assert Units().length == 1.0
    assert Units("eV", "bohr").length == pytest.approx(0.5291772, rel=1e-6)


def test_an_unknown_unit_lists_the_valid_ones(tmp_path):
    with pytest.raises(UserError, match="eV, meV, hartree, kcal/mol, kJ/mol"):
        read_file(water(tmp_path), "any", energy_unit="furlong")
    with pytest.raises(UserError, match="angstrom, bohr"):
        read_file(water(tmp_path), "any", length_unit="nm")
    with pytest.raises(UserError, match="hartree/bohr, kcal/mol/angstrom"):
        read_file(water(tmp_path), "any", force_unit="newton")


def test_frame_ranges(tmp_path):
    path = tmp_path / "water.xyz"
    text(path, images(5))
    frames, part = read_file(path, "water"), read_file(path, "water", frames="2-4")
    assert part.index.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(part.forces, frames.select(slice(1, 4)).forces)
    with pytest.raises(UserError, match=r"--frames 4-6 .* 5 whole frames"):
        read_file(path, "water", frames="4-6")
    with pytest.raises(UserError, match=r"--frames 9-9 .* 5 whole frames"):
        read_file(path, "water", frames="9-9")


def test_a_set_of_several_compositions_is_named_by_formula(tmp_path):
    path = tmp_path / "mixed.xyz"
    text(path, images(2, "H2O") + images(1, "CH4"))
    frames = read_file(path, "mixed")
    assert frames.molecule.tolist() == ["H2O", "H2O", "CH4"]
    assert frames.n_atoms.tolist() == [3, 3, 5]


@pytest.mark.parametrize("suffix", ["traj", "db", "json"])
def test_damaged_binaries_are_one_line(tmp_path, suffix):
    path = tmp_path / f"water.{suffix}"
    ase.io.write(path, images())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(UserError, match=f"water.{suffix}: frame 1: ASE cannot read it") as caught:
        read_file(path, "water")
    assert "\n" not in str(caught.value)


def test_a_bias_of_some_frames_is_refused(tmp_path):
    frames = images()
    frames[1].arrays["bias_forces"] = np.zeros((3, 3))
    path = tmp_path / "water.xyz"
    text(path, frames)
    with pytest.raises(UserError, match="only some frames have bias_forces"):
        read_file(path, "water")


def test_the_whole_part_of_a_file_cut_short_can_be_read(tmp_path):
    path = tmp_path / "water.xyz"
    content = text(path, images())
    for cut in (content[:-20], content.rpartition("Properties")[0], content[: content.rindex("H")]):
        path.write_text(cut)
        with pytest.raises(UserError, match=r"frame 3.* --frames 1-2"):
            read_file(path, "water")
        assert len(read_file(path, "water", frames="1-2")) == 2


def test_plain_geometries_can_be_read_to_be_labelled(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text("3\nwater, from a drawing\nO 0 0 0\nH 0 0 1\nH 0 1 0\n")
    with pytest.raises(UserError, match=r"frame 1, line 2: has no 'energy'.*--relabel"):
        read_file(path, "water")
    frames = read_file(path, "water", unlabelled=True)
    assert frames.positions[2].tolist() == [0, 1, 0]
    assert not frames.forces.any()


def test_labels_of_some_frames_alone_are_no_labels(tmp_path):
    written = images()
    written[2].calc = None
    path = tmp_path / "water.traj"
    ase.io.write(path, written)
    frames = read_file(path, "water", unlabelled=True)
    assert not frames.forces.any()
    assert not frames.energy.any()


def test_labels_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "water.xyz"
    written = images()
    for atoms in written:
        atoms.info |= {"energy_label": "low", "done": True}
    text(path, written)
    for key in ("energy_label", "done"):
        with pytest.raises(UserError, match=f"frame 1, line 2: '{key}' is not a number"):
            read_file(path, "water", energy_key=key)
    with pytest.raises(UserError, match=r"'forces' has shape \(3, 3\), expected \(\)"):
        read_file(path, "water", energy_key="forces")
    with pytest.raises(UserError, match="did you mean energy"):
        read_file(path, "water", energy_key="enrgy")


@pytest.mark.parametrize(
    "gap", ["energy=", "energy=None", 'energy=""', "energy=null", "energy=nan"]
)
def test_an_energy_that_says_there_is_none_is_a_gap(tmp_path, gap):
    path = tmp_path / "water.xyz"
    lines = text(path, images()).splitlines()
    lines[6] = re.sub(r"energy=\S+", gap, lines[6])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"frame 2, line 7: 'energy' is not finite \(--skip-incom"):
        read_file(path, "water")
    assert read_file(path, "water", skip_incomplete=True).index.tolist() == [0, 2]


@pytest.mark.parametrize("gap", [None, "None", "null", "", "NaN"])
def test_so_it_is_in_a_database(tmp_path, gap):
    path = tmp_path / "water.db"
    with connect(path) as database:
        for energy in (-1.5, gap, -1.6):
            data = {"dft_energy": energy, "dft_forces": np.ones((2, 3))}
            database.write(Atoms("H2", np.eye(3)[:2]), data=data)
    keys = {"energy_key": "dft_energy", "forces_key": "dft_forces"}
    with pytest.raises(UserError, match="frame 2: 'dft_energy' is not finite"):
        read_file(path, "h2", **keys)
    assert read_file(path, "h2", **keys, skip_incomplete=True).index.tolist() == [0, 2]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 4), formula=st.sampled_from(["H", "CH4"]))
def test_extended_xyz_comes_back_to_its_eight_decimals(tmp_path_factory, seed, n, formula):
    rng = np.random.default_rng(seed)
    written = images(n, formula)
    for atoms in written:
        atoms.positions += rng.normal(scale=0.5, size=atoms.positions.shape)
    path = tmp_path_factory.mktemp("xyz") / "any.xyz"
    text(path, written)
    frames = read_file(path, "any")
    expected = np.concatenate([atoms.positions for atoms in written])
    np.testing.assert_allclose(frames.positions, expected, rtol=0, atol=0.51e-8)


def test_energies_alone_are_taken_if_asked_for(tmp_path):
    """A frame of numbers that are not all there is damaged, whatever is asked for."""
    path = tmp_path / "scan.xyz"
    head = "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\n"
    frame = head + "O 0 0 0 0 0 1\nH 0 0 1 0 0 -1\n"
    alone = "2\nenergy=2\nO 0 0 0\nH 0 0 1.1\n"
    path.write_text(frame + alone)
    with pytest.raises(UserError, match=r"has no .forces.; .*--energies-only takes such frames"):
        read_file(path, "water")
    frames = read_file(path, "water", energies_only=True)
    assert frames.has_forces.tolist() == [True, False]
    assert frames.energy.tolist() == [1, 2]
    path.write_text(frame + head + "O 0 0 0 0 0 nan\nH 0 0 1 0 0 -1\n")
    with pytest.raises(UserError, match="frame 2, line 7"):
        read_file(path, "water", energies_only=True)
    path.write_text("2\nstep=1\nO 0 0 0\nH 0 0 1\n")
    with pytest.raises(UserError, match="has no 'energy'"):
        read_file(path, "water", energies_only=True)
