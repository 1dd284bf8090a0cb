"""What a file says of itself is used: units, charge, spin, methods, gaps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.db import connect
from typer.testing import CliRunner

from deepset_bench.cli.data_group import app
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.readers import read
from deepset_bench.readers.options import Options
from deepset_bench.units import unit_name
from tests.readers.dialects import (
    ENERGIES,
    FORCES,
    FRC,
    PLACES,
    POS,
    WATER,
    XYZ,
    M,
    ani1x,
    extxyz_text,
    npz,
    read_file,
    read_pair,
    rmd17,
    write_hdf5,
)

KCAL = units.kcal / units.mol


def bench(*words: str) -> str:
    """What `bench data` prints; a UserError passes through."""
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def extxyz(folder: Path, keys: str = "", each: list[str] | None = None) -> Path:
    """Four frames of water with more keys in the second line, of all or of each."""
    text = XYZ.replace("pbc='F F F'", f"pbc='F F F' {keys}")
    for words in each or []:
        text = text.replace("pbc='F F F' \n", f"pbc='F F F' {words}\n", 1)
    path = folder / "water.xyz"
    path.write_text(text)
    return path


def database(folder: Path, metadata: dict[str, Any] | None = None, **pairs: Any) -> Path:
    """The same as SchNetPack stores it: energies of shape (1,)."""
    path = folder / "water.db"
    with connect(path) as rows:
        rows.metadata = metadata or {}
        for energy, place, force in zip(ENERGIES, PLACES, FORCES, strict=True):
            data = {"energy": np.array([energy]), "forces": force}
            rows.write(Atoms(WATER, place), key_value_pairs=pairs, data=data)
    return path


def array_file(folder: Path, **arrays: Any) -> Path:
    path = folder / "water.npz"
    path.write_bytes(npz(rmd17() | {key: np.array(value) for key, value in arrays.items()}))
    return path


def hdf5(folder: Path, **arrays: Any) -> Path:
    pytest.importorskip("h5py")
    water = ani1x()["H2O1"] | {key: np.array(value) for key, value in arrays.items()}
    return write_hdf5(folder / "water.h5", {"H2O1": water})


MAKERS = {
    "extxyz": lambda folder, **keys: extxyz(folder, " ".join(f"{k}={v}" for k, v in keys.items())),
    "db": lambda folder, **keys: database(folder, **keys),
    "npz": array_file,
    "hdf5": hdf5,
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    ("keys", "charge", "spin"),
    [
        ({"charge": 1}, 1, 0),
        ({"total_charge": -1.0, "charge": -1}, -1, 0),
        ({"Total_Charge": 1, "spin_multiplicity": 2}, 1, 2),
        ({"multiplicity": 3}, 0, 3),
        ({"total_spin": 1, "spin": 1}, 0, 1),
        ({"spin": 0, "multiplicity": 1}, 0, 1),
    ],
)
def test_charge_and_spin_are_read_from_every_format(tmp_path, kind, keys, charge, spin):
    frames = read_file(MAKERS[kind](tmp_path, **keys), "water")
    assert set(frames.charge.tolist()) == {charge}
    assert set(frames.spin.tolist()) == {spin}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"charge": 1, "total_charge": 0}, "charge is 1, but "),
        ({"spin": 3, "multiplicity": 1}, "but "),
        ({"charge": 0.5}, "'charge' is 0.5, but has to be the total charge"),
        ({"spin": 1.5}, "'spin' is 1.5, but has to be the multiplicity 2S"),
        ({"charge": 99}, "more than the nuclei have"),
        ({"multiplicity": 2}, "10 electrons (charge 0) have no spin multiplicity of 2"),
    ],
)
def test_impossible_charges_and_spins_are_refused(tmp_path, kind, keys, expected):
    with pytest.raises(UserError, match="frame 1") as caught:
        read_file(MAKERS[kind](tmp_path, **keys), "water")
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/water.")


@pytest.mark.parametrize("kind", MAKERS)
def test_a_charge_is_said_of_files_that_state_none(tmp_path, kind):
    frames = read_file(MAKERS[kind](tmp_path), "water", charge=1, spin=2)
    assert set(frames.charge.tolist()) == {1}
    assert set(frames.spin.tolist()) == {2}
    with pytest.raises(UserError, match="9 electrons"):
        read_file(MAKERS[kind](tmp_path), "water", charge=1, spin=1)


def test_a_pair_has_the_charge_that_is_said(tmp_path):
    paths = tmp_path / "w-pos-1.xyz", tmp_path / "w-frc-1.xyz"
    for path, text in zip(paths, (POS, FRC), strict=True):
        path.write_text(text)
    assert read_pair(*paths, "water", charge=-1, spin=2).charge.tolist() == [-1] * M
    with pytest.raises(UserError, match=r"pos-1.xyz: frame 1, line 2: 11 electrons"):
        read_pair(*paths, "water", charge=-1, spin=1)


def test_of_files_that_state_charges_one_is_chosen(tmp_path):
    path = extxyz(tmp_path, each=["charge=0", "charge=1", "charge=1", "charge=0"])
    frames = read_file(path, "water")
    assert frames.molecule.tolist() == ["H2O", *["H2O (charge +1)"] * 2, "H2O"]
    read_cations = read(path, "water", Options(charge=1))
    assert read_cations.frames.index.tolist() == [1, 2]
    assert set(read_cations.frames.molecule) == {"water"}
    assert read_cations.notes["left_out"] == ["2 of 4 geometries have another charge"]
    with pytest.raises(UserError, match="no geometry has the charge 2, but 0"):
        read_file(path, "water", charge=2)


def test_one_composition_in_two_states_is_refused_with_the_way_out(tmp_path):
    path = extxyz(tmp_path, each=["charge=0", "charge=1", "charge=1", "charge=0"])
    with pytest.raises(UserError, match=r"H2O has the charge 0 in 2 .*--charge 0 or --charge 1"):
        bench("import", "mine", str(path))
    output = bench("import", "mine", str(path), "--charge", "1")
    assert "2 frames in" in output
    assert "2 of 4 geometries have another charge: left out; charge +1; spin mult" in output
    sheet = catalogue.datasheet("mine")
    assert (sheet["charge"], sheet["spin_multiplicity"]) == (1, 2)
    assert sheet["left_out"] == ["2 of 4 geometries have another charge"]
    assert sheet["command"].endswith("--charge 1")
    path = extxyz(tmp_path, each=["spin=1", "spin=3", "", "spin=3"])
    with pytest.raises(UserError, match=r"spin multiplicity 1 in 2 .*--spin 1 or --spin 3"):
        bench("import", "other", str(path))


@pytest.mark.parametrize(
    ("silent", "stated"), [(slice(0, 2), slice(2, 4)), (slice(2, 4), slice(0, 2))]
)
def test_frames_that_state_no_charge_are_neutral_where_others_do(tmp_path, silent, stated):
    words = np.full(4, "charge=1", dtype=object)
    words[silent] = "step=1"
    path = extxyz(tmp_path, each=words.tolist())
    order = np.arange(4)
    cations = read(path, "water", Options(charge=1))
    assert cations.frames.index.tolist() == order[stated].tolist()
    assert cations.notes["left_out"] == ["2 of 4 geometries have another charge"]
    neutral = read(path, "water", Options(charge=0)).frames
    assert neutral.index.tolist() == order[silent].tolist()
    assert not neutral.charge.any()
    # A radical's spin is not one of the neutral frames, which are no mistake for that.
    words = np.where(words == "step=1", words, "charge=1 spin=2")
    path = extxyz(tmp_path, each=words.tolist())
    radicals = read(path, "water", Options(spin=2)).frames
    assert radicals.index.tolist() == order[stated].tolist()
    singlets = read(path, "water", Options(spin=1, charge=0)).frames
    assert singlets.index.tolist() == order[silent].tolist()


def test_files_that_state_no_charge_are_neutral_beside_those_that_do(tmp_path):
    paths = []
    for name, keys in (("silent", ""), ("stated", "charge=1 spin=2")):
        (tmp_path / name).mkdir()
        paths.append(str(extxyz(tmp_path / name, keys)))
    for words in (paths, paths[::-1]):
        output = bench("import", "mine", *words, "--charge", "1", "--force")
        assert "4 frames in" in output
        assert "silent/water.xyz: 4 of 4 geometries have another charge: left out" in output
    bench("import", "mine", paths[0], "--charge", "1", "--force")
    assert catalogue.load("mine").charge.tolist() == [1] * M


def test_a_set_takes_the_charge_that_nothing_stated(tmp_path):
    bench("import", "one", str(extxyz(tmp_path)))
    bench("import", "two", "one", "--charge", "-1", "--spin", "2")
    assert catalogue.load("two").charge.tolist() == [-1] * M
    assert "charge" not in catalogue.datasheet("one")
    with pytest.raises(UserError, match="two: no geometry has the charge 1, but -1"):
        bench("import", "three", "two", "--charge", "1")
    with pytest.raises(UserError, match="H2O has the charge -1 in 4 geometries, 0 in 4"):
        bench("import", "both", "one", "two")


def test_one_geometry_with_two_energies_is_refused(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text(XYZ + extxyz_text([energy + 13 for energy in ENERGIES]))
    with pytest.raises(UserError, match=r"frames 1 and 5 have the same positions .*13.0 eV apart"):
        bench("import", "mine", str(path))
    path.write_text(XYZ + XYZ)
    assert "8 frames" in bench("import", "mine", str(path))


@pytest.mark.parametrize(
    ("quantity", "name", "spellings"),
    [
        ("energy", "kcal/mol", ["kcal mol-1", "kcal.mol^-1", "KCAL/MOL", "kcal per mole"]),
        ("energy", "hartree", ["Hartree", "Ha", "E_h", "a.u.", "au", "hartrees"]),
        ("energy", "eV", ["ev", "EV", " eV ", "electronvolt"]),
        ("energy", "meV", ["meV", "mev"]),
        ("energy", "kJ/mol", ["kJ mol**-1", "kj/mol"]),
        ("energy", None, ["MeV", "mHa", "K", "", "kcal"]),
        ("length", "angstrom", ["Ang", "Å", "Å", "A", "Angstroms", "angström"]),
        ("length", "bohr", ["Bohr", "a0", "au", "a_0"]),
        ("length", None, ["nm", "m", ""]),
        ("force", "kcal/mol/angstrom", ["kcal/mol/Ang", "kcal mol-1 A-1", "kcal/(mol*Å)"]),
        ("force", "hartree/bohr", ["Ha/a0", "Hartree/Bohr", "a.u.", "Eh bohr^-1"]),
        ("force", "eV/angstrom", ["eV/Ang", "eV A^-1", "eV per Angstrom"]),
        ("force", None, ["N", "eV", "angstrom"]),
    ],
)
def test_units_are_understood_however_they_are_spelled(quantity, name, spellings):
    assert {unit_name(quantity, text) for text in spellings} == {name}


def test_schnetpack_says_its_units(tmp_path):
    stated = {"energy": "kcal/mol", "forces": "kcal/mol/Ang"}
    path = database(tmp_path, {"_property_unit_dict": stated, "_distance_unit": "Ang"})
    reading = read(path, "water", Options())
    np.testing.assert_allclose(reading.frames.energy, np.array(ENERGIES) * KCAL)
    np.testing.assert_allclose(reading.frames.forces, FORCES.reshape(-1, 3) * KCAL)
    assert reading.notes["units"]["energy"] == "kcal/mol (as the file says)"
    other = read(path, "water", Options(energy_unit="eV"))
    np.testing.assert_allclose(other.frames.energy, ENERGIES)
    assert other.notes["units"]["energy"] == "eV (--energy-unit, against kcal/mol in the file)"
    assert other.notes["units"]["forces"] == "kcal/mol/angstrom (as the file says)"


def test_a_unit_that_is_none_is_refused_unless_another_is_said(tmp_path):
    path = database(tmp_path, {"_property_unit_dict": {"energy": "furlong"}})
    with pytest.raises(UserError, match=r"'energy' says furlong, .*--energy-unit; valid: eV"):
        read_file(path, "water")
    np.testing.assert_allclose(read_file(path, "water", energy_unit="eV").energy, ENERGIES)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("extxyz", {"energy_unit": "Hartree", "forces_unit": "Hartree/Bohr"}),
        ("npz", {"e_unit": b"Hartree", "f_unit": ["Ha/a0"]}),
        ("hdf5", {"energy_unit": b"kcal/mol"}),
    ],
)
def test_other_formats_may_say_their_units_too(tmp_path, kind, keys):
    reading = read(MAKERS[kind](tmp_path, **keys), "water", Options())
    if kind == "hdf5":  # in an attribute there, not in an array
        assert "assumed" in reading.notes["units"]["energy"]
        return
    assert reading.notes["units"]["energy"] == "hartree (as the file says)"
    assert reading.notes["units"]["forces"] == "hartree/bohr (as the file says)"
    assert reading.notes["units"]["positions"] == "angstrom (assumed)"


def test_attributes_of_hdf5_say_units(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = hdf5(tmp_path)
    with h5py.File(path, "a") as file:
        file["H2O1"].attrs["charge"] = -1
        file["H2O1/wb97x_dz.energy"].attrs["units"] = "kcal/mol"
        file["H2O1/coordinates"].attrs["units"] = b"bohr"
    reading = read(path, "water", Options())
    energies = (np.array(ENERGIES)[[0, 1, 3]] - 70) * KCAL
    np.testing.assert_allclose(reading.frames.energy, energies)
    np.testing.assert_allclose(reading.frames.positions[:3], PLACES[0] * units.Bohr, rtol=1e-6)
    assert reading.frames.charge.tolist() == [-1] * 3


def test_units_of_a_pair_can_be_said(tmp_path):
    paths = tmp_path / "w-pos-1.xyz", tmp_path / "w-frc-1.xyz"
    for path, text in zip(paths, (POS, FRC), strict=True):
        path.write_text(text)
    frames = read_pair(*paths, "water", length_unit="bohr", force_unit="eV/angstrom")
    np.testing.assert_allclose(frames.positions, PLACES.reshape(-1, 3) * units.Bohr)
    np.testing.assert_allclose(frames.forces, FORCES.reshape(-1, 3), atol=1e-10)
    np.testing.assert_allclose(frames.energy, np.array(ENERGIES) * units.Hartree)


def test_forces_in_a_unit_of_their_own_and_gradients(tmp_path):
    path = extxyz(tmp_path)
    options = {"energy_unit": "hartree", "force_unit": "hartree/bohr"}
    frames = read_file(path, "water", **options)
    force = units.Hartree / units.Bohr
    np.testing.assert_allclose(frames.forces, FORCES.reshape(-1, 3) * force, rtol=1e-6)
    np.testing.assert_allclose(frames.positions, PLACES.reshape(-1, 3))
    np.testing.assert_array_equal(
        read_file(path, "water", gradients=True).forces, -read_file(path, "water").forces
    )
    path.write_text(path.read_text().replace("forces:R:3", "gradients:R:3"))
    with pytest.raises(UserError, match="has no 'forces'; 'gradients' is there: --gradients"):
        read_file(path, "water")
    turned = read_file(path, "water", gradients=True)
    np.testing.assert_allclose(turned.forces, -FORCES.reshape(-1, 3), atol=1e-8)


METHODS = [
    ("cc_energy", None, "dft_forces", True),
    ("cc_energy", "dft_forces", "dft_energy", False),
    ("cc_energy", "dft_forces", None, True),
    ("cc_energy", "cc_forces", "dft_energy", True),
    ("E_cc", "F_cc", "energy", True),
    ("ccsd(t)_cbs.energy", "wb97x_dz.forces", "wb97x_dz.energy", False),
    ("total_energy", "forces", "energy", True),
]


@pytest.mark.parametrize(("energy", "forces", "other", "sound"), METHODS)
def test_two_methods_are_told_by_names(tmp_path, energy, forces, other, sound):
    text = XYZ.replace(" energy=", f' "{energy}"=')
    text = text.replace("pbc=", f'"{other}"=-1.0 pbc=') if other else text
    text = text.replace("forces:R:3", f"{forces}:R:3") if forces else text
    path = tmp_path / "water.xyz"
    path.write_text(text)
    options = {"energy_key": energy, **({"forces_key": forces} if forces else {})}
    if sound:
        assert len(read_file(path, "water", **options)) == M
    else:
        with pytest.raises(UserError, match=r"frame 1, line 2: .* are of two methods"):
            read_file(path, "water", **options)


def test_an_energy_alone_does_not_take_the_forces_of_another(tmp_path):
    path = extxyz(tmp_path, "mp2_energy=-9")
    with pytest.raises(UserError, match="'mp2_energy' and 'forces' are of two methods"):
        read_file(path, "water", energy_key="mp2_energy")
    named = read_file(path, "water", energy_key="mp2_energy", forces_key="forces")
    assert set(named.energy.tolist()) == {-9}


@pytest.mark.parametrize("kind", ["extxyz", "db", "npz", "hdf5", "cp2k"])
def test_incomplete_frames_are_refused_or_left_out_and_counted(tmp_path, kind):
    options: dict[str, Any] = {}
    if kind == "extxyz":
        path = tmp_path / "w.xyz"
        path.write_text(XYZ.replace("0.00960000", "NaN", 1).replace("energy=-5.6 ", "energy=nan "))
    elif kind == "db":
        path = database(tmp_path)
        with connect(path) as rows:
            rows.write(Atoms(WATER, PLACES[0] + 1), data={"energy": np.array([-1.0])})
            rows.write(Atoms(WATER, PLACES[1] + 1), data={"energy": np.nan, "forces": FORCES[0]})
    elif kind == "npz":
        path = array_file(tmp_path, energies=[np.nan, -2, -3, np.inf])
    elif kind == "hdf5":
        path = hdf5(tmp_path, **{"wb97x_dz.energy": [np.inf, -1, -1.1, -1.2]})
    else:
        path, frc = tmp_path / "w-pos-1.xyz", tmp_path / "w-frc-1.xyz"
        path.write_text(POS)
        frc.write_text(FRC.replace("0.0096000000", "************", 1))
        with pytest.raises(UserError, match=r"frc-1.xyz: frame 1, line 4: '\*+'.*--skip-incom"):
            read_pair(path, frc, "water")
        frames = read_pair(path, frc, "water", skip_incomplete=True)
        assert frames.index.tolist() == [1, 2, 3]
        return
    with pytest.raises(UserError, match="--skip-incomplete"):
        read_file(path, "water", **options)
    reading = read(path, "water", Options(skip_incomplete=True))
    total = 6 if kind == "db" else 4
    assert len(reading.frames) == total - 2
    assert reading.notes["left_out"] == [f"2 of {total} geometries have no labels"]
    assert f"2 of {total} geometries have no labels: left out" in bench(
        "import", "mine", str(path), "--skip-incomplete"
    )


def test_energies_that_are_all_zero_are_none(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text(extxyz_text([0.0] * M))
    with pytest.raises(UserError, match="every energy is 0, but the forces are not"):
        read_file(path, "water")
    assert len(read_file(path, "water", unlabelled=True)) == M


@pytest.mark.parametrize("key", ["lattice", "cell", "unitcell", "box"])
def test_a_periodic_array_file_is_refused(tmp_path, key):
    with pytest.raises(UserError, match=f"has '{key}', as periodic systems do"):
        read_file(array_file(tmp_path, **{key: np.eye(3)}), "water")
    with pytest.raises(UserError, match="is periodic"):
        read_file(array_file(tmp_path, **{key: np.eye(3)}, pbc=[True] * 3), "water")
    assert len(read_file(array_file(tmp_path, **{key: np.eye(3)}, pbc=False), "water")) == M
    assert len(read_file(array_file(tmp_path, **{key: np.zeros((3, 3))}), "water")) == M


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('Lattice="9 0 0 0 9 0 0 0 9"', "'Lattice', as periodic systems do"),
        ('Lattice="9 0 0 0 9 0 0 0 9" pbc="T T T"', None),
        ('pbc="F F T"', "is periodic, but has no cell"),
        ('Lattice="9 0 0 0 9 0 0 0 9" pbc="F F F"', None),
        ('Lattice="9 0 0 0 9 0 0 0 9" pbc=[False,False,False]', None),
        ('Lattice="0 0 0 0 0 0 0 0 0"', None),
        ("pbc=perhaps", "'pbc' is 'perhaps'"),
    ],
)
def test_a_cell_has_to_say_that_it_is_none(tmp_path, keys, expected):
    path = tmp_path / "water.xyz"
    path.write_text(XYZ.replace("pbc='F F F'", keys))
    if expected is None:
        assert len(read_file(path, "water")) == M
    else:
        with pytest.raises(UserError, match=f"frame 1, line 2: .*{expected}"):
            read_file(path, "water")
