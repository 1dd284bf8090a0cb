"""A file that is legal is read whole, however it is written, called and packed."""

import bz2
import gzip
import lzma
import re

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.errors import UserError
from deepset_bench.readers.elements import LabelError, element
from tests.readers.dialects import (
    ENERGIES,
    FORCES,
    FRC,
    PLACES,
    POS,
    WATER,
    XYZ,
    A,
    M,
    read_file,
    read_pair,
)

BLANKS = st.text(" \t", min_size=1, max_size=3)
NUMBERS = ["{:.8f}", "{:.12e}", "{:+.6f}", "{!r}", "{:.10E}"]


def assert_water(frames, decimals: int = 6) -> None:
    """Nothing was lost, moved or changed."""
    assert frames.numbers.tolist() == [8, 1, 1] * M
    assert frames.index.tolist() == list(range(M))
    np.testing.assert_allclose(frames.energy, ENERGIES, atol=10**-decimals)
    np.testing.assert_allclose(frames.positions, PLACES.reshape(-1, 3), atol=10**-decimals)
    np.testing.assert_allclose(frames.forces, FORCES.reshape(-1, 3), atol=10**-decimals)


def water_labels(draw) -> list[str]:
    """Oxygen and hydrogen as one program or another calls them."""
    oxygen = draw(st.sampled_from(["O", "o", "8", "O1", "OW", "O_2", "Oxygen"]))
    hydrogen = draw(st.sampled_from(["H", "h", "1", "D", "HW1", "H+", "hydrogen"]))
    return [oxygen, hydrogen, hydrogen]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_extended_xyz_with_any_blanks_labels_and_numbers(tmp_path_factory, data):
    draw = data.draw
    labels, form = water_labels(draw), draw(st.sampled_from(NUMBERS))
    fortran = draw(st.booleans())
    extra = draw(st.sampled_from(["", " note='it is a=b'", ' "a key"={1 2}', " smiles=C=C", " {x"]))
    swapped = draw(st.booleans())
    lines: list[str] = []
    for energy, place, force in zip(ENERGIES, PLACES, FORCES, strict=True):
        lines += [draw(st.sampled_from(["", " ", "\t"]))] * draw(st.integers(0, 1))
        lines.append(draw(st.sampled_from(["3", "  3", "3 ", "\t3"])))
        order = "forces:R:3:species:S:1:pos:R:3" if swapped else "species:S:1:pos:R:3:forces:R:3"
        keys = [f"Properties={order}", f"energy={form.format(energy)}", 'pbc="F F F"']
        lines.append(draw(BLANKS).join(draw(st.permutations(keys))) + extra)
        for label, x, f in zip(labels, place, force, strict=True):
            row = [label, *map(form.format, x.tolist()), *map(form.format, f.tolist())]
            row = [*row[4:], *row[:4]] if swapped else row
            lines.append(draw(st.sampled_from(["", " "])) + draw(BLANKS).join(row))
    text = "\n".join(lines)
    if fortran:
        text = re.sub(r"(\d)[eE]([-+]\d)", r"\1D\2", text)
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    text += draw(st.sampled_from(["\n", "\n\n  \n", "\r\n"]))
    path = tmp_path_factory.mktemp("xyz") / draw(st.sampled_from(["w.xyz", "w.XYZ", "w", "w.npz"]))
    path.write_bytes(text.encode(draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))))
    assert_water(read_file(path, "water"), 4 if form == "{:+.6f}" else 6)


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6),
    st.booleans(),
    # ASE does not escape a backslash, so one before a quote changes what the quote means.
    st.text(
        st.characters(codec="ascii", exclude_categories=["C"], exclude_characters="\\"), max_size=12
    ),
    st.lists(st.floats(-9, 9), min_size=2, max_size=6),
)
NAMES = st.text("abcdefgxyz_", min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(info=st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_ase_writes_into_the_second_line_is_no_matter(tmp_path_factory, info):
    frames = []
    for energy, place, force in zip(ENERGIES, PLACES, FORCES, strict=True):
        atoms = Atoms(WATER, place)
        atoms.info |= {f"my_{key}": value for key, value in info.items()}
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=force)
        frames.append(atoms)
    path = tmp_path_factory.mktemp("ase") / "water.extxyz"
    ase.io.write(path, frames)
    assert_water(read_file(path, "water"))


@pytest.mark.parametrize("name", ["w.xyz", "w.XYZ", "w.extxyz", "w.txt", "w", "w.traj", "w.h5"])
@pytest.mark.parametrize(
    "pack", [bytes, lzma.compress, gzip.compress, bz2.compress], ids=["plain", "xz", "gz", "bz2"]
)
def test_a_name_means_nothing(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(XYZ.encode()))
    assert_water(read_file(path, "water"))


@pytest.mark.parametrize("name", ["w.xyz", "w"])
@pytest.mark.parametrize("cut", [1, 3, 6, 9])
def test_a_last_number_cut_short_is_noticed_and_a_whole_one_read(tmp_path, name, cut):
    path = tmp_path / name
    path.write_text(XYZ.rstrip("\n"))
    assert_water(read_file(path, "water"))
    path.write_text(XYZ.rstrip("\n")[:-cut])
    with pytest.raises(UserError, match=r"frame 4, line 20: .*--frames 1-3"):
        read_file(path, "water")


def extxyz_of_cp2k(text: str, pbc: str = "F F F") -> str:
    """The same trajectory as `FORMAT EXTXYZ` prints it."""
    line = r"i = +(\d+), time = +([0-9.]+), E = +([-0-9.]+)"
    head = f'Lattice="9.0 0.0 0.0 0.0 9.0 0.0 0.0 0.0 9.0" pbc="{pbc}" '
    return re.sub(
        f" {line}", rf"{head}Properties=species:S:1:pos:R:3 Step=\1 Time=\2 Energy=\3", text
    )


def test_both_formats_of_cp2k_are_the_same(tmp_path):
    frames = []
    for kind, change in (("classic", str), ("extended", extxyz_of_cp2k)):
        paths = tmp_path / f"{kind}-pos-1.xyz", tmp_path / f"{kind}-frc-1.xyz"
        for path, text in zip(paths, (POS, FRC), strict=True):
            path.write_text(change(text))
        frames.append(read_pair(*paths, "water"))
    for field in ("numbers", "positions", "energy", "forces", "index"):
        np.testing.assert_array_equal(getattr(frames[0], field), getattr(frames[1], field))
    paths[1].write_text(extxyz_of_cp2k(FRC, "T T T"))
    with pytest.raises(UserError, match=r"frc-1.xyz: frame 1, line 2: is periodic"):
        read_pair(*paths, "water")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_cp2k_with_kinds_for_elements(tmp_path_factory, data):
    labels = water_labels(data.draw)
    folder = tmp_path_factory.mktemp("cp2k")
    paths = folder / "w-pos-1.xyz", folder / "w-frc-1.xyz"
    for path, text in zip(paths, (POS, FRC), strict=True):
        text = text.replace("  O ", f" {labels[0]} ").replace("  H ", f" {labels[1]} ")
        path.write_text(text.rstrip("\n") + data.draw(st.sampled_from(["", "\n", "\n\n"])))
    frames = read_pair(*paths, "water")
    assert frames.numbers.tolist() == [8, 1, 1] * M


@pytest.mark.parametrize(
    ("label", "number"),
    [
        *(("C1", 6), ("C_a", 6), ("cl", 17), ("CL", 17), ("Cl2", 17), ("BR", 35), ("6", 6)),
        *(("Ca", 20), ("D", 1), ("T", 1), ("OW", 8), ("Fe3", 26), ("li", 3), ("sodium", 11)),
        *(("119", None), ("No", 102), ("Qq", None), ("C" * 99, None), ("", None), ("-", None)),
        *(("Xe", 54), ("Xe1", 54), ("xenon", 54), ("H_bg", 1), ("C-gauche", 6), ("B", 5)),
    ],
)
def test_labels_and_their_elements(label, number):
    assert element(label) == number


GHOSTS = [
    "H:",
    "H@",
    "@H",
    "H-Bq",
    "H_Bq",
    "H(Bq)",
    "H_ghost",
    "C1:",
    "Cl:",
    "O1-gh2",
    "Gh(H)",
    "GhO",
]
GHOSTS += [
    "X",
    "Xx",
    "XX",
    "Bq",
    "bq1",
    "BqO",
    "Gh",
    "ghost",
    "dummy",
    "Du",
    "0",
    "X1",
    "X-H",
    "X_a",
]


@pytest.mark.parametrize("label", GHOSTS)
def test_ghost_and_dummy_atoms_are_no_atoms(tmp_path, label):
    path = tmp_path / "w.xyz"
    path.write_text(XYZ.replace("O ", f"{label} "))
    with pytest.raises(UserError, match=r"frame 1, line 3: .* ghost or dummy atom") as caught:
        read_file(path, "water")
    assert "--elements" not in str(caught.value)
    assert f"'{label}'" in str(caught.value)


@pytest.mark.parametrize("label", ["CA", "ca", "NA", "HE2", "os", "CAB"])
def test_what_may_be_two_elements_is_said_by_a_person(tmp_path, label):
    with pytest.raises(LabelError, match=f"--elements {label}="):
        element(label)
    path = tmp_path / "w.xyz"
    path.write_text(XYZ.replace("O ", f"{label} "))
    with pytest.raises(UserError, match=f"line 3: '{label}' may be .*--elements {label}="):
        read_file(path, "water")
    assert_water(read_file(path, "water", elements=f"{label}=O"))


def test_species_and_atomic_numbers_that_contradict_are_refused(tmp_path):
    both = XYZ.replace("species:S:1", "species:S:1:Z:I:1").replace("O ", "O 8 ")
    path = tmp_path / "w.xyz"
    path.write_text(both.replace("H ", "H 1 "))
    assert_water(read_file(path, "water"))
    path.write_text(both.replace("H ", "H 1 ", 1).replace("H 0", "H 2 0").replace("H -", "H 1 -"))
    with pytest.raises(UserError, match="species and Z are different elements"):
        read_file(path, "water")


def test_there_are_as_many_rows_as_atoms():
    assert XYZ.count("\n") == M * (A + 2)
