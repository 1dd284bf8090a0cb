"""CP2K pairs: read exactly, or refused in one line that says where."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase.data import chemical_symbols
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.errors import UserError
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR
from tests.readers.dialects import CHAIN, ENERGIES, FRC, PLACES, POS, SPRINGS, cp2k_text, read_pair

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def read(folder: Path, pos: str | bytes, frc: str | bytes, frames: str | None = None):
    paths = folder / "w-pos-1.xyz", folder / "w-frc-1.xyz"
    for path, content in zip(paths, (pos, frc), strict=True):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_pair(*paths, name="water", frames=frames)


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


def parts(folder: Path, kind: str, text: str, starts: list[int]) -> Path:
    """The frames of `text` in files that begin with the given frames; returns a pattern."""
    frames = ["".join(text.splitlines(True)[m : m + 5]) for m in range(0, 20, 5)]
    for n, (start, stop) in enumerate(zip(starts, [*starts[1:], 4], strict=True)):
        # 8, 9, 10, 11: not the order of the alphabet
        (folder / f"part_{8 + n}.{kind}").write_text("".join(frames[start:stop]))
    return folder / f"part_*.{kind}"


@pytest.mark.parametrize(("pos", "frc"), [([0, 1, 2, 3], [0, 1, 2, 3]), ([0, 1, 3], [0, 2])])
def test_a_pair_in_parts_is_the_pair(tmp_path, pos, frc):
    whole = read(tmp_path, POS, FRC)
    patterns = parts(tmp_path, "pos", POS, pos), parts(tmp_path, "forces", FRC, frc)
    for frames in (None, "1-4", "2-3", "4-4"):
        joined = read_pair(*patterns, name="water", frames=frames)
        part = whole if frames is None else read(tmp_path, POS, FRC, frames)
        for field in ("numbers", "positions", "energy", "forces", "index"):
            np.testing.assert_array_equal(getattr(part, field), getattr(joined, field))


def test_damage_in_a_part_is_named_by_its_file(tmp_path):
    pos = parts(tmp_path, "pos", POS, [0, 1, 2, 3])
    frc = parts(tmp_path, "forces", FRC, [0, 1, 2, 3])
    third = tmp_path / "part_10.pos"
    text = third.read_text()
    for damage, expected in (
        (text.replace(" H ", " F ", 1), "part_10.pos: frame 3, line 4: element 'F'"),
        (text[:-9], "part_10.pos: frame 3, line 5: the file ends"),
        (text.replace("3\n", "2\n", 1), "part_10.pos: frame 3, line 1: expected the number"),
        (text.replace("200", "900", 1), "part_11.pos: frame 4, line 2: step 300 follows step 900"),
    ):
        third.write_text(damage)
        with pytest.raises(UserError, match=expected):
            read_pair(pos, frc, "water")
    third.unlink()
    with pytest.raises(UserError, match=r"part_10.forces: frame 3, line 2: step 200"):
        read_pair(pos, frc, "water")
    assert len(read_pair(pos, frc, "water", frames="1-2")) == 2


def test_a_pattern_that_matches_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match="no file matches"):
        read_pair(tmp_path / "*.pos", tmp_path / "*.forces", "none")


def test_springs_belong_to_their_atoms(tmp_path):
    """The pair that is refused with its hydrogens exchanged is read as it is."""
    pair = [cp2k_text(list("CHHHH"), vectors, ENERGIES) for vectors in (CHAIN, SPRINGS)]
    assert len(read(tmp_path, *pair)) == 4


def test_absent_files_and_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_pair(tmp_path / "none.xyz", tmp_path / "none.xyz", "none")
    with pytest.raises(UserError, match="directory"):
        read_pair(tmp_path, tmp_path, "none")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_cp2k_prints_is_read_back_exactly(tmp_path_factory, data):
    A = data.draw(st.integers(1, 6))
    M = data.draw(st.integers(1, 4))
    symbols = data.draw(st.lists(st.sampled_from(chemical_symbols[1:]), min_size=A, max_size=A))
    number = st.floats(-9999, 9999, allow_nan=False)

    def printable(energies: list[float]) -> bool:
        return any(round(energy, 10) for energy in energies)  # all 0 stand for none

    energies = data.draw(st.lists(number, min_size=M, max_size=M).filter(printable))
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


@pytest.mark.skipif(not REAL.is_dir(), reason="the report's trajectories are not here")
def test_the_reports_but_2_ene():
    pair = REAL / "but-2-ene-pos-1.xyz.xz", REAL / "but-2-ene-frc-1.xyz.xz"
    whole = read_pair(*pair, name="but-2-ene")
    assert len(whole) == 15_001
    assert len(whole.numbers) == 15_001 * 12
    frames = whole.select(slice(99, 6600))
    energy = frames.energy / HARTREE
    assert np.abs(energy - energy.mean()).mean() == pytest.approx(0.0204, abs=5e-5)
    assert np.abs(frames.forces / HARTREE_PER_BOHR).mean() == pytest.approx(0.0298, abs=5e-5)
    selected = read_pair(*pair, name="but-2-ene", frames="100-6600")
    np.testing.assert_array_equal(selected.forces, frames.forces)
    np.testing.assert_array_equal(selected.index, frames.index)


@pytest.mark.skipif(not REAL.is_dir(), reason="the report's trajectories are not here")
def test_the_reports_pentene():
    pair = REAL / "pentene-pos-1.xyz.xz", REAL / "pentene-frc-1.xyz.xz"
    frames = read_pair(*pair, name="pentene")
    assert (len(frames), len(frames.numbers)) == (15_001, 15_001 * 15)
