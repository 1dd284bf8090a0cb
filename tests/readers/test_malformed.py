"""Damaged files: each is one line that says where, or read right; none is read wrongly in silence.

Every case goes through `bench data import`, and leaves nothing behind.
"""

import gzip
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from deepset_bench.cli.data_group import app
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.readers import sources
from tests.readers.dialects import (
    CHAIN,
    ENERGIES,
    FORCES,
    FRC,
    PLACES,
    POS,
    SPRINGS,
    WATER,
    XYZ,
    A,
    M,
    ani1,
    ani1x,
    cp2k_text,
    extxyz_text,
    md17,
    npz,
    read_file,
    read_pair,
    rmd17,
    write_hdf5,
)

Content = str | bytes
HARTREE = 27.211386


def line(number: int, new: str) -> Callable[[str], str]:
    """Replace a line, counted from 1."""

    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        lines[number - 1] = new
        return "".join(lines)

    return edit


def both(edit: Callable[[str], str]) -> tuple[str, str]:
    return edit(POS), edit(FRC)


def refused(folder: Path, *words: str) -> str:
    """The one line of `bench data import`, which must leave nothing."""
    result = CliRunner().invoke(app, ["import", "water", *words])
    assert isinstance(result.exception, UserError), result.output
    message = str(result.exception)
    assert "\n" not in message
    assert str(folder) in message
    assert not (folder / "data home").exists()
    return message


def check(message: str, folder: Path, expected: list[str]) -> None:
    for part in expected:
        assert part in message.replace(str(folder), "")


def periodic(lattice: str, scale: float) -> str:
    """The first frame of water in a cell, its positions multiplied."""
    head = (
        f'3\nLattice="{lattice}" pbc="T T T" energy=-1 Properties=species:S:1:pos:R:3:forces:R:3\n'
    )
    rows = [" ".join(map(str, [*row, 0, 0, 0])) for row in PLACES[0] * scale]
    return head + "".join(f"{a} {row}\n" for a, row in zip(WATER, rows, strict=True))


# Frame m of a CP2K file has lines 5 m - 4 (count), 5 m - 3 (comment) and three of atoms.
COMMENT_2 = " i = 100, time = 20.000, E = {}\n"
PAIRS: dict[str, tuple[Content, Content, list[str]]] = {
    "empty": (b"", FRC, ["pos", "empty"]),
    "blank": ("\n \n", FRC, ["pos", "empty"]),
    "binary": (bytes(range(256)) * 9, FRC, ["pos", "line 1", "binary"]),
    "nul byte": (POS.replace("0.0100", "0.0\x000", 1), FRC, ["pos", "line 8", "control"]),
    "latin-1": (POS.encode().replace(b"O", b"\xd6", 1), FRC, ["pos", "line 3", "Ö"]),
    "old Macintosh line ends": (POS.replace("\n", "\r"), FRC, ["pos", "line 1"]),
    "gzip cut short": (gzip.compress(POS.encode())[:-9], FRC, ["pos", "cut short"]),
    "xz cut short": (lzma.compress(POS.encode())[:-9], FRC, ["pos", "cut short"]),
    "damaged gzip": (gzip.compress(POS.encode())[:-8] + b"damaged!", FRC, ["pos", "cannot be"]),
    "not a trajectory": ("hello\n" + POS, FRC, ["pos", "frame 1", "line 1", "hello"]),
    "one line": ("3", FRC, ["pos", "frame 1", "line 1"]),
    "no atoms": (line(1, "0\n")(POS), FRC, ["pos", "frame 1", "line 1"]),
    "negative count": (line(1, "-3\n")(POS), FRC, ["pos", "frame 1", "line 1"]),
    "count too large": (line(1, "4\n")(POS), FRC, ["pos", "frame 1", "line 6"]),
    "count too small": (line(1, "2\n")(POS), FRC, ["pos", "frame 2", "line 5"]),
    "huge count": (line(1, "999999999\n")(POS), FRC, ["pos", "frame 1", "line 6"]),
    "count beyond measure": (line(1, f"{10**30}\n")(POS), FRC, ["pos", "frame 1", "line 1"]),
    "another count": (line(6, "4\n")(POS), FRC, ["pos", "frame 2", "line 6"]),
    "ends after the count": (POS + "3\n", FRC, ["pos", "frame 5", "line 21", "1-4"]),
    "ends between atoms": (POS[:-63], FRC, ["pos", "frame 4", "line 19", "1-3"]),
    "ends within a number": (POS[:-4], FRC, ["pos", "frame 4", "line 20", "1-3"]),
    "line missing": (line(8, "")(POS), FRC, ["pos", "frame 2", "line 10"]),
    "line twice": (line(8, "O 0 0 0\nO 0 0 0\n")(POS), FRC, ["pos", "frame 2", "line 9"]),
    "blank line": (line(8, "\n")(POS), FRC, ["pos", "frame 2", "line 8"]),
    "three columns": (line(8, "O 0 0\n")(POS), FRC, ["pos", "frame 2", "line 8"]),
    "five columns": (line(8, "O 0 0 0 0\n")(POS), FRC, ["pos", "frame 2", "line 8"]),
    "touching columns": (line(8, "O 0.5-10.5 0\n")(POS), FRC, ["pos", "frame 2", "line 8"]),
    "word": (line(8, "O 0 zero 0\n")(POS), FRC, ["pos", "frame 2", "line 8", "zero"]),
    "overflow": (line(8, "O 0 ******* 0\n")(POS), FRC, ["pos", "frame 2", "line 8", "***"]),
    "NaN": (POS, line(9, "H 0 NaN 0\n")(FRC), ["frc", "frame 2", "line 9", "NaN"]),
    "infinity": (POS, line(9, "H 0 -inf 0\n")(FRC), ["frc", "frame 2", "line 9", "-inf"]),
    "no float64": (POS, line(9, "H 0 1e999 0\n")(FRC), ["frc", "frame 2", "line 9", "1e999"]),
    "beyond all": (
        POS,
        line(9, "H 0 1e200 0\n")(FRC),
        ["frc", "frame 2, line 9: 'forces' of 1e+200"],
    ),
    "underscore": (line(8, "O 0 1_0 0\n")(POS), FRC, ["pos", "frame 2", "line 8", "1_0"]),
    "Fortran exponent": (line(8, "O 0 1.0D 0\n")(POS), FRC, ["pos", "line 8", "1.0D"]),
    "decimal comma": (line(8, "O 0 1,0 0\n")(POS), FRC, ["pos", "frame 2", "line 8", "1,0"]),
    "unknown element": (line(3, "Qq 0 0 0\n")(POS), FRC, ["pos", "frame 1", "line 3", "Qq"]),
    "dummy atom": (line(3, "X 0 0 0\n")(POS), FRC, ["pos", "frame 1", "line 3", "'X'"]),
    "ambiguous kind": (line(3, "CA 0 0 0\n")(POS), FRC, ["line 3", "Ca", "--elements CA=Ca"]),
    "element changes": (line(8, "N 0 0 0\n")(POS), FRC, ["pos", "frame 2", "line 8", "'N'"]),
    "no energy": (line(7, "i = 100, time = 20.0\n")(POS), FRC, ["pos", "line 7", "no energy"]),
    "no comment": (line(7, "\n")(POS), FRC, ["pos", "frame 2", "line 7", "no energy"]),
    "energy NaN": (*both(line(7, COMMENT_2.format("nan"))), ["pos", "frame 2", "line 7", "nan"]),
    "energy stars": (*both(line(7, COMMENT_2.format("***"))), ["pos", "frame 2", "line 7"]),
    "no step": (line(7, "time = 20.0, E = -5.6\n")(POS), FRC, ["pos", "frame 2", "line 7"]),
    "joined runs": (POS + POS, FRC + FRC, ["pos", "frame 5", "line 22", "joined", "1-4"]),
    "frame twice": (
        POS[: len(POS) // 2] + POS[len(POS) // 4 :],
        FRC[: len(FRC) // 2] + FRC[len(FRC) // 4 :],
        ["pos", "frame 3", "line 12", "step 100 follows step 100"],
    ),
    "another energy": (POS, line(7, COMMENT_2.format("-5"))(FRC), ["frc", "frame 2", "line 7"]),
    "another step": (POS, FRC.replace("100,", "101,"), ["frc", "frame 2", "line 7", "101"]),
    "shorter partner": (POS, FRC[: len(FRC) // 2], ["frc", "after frame 2", "1-2"]),
    "other molecule": (
        POS,
        cp2k_text(["O", "H"], np.zeros((4, 2, 3)), ENERGIES),
        ["frc", "frame 1", "line 1", "2 atoms"],
    ),
    "other element": (POS, FRC.replace(" H ", " F "), ["frc", "frame 1", "line 4", "'F'"]),
    "other order": (
        POS,
        cp2k_text(["H", "O", "H"], PLACES, ENERGIES),
        ["frc", "frame 1", "line 3", "'H'"],
    ),
    "same elements in other order": (
        cp2k_text(list("CHHHH"), CHAIN, ENERGIES),
        cp2k_text(list("CHHHH"), SPRINGS[:, [0, 1, 4, 3, 2]], ENERGIES),
        ["frc", "frame 1", "line 1", "in that order"],
    ),
    "files exchanged": (FRC, POS, ["pos", "frame 1", "line 3", "exchanged"]),
    "one file twice": (POS, POS, ["frc", "frame 1", "the same numbers"]),
    "atoms on top of each other": (line(9, "H 0.01 0.01 0.01\n")(POS), FRC, ["frame 2", "line 8"]),
    "position beyond measure": (line(9, "H 1e30 0 0\n")(POS), FRC, ["pos", "frame 2", "line 9"]),
    "force beyond measure": (POS, line(9, "H 1e30 0 0\n")(FRC), ["frc", "frame 2", "line 9"]),
    "energies in two units": (
        *(
            cp2k_text(WATER, vectors, [*ENERGIES[:2], *(HARTREE * e for e in ENERGIES[2:])])
            for vectors in (PLACES, FORCES)
        ),
        ["pos", "frame 3", "line 12", "another unit"],
    ),
    "positions in two units": (
        cp2k_text(WATER, PLACES * np.array([1, 1, 1, 1.8897])[:, None, None], ENERGIES),
        FRC,
        ["pos", "frame 4", "line 17", "another unit"],
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_cp2k_pairs(tmp_path, case):
    pos, frc, expected = PAIRS[case]
    paths = tmp_path / "w-pos-1.xyz", tmp_path / "w-frc-1.xyz"
    for path, content in zip(paths, (pos, frc), strict=True):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refused(tmp_path, "--positions", str(paths[0]), "--forces", str(paths[1]))
    check(message, tmp_path, expected)


# Frame m of this extended XYZ also has lines 5 m - 4 (count), 5 m - 3 (comment), three of atoms.
HEAD = "Properties=species:S:1:pos:R:3:forces:R:3"
FILES: dict[str, tuple[Content, list[str]]] = {
    "empty": (b"", ["empty"]),
    "binary": (bytes(range(256)) * 9, ["line 1", "binary"]),
    "control character": (XYZ.replace("0.01", "0.\x0101", 1), ["line 8", "control"]),
    "latin-1": (XYZ.encode().replace(b"energy", b"\xe9nergie", 1), ["line 2", "énergie"]),
    "garbage": ("garbage\n", ["frame 1", "line 1", "garbage"]),
    "no atoms": (line(1, "0\n")(XYZ), ["frame 1", "line 1"]),
    "count too large": (line(1, "4\n")(XYZ), ["frame 1", "line 6", "7 columns"]),
    "count too small": (line(1, "2\n")(XYZ), ["frame 2", "line 5", "number of atoms"]),
    "huge count": (line(1, "999999999\n")(XYZ), ["frame 1", "line 6"]),
    "cut in a line": (XYZ[:-20], ["frame 4", "line 20", "1-3"]),
    "cut in the last number": (XYZ[:-3], ["frame 4", "line 20", "1-3"]),
    "cut between atoms": ("".join(XYZ.splitlines(True)[:-1]), ["frame 4", "line 19", "1-3"]),
    "cut after the count": (XYZ + "3\n", ["frame 5", "line 21", "1-4"]),
    "cut within the count": (XYZ + "3", ["frame 5", "line 21", "1-4"]),
    "blank line between atoms": (line(9, "\n")(XYZ), ["frame 2", "line 9"]),
    "line missing": (line(8, "")(XYZ), ["frame 2", "line 10"]),
    "line twice": (line(9, "H 1 0 0 0 0 0\n" * 2)(XYZ), ["frame 3", "line 11", "1-1"]),
    "column missing": (line(9, "H 1 0 0 0 0\n")(XYZ), ["frame 2", "line 9", "7 columns"]),
    "column too many": (line(9, "H 7 1 0 0 0 0 0\n")(XYZ), ["frame 2", "line 9", "7 columns"]),
    "touching columns": (line(9, "H 1.5-10.5 0 0 0 0\n")(XYZ), ["frame 2", "line 9"]),
    "word": (line(9, "H x 0 0 0 0 0\n")(XYZ), ["frame 2", "line 9", "'x'"]),
    "decimal comma": (line(9, "H 1,5 0 0 0 0 0\n")(XYZ), ["frame 2", "line 9", "'1,5'"]),
    "NaN position": (line(9, "H NaN 0 0 0 0 0\n")(XYZ), ["frame 2", "line 9", "NaN"]),
    "infinite force": (line(9, "H 1 0 0 0 inf 0\n")(XYZ), ["frame 2", "line 9", "inf"]),
    "NaN energy": (line(7, f"{HEAD} energy=nan\n")(XYZ), ["frame 2", "line 7", "'energy'"]),
    "energy is a word": (
        line(7, f"{HEAD} energy=low\n")(XYZ),
        ["frame 2", "line 7", "not a number but 'low'; correct it"],
    ),
    "force beyond all": (
        line(9, "H 1 0 0 0 1e300 0\n")(XYZ),
        ["frame 2, line 9, atom 2: 'forces' of 1e+300 is beyond any molecule (--skip"],
    ),
    "ORCA": (
        "1\nCoordinates from ORCA-job water E -115.5\nH 0 0 0\n",
        ["frame 1, line 2: has no 'energy'; the second line is 'Coordinates", "energy=-115.5"],
    ),
    "xtb": (
        "1\n energy: -115.5 gnorm: 0.000312 xtb: 6.5.1\nH 0 0 0\n",
        ["frame 1, line 2: has no 'energy'", "energy=-115.5 and say its unit, as --energy-unit h"],
    ),
    "two energies": (
        "1\nenergy: -115.5 E -114.2\nH 0 0 0\n",
        ["has no 'energy'; compute energies and forces with --relabel gfn1, or leave"],
    ),
    "sGDML": (
        "1\n-115.5\nH 0 0 0 0 0 0\n",
        ["frame 1, line 2", "write energy=... and Properties=species:S:1:pos:R:3:forces:R:3 here"],
    ),
    "what may be an energy": (
        "1\nE=-5 note=low step=3 list=[1,2]\nH 0 0 0\n",
        ["frame 1, line 2: has no 'energy'; valid: E, step (choose with --energy-key, compute"],
    ),
    "energy without a value": (line(7, f"{HEAD} energy\n")(XYZ), ["frame 2", "line 7"]),
    "energy with a comma": (line(7, f"{HEAD} energy=-5,6\n")(XYZ), ["frame 2", "line 7"]),
    "energy twice": (
        line(7, f"{HEAD} energy=-5.6 energy=-7\n")(XYZ),
        ["frame 2", "line 7", "'energy' is given twice"],
    ),
    "no energy": (line(7, f"{HEAD}\n")(XYZ), ["frame 2", "line 7", "energy", "--relabel"]),
    "no forces": (
        XYZ.replace(":forces:", ":velo:"),
        ["frame 1", "line 2", "'forces'", "--forces-key"],
    ),
    "broken Properties": (line(7, "Properties=species:S:1:pos:R energy=1\n")(XYZ), ["line 7"]),
    "Properties without positions": (
        line(7, "Properties=species:S:1:dir:R:3:forces:R:3 energy=1\n")(XYZ),
        ["frame 2", "line 7", "pos:R:3, but with 'species:S:1:dir:R:3:forces:R:3'"],
    ),
    "unknown element": (line(9, "Qq 1 0 0 0 0 0\n")(XYZ), ["frame 2", "line 9", "Qq"]),
    "dummy atom": (line(9, "X 1 0 0 0 0 0\n")(XYZ), ["frame 2", "line 9", "'X'"]),
    "periodic": (line(7, f"{HEAD} energy=-5.6 pbc='T T T'\n")(XYZ), ["frame 2", "periodic"]),
    "bias of one frame": (
        line(7, f"{HEAD}:bias_forces:R:3 energy=-5.6\n")(XYZ),
        ["frame 2", "line 8", "10 columns"],
    ),
    "CP2K": (POS, ["frame 1", "line 2", "--positions"]),
    "atoms on top of each other": (
        line(9, "H 0.01 0.01 0.01 0 0 0\n")(XYZ),
        ["frame 2", "line 8", "atom 1: lies in the place of another atom"],
    ),
    "atoms close to each other": (
        line(9, "H 0.01 0.01 0.11 0 0 0\n")(XYZ),
        ["frame 2", "line 8", "atom 1: 0.100 angstrom from", "another unit"],
    ),
    "an atom twice": (
        "".join(XYZ.splitlines(True)[:5]).replace("3\n", "4\n", 1) + XYZ.splitlines(True)[4],
        ["frame 1, line 5, atom 3: lies in the place of another atom; is its line there twice?"],
    ),
    "short cell": (periodic("0.1 0 0 0 9 0 0 0 9", 1.0), ["a vector of the cell is 0.1 angstrom"]),
    "fractional": (periodic("9 0 0 0 9 0 0 0 9", 0.1), ["frame 1, line 3", "as fractional coord"]),
    "position beyond measure": (line(9, "H 1e9 0 0 0 0 0\n")(XYZ), ["frame 2", "atom 2", "1e+09"]),
    "force beyond measure": (line(9, "H 1 0 0 1e9 0 0\n")(XYZ), ["frame 2", "atom 2", "forces"]),
    "energies in two units": (
        extxyz_text([*ENERGIES[:2], *(HARTREE * e for e in ENERGIES[2:])]),
        ["frame 3", "line 12", "26.97 times"],
    ),
    "positions in two units": (
        extxyz_text(places=PLACES * np.array([1, 1.8897, 1, 1])[:, None, None]),
        ["frame 2", "line 7", "distances"],
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_extended_xyz(tmp_path, case):
    content, expected = FILES[case]
    path = tmp_path / "water.xyz"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    check(refused(tmp_path, str(path)), tmp_path, expected)


def changed(key: str, value: Any, arrays: Callable[[], dict] = rmd17) -> dict[str, np.ndarray]:
    """A file's arrays with one replaced, or removed for None; a function changes the old one."""
    out = arrays()
    new = value(out[key]) if callable(value) else value
    return {k: v for k, v in (out | {key: new}).items() if v is not None}


def put(at: tuple[int, ...], value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[at] = value
        return array

    return change


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, XYZ)
    return stream.getvalue()


def tarred(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(XYZ)
        archive.addfile(member, io.BytesIO(XYZ.encode()))
    return stream.getvalue()


@pytest.mark.parametrize("name", ["run.tar", "run.tar.gz", "run.xyz.tar.gz"])
def test_archives_are_to_be_unpacked(tmp_path, name):
    path = tmp_path / name
    content = tarred("run.xyz")
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert "is a tar archive; unpack it and give the files in it" in refused(tmp_path, str(path))


ARRAYS: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["npz"]),
    "cut short": (npz(rmd17())[:-30], ["npz", "copy"]),
    "garbage": (b"PK\x03\x04 garbage", ["npz", "copy"]),
    "no arrays": (npz({}), ["no arrays", "coords and nuclear_charges (rMD17)", "R and z (MD17)"]),
    "other arrays": (npz({"x": np.zeros(3)}), ["has x", "R and z"]),
    "Python objects": (
        npz(changed("coords", lambda a: a.astype(object))),
        ["npz: 'coords' holds Python objects", "save it as an array of numbers"],
    ),
    "no energies": (npz(changed("energies", None)), ["'energies'", "--energy-key"]),
    "no forces": (npz(changed("F", None, md17)), ["'F'", "--forces-key", "--relabel"]),
    "fewer energies": (npz(changed("energies", lambda a: a[:-1])), ["'energies'", "(3,)", "(4,)"]),
    "forces of other atoms": (
        npz(changed("forces", lambda a: a[:, :2])),
        ["'forces'", "(4, 2, 3)"],
    ),
    "positions in a plane": (npz(changed("coords", lambda a: a[..., :2])), ["'coords'"]),
    "one geometry": (
        npz({**md17(), "R": PLACES[0], "E": np.array(-1.0), "F": FORCES[0]}),
        ["'R' has shape (3, 3), expected (geometries, 3, 3); write one geometry as such"],
    ),
    "nanometres": (
        npz(md17() | {"r_unit": np.array("nm")}),
        ["'r_unit' says nm, which", "convert it, 1 nm being 10 angstrom"],
    ),
    "zip of a file": (zipped("run.xyz"), ["is a zip archive with run.xyz", "unpack it"]),
    "one axis": (npz(changed("coords", lambda a: a.ravel())), ["'coords'"]),
    "words": (npz(changed("energies", np.array(list("abcd")))), ["'energies'", "not a number"]),
    "NaN": (npz(changed("forces", put((2, 1, 0), np.nan))), ["frame 3", "'forces'", "not finite"]),
    "infinity": (npz(changed("energies", put((1,), np.inf))), ["frame 2", "'energies'"]),
    "ghost": (npz(changed("nuclear_charges", put((1,), 0))), ["'nuclear_charges'", "0", "ghost"]),
    "element 200": (npz(changed("z", put((1,), 200), md17)), ["'z'", "200"]),
    "charges of every frame": (
        npz(changed("z", lambda a: np.tile(a, (4, 1)), md17)),
        ["'z'", "(4, 3)", "uint8"],
    ),
    "charges between": (npz(changed("z", lambda a: a + 0.5, md17)), ["'z'", "(3,)", "float64"]),
    "unknown symbol": (npz(changed("z", np.array(["O", "Qq", "H"]), md17)), ["'z'", "'Qq'"]),
    "ghost symbol": (npz(changed("z", np.array(["O", "H:", "H"]), md17)), ["'z'", "'H:'", "ghost"]),
    "unit that is none": (npz(md17() | {"e_unit": np.array("mHa")}), ["mHa", "valid"]),
    "atoms on top of each other": (
        npz(changed("coords", put((1, 1), 0.01))),
        ["frame 2", "atom 1: lies in the place of another"],
    ),
    "energies in two units": (
        npz(changed("energies", lambda a: a * [1, 1, 1, 4.184])),
        ["frame 4", "4.183", "another unit"],
    ),
    "beyond measure": (npz(changed("coords", put((1, 1, 1), 1e20))), ["frame 2", "atom 2"]),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_npz(tmp_path, case):
    content, expected = ARRAYS[case]
    path = tmp_path / "water.npz"
    path.write_bytes(content)
    check(refused(tmp_path, str(path)), tmp_path, expected)


def in_group(key: str, value: Any) -> dict[str, dict[str, np.ndarray]]:
    """ANI-1x with one array of its second group replaced."""
    return {**ani1x(), "H2O1": changed(key, value, lambda: ani1x()["H2O1"])}


GROUPS: dict[str, tuple[Any, list[str]]] = {
    "garbage": (b"\x89HDF\r\n\x1a\ngarbage", ["HDF5", "copy"]),
    "empty": (b"", ["empty"]),
    "no groups": ({}, ["holds no"]),
    "no elements": (in_group("atomic_numbers", None), ["/H2O1", "atomic_numbers nor species"]),
    "no energies": (in_group("wb97x_dz.energy", None), ["/H2O1", "wb97x_dz.energy", "tz"]),
    "no forces": (ani1(), ["/gdb11_s01/gdb11_s01-2", "forces", "--relabel"]),
    "fewer energies": (in_group("wb97x_dz.energy", lambda a: a[1:]), ["/H2O1", "(3,)", "(4,)"]),
    "other atoms": (in_group("atomic_numbers", lambda a: a[1:]), ["/H2O1", "coordinates"]),
    "element 0": (in_group("atomic_numbers", put((1,), 0)), ["/H2O1", "atomic_numbers", "0"]),
    "infinity": (
        in_group("wb97x_dz.energy", put((1,), np.inf)),
        ["/H2O1", "frame 3", "wb97x_dz.energy"],
    ),
    "words": (in_group("wb97x_dz.energy", np.array([b"a"] * 4)), ["/H2O1", "not a number"]),
    "atoms on top of each other": (
        in_group("coordinates", put((1, 1), 0.01)),
        ["/H2O1", "frame 3", "atom 1"],
    ),
    "all NaN": (
        {"H2O1": in_group("wb97x_dz.energy", put((slice(None),), np.nan))["H2O1"]},
        ["no labelled"],
    ),
    "unknown symbol": (
        {"a": {**ani1()["gdb11_s01/gdb11_s01-2"], "species": np.array([b"O", b"Qq", b"H"])}},
        ["/a", "species", "Qq"],
    ),
}


@pytest.mark.parametrize("case", GROUPS)
def test_hdf5(tmp_path, case):
    pytest.importorskip("h5py")
    content, expected = GROUPS[case]
    path = tmp_path / "water.h5"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_hdf5(path, content)
    check(refused(tmp_path, str(path)), tmp_path, expected)


def test_there_are_many_of_them():
    assert len(PAIRS) + len(FILES) + len(ARRAYS) + len(GROUPS) >= 40


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress, lambda data: data])
def test_a_huge_file_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(sources, "_LARGEST", 2**20)
    path = tmp_path / "zeros.xyz"
    path.write_bytes(pack(b"0" * 2**24))
    with pytest.raises(UserError, match="more than"):
        sources.read_bytes(path)


@pytest.mark.parametrize(
    "variant",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: (text + "\n  \n").encode(),
        lambda text: lzma.compress(text.encode()),
        lambda text: gzip.compress(text.encode()),
        lambda text: text.replace(" ", "\t").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: re.sub(r"^( *3)$", r"\n\1", text, flags=re.MULTILINE).encode(),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=[
        *("Windows line ends", "byte order mark", "blank lines at the end", "xz", "gz", "tabs"),
        *("UTF-16", "blank lines between frames", "no line end at the end"),
    ],
)
def test_harmless_variants_are_read_alike(tmp_path, variant):
    name = tmp_path / ("water.xyz.gz" if variant(XYZ)[:2] in (b"\x1f\x8b", b"\xfd7") else "w.xyz")
    plain = pair_of(tmp_path, POS, FRC), read_xyz(tmp_path / "plain.xyz", XYZ)
    other = pair_of(tmp_path, variant(POS), variant(FRC)), read_xyz(name, variant(XYZ))
    for one, two in zip(plain, other, strict=True):
        for field in ("numbers", "positions", "energy", "forces", "index"):
            np.testing.assert_array_equal(getattr(one, field), getattr(two, field))


def test_duplicate_frames_are_read_as_they_are(tmp_path):
    frames = read_xyz(tmp_path / "w.xyz", XYZ + XYZ)
    assert len(frames) == 2 * M
    np.testing.assert_array_equal(frames.forces[: M * A], frames.forces[M * A :])


def pair_of(folder: Path, pos: Content, frc: Content) -> Frames:
    paths = folder / "w-pos-1.xyz", folder / "w-frc-1.xyz"
    for path, content in zip(paths, (pos, frc), strict=True):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_pair(*paths, name="water")


def read_xyz(path: Path, content: Content) -> Frames:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_file(path, "water")


def numbers_that_differ(one: Frames, two: Frames) -> int:
    return sum(
        int((getattr(one, field) != getattr(two, field)).sum())
        for field in ("positions", "energy", "forces")
    )


# The same property for both kinds of text: what is not noticed has changed one number at most.
READERS: dict[str, tuple[str, Callable[[Path, Content], Frames]]] = {
    "CP2K": (POS, lambda folder, content: pair_of(folder, content, FRC)),
    "extended XYZ": (XYZ, lambda folder, content: read_xyz(folder / "w.xyz", content)),
}


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_byte_is_noticed_or_changes_one_number(tmp_path_factory, kind, data):
    text, read = READERS[kind]
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.binary(min_size=1, max_size=1))
    damaged = text.encode()[:at] + byte + text.encode()[at + 1 :]
    folder = tmp_path_factory.mktemp("damaged")
    whole = read(folder, text)
    try:
        frames = read(folder, damaged)
    except UserError:
        return
    assert frames.n_atoms.tolist() == [A] * M
    changed_elements = int((frames.numbers != whole.numbers).sum())
    assert changed_elements + numbers_that_differ(frames, whole) <= 1
    if kind == "CP2K":  # two files and every frame must agree on elements and energy
        assert changed_elements == 0
        np.testing.assert_array_equal(frames.energy, whole.energy)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_lines_lost_repeated_or_cut_are_noticed(tmp_path_factory, kind, data):
    text, read = READERS[kind]
    lines = text.splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    damage = data.draw(st.sampled_from(["lost", "repeated", "cut", "split"]))
    if damage == "lost":
        damaged = "".join(lines[:at] + lines[at + 1 :])
    elif damage == "repeated":
        damaged = "".join(lines[: at + 1] + lines[at:])
    elif damage == "cut":
        cut = data.draw(st.integers(9, len(text) - 1))
        damaged = text[:cut]
        n = len(damaged.rstrip().splitlines())
        if n % (A + 2) == 0 and damaged.rstrip() == "".join(lines[:n]).rstrip():
            return  # between two frames: a shorter file, but a whole one
    else:
        place = data.draw(st.integers(1, max(len(lines[at]) - 2, 1)))
        if not (lines[at][:place].strip() and lines[at][place:].strip()):
            return  # a blank line more, which the test of lost lines has
        damaged = "".join(
            [*lines[:at], lines[at][:place], "\n", lines[at][place:], *lines[at + 1 :]]
        )
    with pytest.raises(UserError) as caught:
        read(tmp_path_factory.mktemp("damaged"), damaged)
    assert "line" in str(caught.value) or "frame" in str(caught.value)


@pytest.mark.parametrize("layout", [rmd17, md17])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_byte_of_an_npz_is_noticed_or_harmless(tmp_path_factory, layout, data):
    content = npz(layout())
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.binary(min_size=1, max_size=1))
    path = tmp_path_factory.mktemp("damaged") / "water.npz"
    path.write_bytes(content)
    whole = read_file(path, "water")
    path.write_bytes(content[:at] + byte + content[at + 1 :])
    try:
        frames = read_file(path, "water")
    except UserError:
        return
    assert numbers_that_differ(frames, whole) == 0
    np.testing.assert_array_equal(frames.numbers, whole.numbers)
