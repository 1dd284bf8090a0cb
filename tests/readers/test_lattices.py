"""Periodic frames: cells, stress and virials of extended XYZ, ASE's files and LAMMPS dumps."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.units import Bohr, GPa, Hartree

from deepset_bench.errors import UserError
from deepset_bench.readers import read
from deepset_bench.readers.options import Options

LATTICE = np.array([[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.5, -0.5, 6.0]])
VOIGT = np.array([0.01, 0.02, 0.03, 0.004, 0.005, 0.006])
STRESS = np.array([[0.01, 0.006, 0.005], [0.006, 0.02, 0.004], [0.005, 0.004, 0.03]])
VOLUME = 120.0


def words(array) -> str:
    return " ".join(f"{x:.12g}" for x in np.ravel(array))


def text(keys: str, energy: str = "energy=-1.5") -> str:
    return (
        f"2\nProperties=species:S:1:pos:R:3:forces:R:3 {energy} {keys}\n"
        "Ar 0.0 0.0 0.0 0.1 0.0 0.0\nAr 1.9 1.8 3.1 -0.1 0.0 0.0\n"
    )


CELL = f'Lattice="{words(LATTICE)}" pbc="T T T"'


def read_text(tmp_path, content: str, **options):
    path = tmp_path / "crystal.xyz"
    path.write_text(content)
    return read(path, "crystal", Options(**options))


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        (f'stress="{words(STRESS)}"', {}),
        (f'stress="{words(VOIGT)}"', {}),
        (f'virial="{words(-VOLUME * STRESS)}"', {}),
        (f'virials="{words(-VOLUME * STRESS)}"', {}),
        (f'stress="{words(STRESS / GPa)}" stress_unit=GPa', {}),
        (f'stress="{words(STRESS / GPa)}"', {"stress_unit": "gpa"}),
        (f'stress="{words(10 * STRESS / GPa)}" stress_unit=GPa', {"stress_unit": "kbar"}),
        (f'stress="{words(STRESS)}" stress_unit="eV/A^3"', {}),
    ],
)
def test_stress_is_what_ase_calls_it(tmp_path, keys, options):
    frames = read_text(tmp_path, text(f"{CELL} {keys}"), **options).frames
    np.testing.assert_allclose(frames.stress[0], STRESS, rtol=1e-10)
    np.testing.assert_allclose(frames.cell[0], LATTICE)
    assert frames.pbc.all()


def test_units_of_a_file_are_those_of_its_cell(tmp_path):
    small = STRESS / 100
    content = text(f'{CELL} stress="{words(small)}"')
    reading = read_text(tmp_path, content, energy_unit="hartree", length_unit="bohr")
    np.testing.assert_allclose(reading.frames.cell[0], LATTICE * Bohr)
    np.testing.assert_allclose(reading.frames.stress[0], small * Hartree / Bohr**3)
    assert reading.notes["units"]["stress"] == "hartree/bohr^3 (energy / length^3)"
    content = content.replace("stress=", "virial=")
    reading = read_text(tmp_path, content, energy_unit="hartree", length_unit="bohr")
    np.testing.assert_allclose(reading.frames.stress[0], -small * Hartree / VOLUME / Bohr**3)


def test_stress_is_of_the_method_of_the_energy(tmp_path):
    keys = f'{CELL} stress="{words(STRESS)}" REF_stress="{words(2 * STRESS)}" REF_energy=-2'
    content = text(keys)
    frames = read_text(tmp_path, content).frames
    np.testing.assert_allclose(frames.stress[0], STRESS)
    frames = read_text(
        tmp_path,
        content.replace(":forces:", ":REF_forces:"),
        energy_key="REF_energy",
        forces_key="REF_forces",
    ).frames
    np.testing.assert_allclose(frames.stress[0], 2 * STRESS)


@pytest.mark.parametrize("gap", ["None", "nan", "null"])
def test_a_stress_that_says_there_is_none_is_none(tmp_path, gap):
    assert read_text(tmp_path, text(f"{CELL} stress={gap}")).frames.stress is None


def test_a_slab_and_a_molecule_beside_a_crystal(tmp_path):
    """Frames without stress have none; the cell of an isolated molecule is forgotten."""
    parts = [
        text(f'{CELL} stress="{words(STRESS)}"'),
        text(CELL.replace("T T T", "T T F")),
        text(CELL.replace("T T T", "F F F") + ' stress="1 2 3 4 5 6"'),
    ]
    frames = read_text(tmp_path, "".join(parts)).frames
    assert frames.pbc.tolist() == [[True] * 3, [True, True, False], [False] * 3]
    assert np.isnan(frames.stress[1:]).all()
    assert frames.volume.tolist() == pytest.approx([VOLUME, VOLUME, 0.0])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('pbc="T T T"', "is periodic, but has no cell"),
        ('pbc="T T" Lattice="9 0 0 0 9 0 0 0 9"', "'pbc' has 2 values"),
        ('pbc="T T T" Lattice="0 0 0 0 0 0 0 0 0"', "span no volume"),
        ('pbc="T T T" Lattice="9 0 0 9 0 0 0 0 9"', "span no volume"),
        ('pbc="T T T" Lattice="9 0 0 0"', "expected three vectors"),
        ('pbc="T T T" Lattice="cubic"', "expected three vectors"),
        (f'Lattice="{words(LATTICE)}"', '\'Lattice\', as periodic .* pbc="T T T" .* pbc="F F F"'),
        (f'{CELL} stress="1 2 3"', "'stress' has 3 numbers, expected nine, or six"),
        (f"{CELL} stress=low", "'stress' has 'low', expected nine, or six"),
        (f'{CELL} stress="{words(STRESS / GPa)}" stress_unit=psi', "unit of stress is 'psi'"),
        (f'{CELL} stress="{words(2e3 * VOIGT)}"', "60 eV/angstrom.3 is 9,613 GPa.*--stress-unit"),
    ],
)
def test_impossible_cells_are_one_line(tmp_path, keys, expected):
    with pytest.raises(UserError, match=f"frame 1, line 2: .*{expected}") as caught:
        read_text(tmp_path, text(keys))
    assert "\n" not in str(caught.value)


def test_atoms_on_top_of_each_other_across_a_face(tmp_path):
    content = text(CELL).replace("Ar 1.9 1.8 3.1", f"Ar {words(LATTICE[0] - 0.1)}")
    with pytest.raises(UserError, match="angstrom from another atom"):
        read_text(tmp_path, content)


def test_an_unknown_unit_of_stress():
    with pytest.raises(UserError, match=r"unknown stress unit 'psi'; valid: eV/angstrom\^3, GPa"):
        Options(stress_unit="psi")


@pytest.mark.parametrize("suffix", ["traj", "db", "extxyz"])
def test_what_ase_writes(tmp_path, suffix):
    atoms = Atoms("Ar2", [[0, 0, 0], [1.9, 1.8, 3.1]], cell=LATTICE, pbc=(True, True, False))
    forces = np.array([[0.1, 0, 0], [-0.1, 0, 0]])
    atoms.calc = SinglePointCalculator(atoms, energy=-1.5, forces=forces, stress=VOIGT)
    path = tmp_path / f"crystal.{suffix}"
    write(path, atoms)
    frames = read(path, "crystal", Options()).frames
    np.testing.assert_allclose(frames.cell[0], LATTICE)
    assert frames.pbc.tolist() == [[True, True, False]]
    np.testing.assert_allclose(frames.stress[0], STRESS)


def dump(bounds: str) -> str:
    return (
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\n"
        f"ITEM: BOX BOUNDS {bounds}\n"
        "ITEM: ATOMS id element x y z fx fy fz\n"
        "1 Ar 0.0 0.0 0.0 0.1 0.0 0.0\n2 Ar 1.9 1.8 3.1 -0.1 0.0 0.0\n"
    )


@pytest.mark.parametrize(
    ("bounds", "pbc", "cell"),
    [
        ("pp ff pp\n-1 3\n0 5\n0 6", [True, False, True], np.diag([4.0, 5.0, 6.0])),
        # Bounds of the box around the cell: x from min(0, 1, 0.5, 1.5) to 4 + 1.5, and so on.
        ("xy xz yz pp pp pp\n0 5.5 1\n-0.5 5 0.5\n0 6 -0.5", [True] * 3, LATTICE),
        ("abc origin pp pp pp\n4 0 0 0\n1 5 0 0\n0.5 -0.5 6 0", [True] * 3, LATTICE),
        ("ff ff ff\n0 4\n0 5\n0 6", [False] * 3, np.zeros((3, 3))),
    ],
)
def test_boxes_of_lammps(tmp_path, bounds, pbc, cell):
    path = tmp_path / "crystal.dump"
    path.write_text(dump(bounds))
    frames = read(path, "crystal", Options(), unlabelled=True).frames
    assert frames.pbc.tolist() == [pbc]
    np.testing.assert_allclose(frames.cell[0], cell)
