"""Files made to hang, to fill the memory or to lead elsewhere cost one line, and soon."""

import io
import lzma
import os
import sys
import zipfile

import numpy as np
import pytest

from deepset_bench import bounds
from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.readers import read, read_pair, sources
from deepset_bench.readers.options import Options
from tests.readers.dialects import XYZ, ani1x, md17, npz, read_file, write_hdf5

HEAD = "3\nProperties=species:S:1:pos:R:3:forces:R:3 "
ROWS = "O 0 0 0 0 0 0\nH 1 0 0 0 0 0\nH 0 1 0 0 0 0\n"
LONG = 100_000


@pytest.mark.parametrize("piece", ["{ ", "{", "[ ", "[1] ", '" ', '" \\" ', "' ", "=", "a= ", "a"])
def test_a_second_line_of_any_length_is_read_in_one_pass(tmp_path, piece):
    path = tmp_path / "bomb.xyz"
    path.write_text(HEAD + f"energy=-1 {piece * (LONG // len(piece))}\n" + ROWS)
    said = ""
    try:
        frames = len(read_file(path, "bomb"))
    except UserError as error:
        frames, said = 1, str(error)
    assert frames == 1
    assert len(said) < 1000 + len(str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + f"energy={'1' * 2 * LONG}\n" + ROWS,
        HEAD + f'energy="_JSON {"[" * LONG}"\n' + ROWS,
        HEAD + "energy=-1\n" + ROWS.replace("1 0 0", f"{'1' * 2 * LONG} 0 0", 1),
        HEAD + "energy=-1\n" + ROWS.replace("1 0 0", f"1.{'1' * 2 * LONG}x 0 0", 1),
        HEAD + "energy=-1\n" + ROWS.replace("O", "O" * LONG),
        f"3\nProperties={'a:S:99:' * LONG}pos:R:3 energy=-1\n" + ROWS,
        f"{'9' * LONG}\n" + ROWS,
        "999999999\n\n",
    ],
)
def test_text_bombs_are_one_short_line(tmp_path, text):
    path = tmp_path / "bomb.xyz"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_file(path, "bomb")
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "."])
def test_pipes_devices_and_folders_are_no_files(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name
    with pytest.raises(UserError, match=r"is a (pipe or a device|directory)"):
        read(path, "none", Options())
    with pytest.raises(UserError, match=r"is a (pipe or a device|directory)"):
        read_pair(path, path, "none", Options())


def test_packed_twice_and_packed_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.xz"
    path.write_bytes(lzma.compress(lzma.compress(XYZ.encode())))
    with pytest.raises(UserError, match="packed twice"):
        read_file(path, "bomb")
    monkeypatch.setattr(bounds, "_HARMLESS", 2**20)
    path.write_bytes(lzma.compress(b"3\n" + b"0" * 2**24))
    with pytest.raises(UserError, match="unpacks to more than"):
        read_file(path, "bomb")


def test_a_packed_bomb_that_is_read_in_blocks_and_a_line_without_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BLOCK", 2**16)
    monkeypatch.setattr(bounds, "_HARMLESS", 2**20)
    path = tmp_path / "bomb.xyz"
    path.write_bytes(lzma.compress(XYZ.encode() * 2**14))
    with pytest.raises(UserError, match=r"unpacks to more than 1 MiB; BENCH_LIMITS=2"):
        read_file(path, "bomb")
    path.write_text(XYZ + "3\n" + "x" * 2**18)
    with pytest.raises(UserError, match=r"line 22 is longer than"):
        read_file(path, "bomb")


ZSTD = b"\x28\xb5\x2f\xfd"


def test_zstd_before_python_has_it_needs_an_extra(tmp_path, monkeypatch):
    for module in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, module, None)  # as if not installed
    path = tmp_path / "w.xyz.zst"
    path.write_bytes(ZSTD + bytes(20))
    with pytest.raises(NotInstalled) as caught:
        read_file(path, "water")
    assert str(caught.value) == (
        f"{path}: is packed by zstd, which Python reads from 3.14 on and before with: "
        "pip install 'deepset-bench[zstd]'; or unpack it with: unzstd"
    )


@pytest.mark.parametrize("module", ["compression.zstd", "backports.zstd"])
def test_zstd(tmp_path, module):
    zstd = pytest.importorskip(module)
    path = tmp_path / "w.xyz"
    path.write_bytes(zstd.compress(XYZ.encode()))
    (tmp_path / "plain.xyz").write_text(XYZ)
    found, expected = (read_file(p, "water") for p in (path, tmp_path / "plain.xyz"))
    np.testing.assert_array_equal(found.positions, expected.positions)
    first, rest = XYZ.encode()[:100], XYZ.encode()[100:]
    path.write_bytes(zstd.compress(first) + zstd.compress(rest))  # as parallel packers write
    np.testing.assert_array_equal(read_file(path, "water").positions, expected.positions)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="cut short or damaged"):
        read_file(path, "water")


def test_an_array_that_says_it_is_larger_than_it_is(tmp_path):
    path = tmp_path / "bomb.npz"
    path.write_bytes(npz(md17()))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("charge.npy", header.getvalue() + bytes(2**16))
    with pytest.raises(UserError, match=r"'charge.npy' says that it has 8,000,000,000,000 bytes"):
        read_file(path, "bomb")


def change_hdf5(kind: str, file) -> None:
    import h5py

    water = file["H2O1"]
    key = "wb97x_dz.energy"
    if kind == "group for an array":
        del water[key]
        water.create_group(key)
    elif kind == "named type for an array":
        del water[key]
        water[key] = np.dtype("f8")
    elif kind == "external link":
        file["more"] = h5py.ExternalLink("/etc/passwd", "/x")
    elif kind == "external link to an array":
        del water[key]
        water[key] = h5py.ExternalLink("other.h5", "/x")
    elif kind == "soft link":
        file["again"] = h5py.SoftLink("/H2O1")
    elif kind == "group in itself":
        file.create_group("a/b")
        file["a/b/c"] = file["a"]
    elif kind == "many geometries":
        shape = (10**8, 3, 3)
        file.create_dataset("big/coordinates", shape=shape, chunks=(10**6, 3, 3), dtype="f4")
        file["big/atomic_numbers"] = [8, 1, 1]
    elif kind == "many atoms":
        file.create_dataset("big/coordinates", shape=(1, 10**9, 3), chunks=(1, 1000, 3), dtype="f4")
        file.create_dataset("big/atomic_numbers", shape=(10**9,), chunks=(10**6,), dtype="u1")
    elif kind == "large energies":
        del water[key]
        water.create_dataset(key, shape=(4, 10**9), chunks=(4, 1000), dtype="f8")
    elif kind == "huge pieces":
        del water[key]
        most = {"maxshape": (None,), "chunks": (2**28,), "compression": 1}
        water.create_dataset(key, shape=(4,), dtype="f8", **most)
    elif kind == "raw file":
        del water[key]
        water.create_dataset(key, shape=(4,), dtype="f8", external=[("/etc/passwd", 0, 32)])
    elif kind == "nothing":
        del water["coordinates"]
        water["coordinates"] = h5py.Empty("f8")
    elif kind == "words":
        del water[key]
        water[key] = [b"-1"] * 4
    elif kind == "complex":
        del water[key]
        water[key] = np.zeros(4, dtype="c16")
    elif kind == "contradiction":
        water["species"] = [b"O", b"H", b"C"]
    elif kind == "escape":
        file["\x1b[31mred/coordinates"] = np.zeros((1, 3, 3))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("group for an array", "'wb97x_dz.energy' is not an array"),
        ("named type for an array", "'wb97x_dz.energy' is not an array"),
        ("external link", "'more' is a link"),
        ("external link to an array", "'wb97x_dz.energy' is a link"),
        ("soft link", "'again' is a link"),
        ("group in itself", "contains itself"),
        ("many geometries", "says that it has|has no 'wb97x_dz.energy'|more than fits"),
        ("many atoms", "says that it has|more than fits"),
        ("large energies", "says that it has 32,000,000,000 bytes"),
        ("huge pieces", "in pieces of 2,147,483,648"),
        ("raw file", "kept in another file"),
        ("nothing", "'coordinates' is not an array"),
        ("words", "'wb97x_dz.energy' is not a number"),
        ("complex", "'wb97x_dz.energy' is not a number"),
        ("contradiction", "atomic_numbers and species are different elements"),
        ("escape", r"group /\?\[31mred: has neither"),
    ],
)
def test_hdf5_leads_nowhere_and_is_measured_before_it_is_read(tmp_path, kind, expected):
    h5py = pytest.importorskip("h5py")
    path = write_hdf5(tmp_path / "w.h5", {"H2O1": ani1x()["H2O1"]})
    with h5py.File(path, "a") as file:
        change_hdf5(kind, file)
    with pytest.raises(UserError, match=expected) as caught:
        read_file(path, "water")
    assert "\n" not in str(caught.value)
