"""CP2K pairs: read exactly, or refused in one line that says where."""

import gzip
import lzma
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.data import chemical_symbols
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.data.cp2k import read_cp2k
from deepset_bench.data.units import HARTREE, HARTREE_PER_BOHR
from deepset_bench.errors import UserError

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def cp2k_text(symbols: list[str], vectors: np.ndarray, energies: list[float]) -> str:
    """What CP2K prints: ten decimals, one frame every 100 steps of 0.2 fs."""
    out = []
    for m, (frame, energy) in enumerate(zip(vectors, energies, strict=True)):
        out.append(f"{len(symbols):8d}\n")
        out.append(f" i = {100 * m:8d}, time = {20.0 * m:12.3f}, E = {energy:19.10f}\n")
        for symbol, (x, y, z) in zip(symbols, frame, strict=True):
            out.append(f"{symbol:>3} {x:19.10f} {y:19.10f} {z:19.10f}\n")
    return "".join(out)


WATER = ["O", "H", "H"]
ENERGIES = [-5.7, -5.6, -5.65, -5.55]
PLACES = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]) + 0.01 * np.arange(4)[:, None, None]
POS = cp2k_text(WATER, PLACES, ENERGIES)
FRC = cp2k_text(WATER, 0.01 * PLACES[:, ::-1], ENERGIES)


def read(folder: Path, pos: str | bytes, frc: str | bytes, frames: str | None = None):
    paths = folder / "w-pos-1.xyz", folder / "w-frc-1.xyz"
    for path, content in zip(paths, (pos, frc), strict=True):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_cp2k(*paths, name="water", frames=frames)


def line(number: int, new: str) -> Callable[[str], str]:
    """Replace a line, counted from 1."""

    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        lines[number - 1] = new
        return "".join(lines)

    return edit


def both(edit: Callable[[str], str]) -> tuple[str, str]:
    return edit(POS), edit(FRC)


# Frame m has lines 5 m - 4 (count), 5 m - 3 (comment) and three of atoms.
COMMENT_2 = " i = 100, time = 20.000, E = {}\n"
MALFORMED = {
    "empty": (b"", FRC, ["pos", "empty"]),
    "blank": ("\n \n", FRC, ["pos", "empty"]),
    "binary": (bytes(range(256)) * 9, FRC, ["pos", "line 2", "binary"]),
    "nul byte": (POS.replace("0.0100", "0.0\x000", 1), FRC, ["pos", "line 8", "control"]),
    "UTF-16": (POS.encode("utf-16"), FRC, ["pos", "line 1", "encoding"]),
    "latin-1": (POS.encode().replace(b"O", b"\xd6", 1), FRC, ["pos", "line 3", "encoding"]),
    "old Macintosh line ends": (POS.replace("\n", "\r"), FRC, ["pos", "line 1"]),
    "damaged gzip": (gzip.compress(POS.encode())[:-9], FRC, ["pos", "cut short"]),
    "damaged xz": (lzma.compress(POS.encode())[:-9], FRC, ["pos", "cut short"]),
    "not a trajectory": ("hello\n" + POS, FRC, ["pos", "frame 1", "line 1", "hello"]),
    "one line": ("3", FRC, ["pos", "frame 1", "line 1"]),
    "no atoms": (line(1, "0\n")(POS), FRC, ["pos", "frame 1", "line 1"]),
    "negative count": (line(1, "-3\n")(POS), FRC, ["pos", "frame 1", "line 1"]),
    "count too large": (line(1, "4\n")(POS), FRC, ["pos", "frame 1", "line 6"]),
    "count too small": (line(1, "2\n")(POS), FRC, ["pos", "frame 2", "line 5"]),
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
    "underscore": (line(8, "O 0 1_0 0\n")(POS), FRC, ["pos", "frame 2", "line 8", "1_0"]),
    "Fortran exponent": (line(8, "O 0 1.0D0 0\n")(POS), FRC, ["pos", "line 8", "1.0D0"]),
    "decimal comma": (line(8, "O 0 1,0 0\n")(POS), FRC, ["pos", "frame 2", "line 8", "1,0"]),
    "unknown element": (line(3, "Qq 0 0 0\n")(POS), FRC, ["pos", "frame 1", "line 3", "Qq"]),
    "dummy atom": (line(3, "X 0 0 0\n")(POS), FRC, ["pos", "frame 1", "line 3", "'X'"]),
    "element changes": (line(8, "N 0 0 0\n")(POS), FRC, ["pos", "frame 2", "line 8", "'N'"]),
    "no energy": (line(7, "i = 100, time = 20.0\n")(POS), FRC, ["pos", "line 7", "no energy"]),
    "no comment": (line(7, "\n")(POS), FRC, ["pos", "frame 2", "line 7", "no energy"]),
    "energy NaN": (*both(line(7, COMMENT_2.format("nan"))), ["pos", "frame 2", "line 7", "nan"]),
    "energy stars": (*both(line(7, COMMENT_2.format("***"))), ["pos", "frame 2", "line 7"]),
    "no step": (line(7, "time = 20.0, E = -5.6\n")(POS), FRC, ["pos", "frame 2", "line 7"]),
    "joined runs": (POS + POS, FRC + FRC, ["pos", "frame 5", "line 22", "joined", "1-4"]),
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
    "files exchanged": (FRC, POS, ["frame 1", "exchanged"]),
    "one file twice": (POS, POS, ["frc", "frame 1", "the same numbers"]),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_pairs_are_refused_in_one_line_that_says_where(tmp_path, case):
    pos, frc, expected = MALFORMED[case]
    with pytest.raises(UserError) as caught:
        read(tmp_path, pos, frc)
    message = str(caught.value)
    assert "\n" not in message
    for part in expected:
        assert part in message


def test_units_are_converted_once(tmp_path):
    frames = read(tmp_path, POS, FRC)
    assert frames.numbers.tolist() == [8, 1, 1] * 4
    np.testing.assert_array_equal(frames.energy, np.array(ENERGIES) * HARTREE)
    np.testing.assert_array_equal(frames.positions, PLACES.round(10).reshape(-1, 3))
    expected = (0.01 * PLACES[:, ::-1]).round(10).reshape(-1, 3) * HARTREE_PER_BOHR
    np.testing.assert_array_equal(frames.forces, expected)
    assert frames.bias_forces is None
    assert set(frames.molecule) == {"water"}
    assert pytest.approx(27.211386, abs=1e-6) == HARTREE
    assert pytest.approx(51.422067, abs=1e-6) == HARTREE_PER_BOHR


@pytest.mark.parametrize(
    "variant",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: (text + "\n  \n").encode(),
        lambda text: lzma.compress(text.encode()),
        lambda text: gzip.compress(text.encode()),
        lambda text: text.replace(" ", "\t").encode(),
    ],
    ids=["Windows line ends", "byte order mark", "blank lines at the end", "xz", "gz", "tabs"],
)
def test_harmless_variants_are_read_alike(tmp_path, variant):
    plain, other = read(tmp_path, POS, FRC), read(tmp_path, variant(POS), variant(FRC))
    for field in ("numbers", "positions", "energy", "forces", "index"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(other, field))


def test_geometry_optimisations_have_no_time(tmp_path):
    without = [re.sub(r", time = +[0-9.]+", "", text) for text in (POS, FRC)]
    assert "time" not in without[0]
    np.testing.assert_array_equal(read(tmp_path, *without).energy, read(tmp_path, POS, FRC).energy)


def test_frames_count_from_one_with_both_ends_in(tmp_path):
    frames = read(tmp_path, POS, FRC, frames="2-3")
    assert frames.index.tolist() == [1, 2]
    np.testing.assert_array_equal(frames.energy, np.array(ENERGIES[1:3]) * HARTREE)


def test_the_whole_part_of_a_trajectory_cut_short_can_be_read(tmp_path):
    assert len(read(tmp_path, POS[:-4], FRC, frames="1-3")) == 3


@pytest.mark.parametrize("frames", ["0-3", "3-2", "3", "a-b", "1-2-3", "-1-2", "1:3", "", "1-5"])
def test_impossible_frame_ranges_are_refused(tmp_path, frames):
    with pytest.raises(UserError, match="--frames"):
        read(tmp_path, POS, FRC, frames=frames)


def test_absent_files_and_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_cp2k(tmp_path / "none.xyz", tmp_path / "none.xyz", "none")
    with pytest.raises(UserError, match="directory"):
        read_cp2k(tmp_path, tmp_path, "none")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_cp2k_prints_is_read_back_exactly(tmp_path_factory, data):
    A = data.draw(st.integers(1, 6))
    M = data.draw(st.integers(1, 4))
    symbols = data.draw(st.lists(st.sampled_from(chemical_symbols[1:]), min_size=A, max_size=A))
    number = st.floats(-9999, 9999, allow_nan=False)
    energies = data.draw(st.lists(number, min_size=M, max_size=M))
    rows = st.lists(number, min_size=3 * A * M, max_size=3 * A * M)
    forces = np.array(data.draw(rows)).reshape(M, A, 3)
    # Apart from each other, as atoms are; different from the forces.
    places = forces / 1e5 + np.arange(A)[:, None] + 0.1
    pos, frc = cp2k_text(symbols, places, energies), cp2k_text(symbols, forces, energies)
    frames = read(tmp_path_factory.mktemp("pair"), pos, frc)

    def printed(values: np.ndarray) -> np.ndarray:
        return np.array([float(f"{value:.10f}") for value in values.ravel()])

    np.testing.assert_array_equal(frames.positions.ravel(), printed(places))
    np.testing.assert_array_equal(frames.forces.ravel(), printed(forces) * HARTREE_PER_BOHR)
    np.testing.assert_array_equal(frames.energy, printed(np.array(energies)) * HARTREE)
    assert [chemical_symbols[n] for n in frames.numbers] == symbols * M


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_single_damaged_byte_is_read_as_other_atoms_or_frames(tmp_path_factory, data):
    """A damaged byte is refused, or leaves count, elements and order as they were."""
    at = data.draw(st.integers(0, len(POS) - 1))
    byte = data.draw(st.binary(min_size=1, max_size=1))
    damaged = POS.encode()[:at] + byte + POS.encode()[at + 1 :]
    try:
        frames = read(tmp_path_factory.mktemp("pair"), damaged, FRC)
    except UserError:
        return
    assert frames.numbers.tolist() == [8, 1, 1] * 4
    np.testing.assert_array_equal(frames.energy, np.array(ENERGIES) * HARTREE)


@pytest.mark.skipif(not REAL.is_dir(), reason="the report's trajectories are not here")
def test_the_reports_but_2_ene():
    pair = REAL / "but-2-ene-pos-1.xyz.xz", REAL / "but-2-ene-frc-1.xyz.xz"
    whole = read_cp2k(*pair, name="but-2-ene")
    assert len(whole) == 15_001
    assert len(whole.numbers) == 15_001 * 12
    frames = whole.select(slice(99, 6600))
    energy = frames.energy / HARTREE
    assert np.abs(energy - energy.mean()).mean() == pytest.approx(0.0204, abs=5e-5)
    assert np.abs(frames.forces / HARTREE_PER_BOHR).mean() == pytest.approx(0.0298, abs=5e-5)
    selected = read_cp2k(*pair, name="but-2-ene", frames="100-6600")
    np.testing.assert_array_equal(selected.forces, frames.forces)
    np.testing.assert_array_equal(selected.index, frames.index)


@pytest.mark.skipif(not REAL.is_dir(), reason="the report's trajectories are not here")
def test_the_reports_pentene():
    pair = REAL / "pentene-pos-1.xyz.xz", REAL / "pentene-frc-1.xyz.xz"
    frames = read_cp2k(*pair, name="pentene")
    assert (len(frames), len(frames.numbers)) == (15_001, 15_001 * 15)
