"""Files that are put aside while they are read give the set that they give at once."""

from __future__ import annotations

import numpy as np
import pytest

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.readers import hdf5, labels, sources, xyz
from tests.molecules.test_mapped import same

from .dialects import ani1x, read_file, write_hdf5


@pytest.fixture
def in_pieces(monkeypatch):
    """Makes any file a large one, read a few atoms and lines at a time."""

    def begin() -> None:
        monkeypatch.setattr(labels, "SPILL", 4)
        monkeypatch.setattr(hdf5, "SPILL", 4)
        monkeypatch.setattr(sources, "BLOCK", 100)
        monkeypatch.setattr(xyz, "DROPPED", 3)

    return begin


def assert_the_same_bytes(one: Frames, other: Frames, folder) -> None:
    assert isinstance(other.positions, np.memmap)
    assert same(one, other)
    one.save(folder / "one.npz")
    other.save(folder / "other.npz")
    assert (folder / "one.npz").read_bytes() == (folder / "other.npz").read_bytes()


@pytest.mark.parametrize("frames", [None, "2-4"])
def test_hdf5(tmp_path, in_pieces, frames):
    pytest.importorskip("h5py")
    path = write_hdf5(tmp_path / "a.h5", ani1x())
    whole = read_file(path, "ani", frames=frames)
    in_pieces()
    assert_the_same_bytes(whole, read_file(path, "ani", frames=frames), tmp_path)


XYZ = """3
Properties=species:S:1:pos:R:3:forces:R:3 energy={energy} charge={charge}
O 0 0 0 0.1 0 {shift}
H 0.9{shift} 0 0 0 0 0
H 0 0.9 0 0 0 0
"""


def extxyz(**given) -> str:
    frames = [{"energy": -1 - k / 7, "charge": k % 2, "shift": k} | given for k in range(9)]
    return "\n\n".join(XYZ.format(**frame) for frame in frames) + "\n \n\n"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("frames", [None, "3-7"])
def test_extxyz(tmp_path, in_pieces, ends, frames):
    path = tmp_path / "a.xyz"
    path.write_bytes(extxyz().replace("\n", ends).encode())
    whole = read_file(path, "water", frames=frames)
    assert set(whole.molecule) == {"H2O", "H2O (charge +1)"}
    in_pieces()
    assert_the_same_bytes(whole, read_file(path, "water", frames=frames), tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("O 0 0 0 0.1 0 7", "O 0 0 0 0.1 x 7"),
        lambda text: text[:-40],
        lambda text: text.rstrip(),
        lambda text: text.replace("energy=-1.0 ", "energy=nan "),
        lambda text: text.replace("H 0.95 ", "H 0.05 "),
        lambda text: text + "x",
        lambda text: text + "\x00",
        lambda text: text.replace("energy=-2", "energy=-1e10"),
    ],
)
def test_a_damaged_file_says_the_same(tmp_path, in_pieces, damage):
    path = tmp_path / "a.xyz"
    path.write_text(damage(extxyz()))

    def said() -> str:
        try:
            read_file(path, "water")
        except UserError as error:
            return str(error)
        return ""

    whole = said()
    in_pieces()
    assert said() == whole


def test_another_unit_in_a_later_piece_is_found(tmp_path, in_pieces):
    text = extxyz(charge=0, energy=-1.0)
    path = tmp_path / "a.xyz"
    path.write_text(text.replace("energy=-1.0", "energy=-27.2114", 5))
    in_pieces()
    with pytest.raises(UserError, match=r"frame 6: the energies are 0\.03675 times those"):
        read_file(path, "water")
