"""Files of data and of studies that are made to do harm, given to the command line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.hostile.attempts import (
    EVERY,
    attempt,
    check,
    check_harmless,
    check_refused,
    numbered,
    some,
)
from tests.readers.dialects import XYZ, ani1x, md17, npz, write_hdf5

ROW = "O 0 0 0 0 0 0\n"
HEAD = "Properties=species:S:1:pos:R:3:forces:R:3"
FRAME = f"3\n{HEAD} energy=-1\n{ROW}H 1 0 0 0 0 0\nH 0 1 0 0 0 0\n"


class Touch:
    """Its pickle makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def text(content: str, name: str = "x.xyz") -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / name).write_text(content)
        return name

    return make


def packed(pack: Callable[[bytes], bytes], ending: str) -> Callable[[Path], str]:
    """8 GiB of zeros in a few megabytes at most: what is packed once, again and again."""

    def make(folder: Path) -> str:
        block = pack(bytes(2**25))
        (folder / f"x.xyz.{ending}").write_bytes(block * 256)
        return f"x.xyz.{ending}"

    return make


def zeros(folder: Path) -> str:
    """An npz of 0.5 GiB of zeros, by many members that are the same few bytes."""
    with zipfile.ZipFile(folder / "x.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        stream = io.BytesIO()
        np.save(stream, np.zeros((2**22, 1)))
        for name in "RzEF":
            archive.writestr(f"{name}.npy", stream.getvalue() * (4 if name == "R" else 1))
        archive.writestr("more.npy", stream.getvalue() * 3)
    return "x.npz"


def objects(folder: Path) -> str:
    arrays = md17() | {"E": np.array([Touch(folder / "harm")] * 4, dtype=object)}
    np.savez(folder / "x.npz", **arrays)
    return "x.npz"


def bare_pickle(folder: Path) -> str:
    (folder / "x.pkl").write_bytes(pickle.dumps(Touch(folder / "harm")))
    return "x.pkl"


def archive_of(kind: str, member: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        if kind == "tar":
            with tarfile.open(folder / "x.tar", "w") as archive:
                info = tarfile.TarInfo(member)
                info.size = len(FRAME)
                archive.addfile(info, io.BytesIO(FRAME.encode()))
            return "x.tar"
        with zipfile.ZipFile(folder / "x.npz", "w") as archive:
            archive.writestr(member, npz(md17())[:200])
        return "x.npz"

    return make


def lying_array(folder: Path) -> str:
    (folder / "x.npz").write_bytes(npz(md17()))
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**9)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(folder / "x.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("charge.npy", header.getvalue() + bytes(2**16))
    return "x.npz"


def huge_hdf5(folder: Path) -> str:
    h5py = pytest.importorskip("h5py")
    path = write_hdf5(folder / "x.h5", {"H2O1": ani1x()["H2O1"]})
    with h5py.File(path, "a") as file:
        group = file.create_group("big")
        size = {"shape": (10**9, 3, 3), "chunks": (1000, 3, 3), "dtype": "f8", "compression": 1}
        group.create_dataset("coordinates", **size)
        group["atomic_numbers"] = [8, 1, 1]
        group.create_dataset("wb97x_dz.energy", shape=(10**9,), chunks=(1000,), dtype="f8")
    return "x.h5"


def linked_hdf5(folder: Path) -> str:
    h5py = pytest.importorskip("h5py")
    path = write_hdf5(folder / "x.h5", {"H2O1": ani1x()["H2O1"]})
    with h5py.File(path, "a") as file:
        file["more"] = h5py.ExternalLink("/etc/passwd", "/x")
    return "x.h5"


def deep_hdf5(folder: Path) -> str:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "x.h5", "w") as file:
        group = file
        for _ in range(3000):
            group = group.create_group("a")
    return "x.h5"


def endless(folder: Path) -> str:
    (folder / "x.xyz").symlink_to("/dev/zero")
    return "x.xyz"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "x.xyz")
    return "x.xyz"


def odd_name(folder: Path) -> str:
    return text(FRAME.replace("energy", "energie"), "a\x1b[31m\nerror: b\x9b.xyz")(folder)


DATA = {
    "a billion atoms": text("1000000000\n\n" + ROW),
    "more atoms than numbers": text("9" * 30 + "\n\n" + ROW),
    "no end of line": text("3\n" + "x" * 2**26),
    "brackets": text(FRAME.replace("energy=-1", "energy=-1 a=" + "[" * 100_000)),
    "json in a comment": text(FRAME.replace("energy=-1", 'energy="_JSON ' + "[" * 100_000 + '"')),
    "many properties": text(FRAME.replace("species:S:1", "a:R:1:" * 50_000 + "species:S:1")),
    "long property": text(FRAME.replace("species:S:1", "species:S:1000000000")),
    "a number of many digits": text(FRAME.replace("=-1", "=-" + "1" * 200_000)),
    "escapes in a comment": text(FRAME.replace("energy=", "\x1b]0;x\x07\x1b[2J\u202e=")),
    "escapes in an element": text(FRAME.replace("O 0", "\x1b[2J 0", 1)),
    "escapes in a key": text(FRAME.replace("energy=-1", "energy=-1 \x1b[31mcharge=1 charge=2")),
    "xz": packed(lzma.compress, "xz"),
    "gz": packed(gzip.compress, "gz"),
    "bz2": packed(bz2.compress, "bz2"),
    "npz of zeros": zeros,
    "npz of objects": objects,
    "npz that says it has more": lying_array,
    "a pickle": bare_pickle,
    "tar, out of its folder": archive_of("tar", "../../harm"),
    "tar, from the root": archive_of("tar", "/tmp/harm"),
    "zip, out of its folder": archive_of("zip", "../../harm.npy"),
    "HDF5 of a billion": huge_hdf5,
    "HDF5 that leads elsewhere": linked_hdf5,
    "HDF5 too deep": deep_hdf5,
    "a device": endless,
    "a pipe": pipe,
    "escapes in the file's name": odd_name,
    "cif": text("data_x\n" + "loop_\n_a\n" * 50_000, "x.cif"),
    "lammps": text("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1000000000\n", "x.lammpstrj"),
}


UNREAD = ("brackets",)
"""What no reader looks at."""


@numbered(DATA)
def test_data(tmp_path, number, attack):
    name = attack(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    for words in some((("data", "check", name), ("data", "import", "new", name)), number):
        check(attempt(tmp_path, *words), attack in [DATA[one] for one in UNREAD])
    made = {path.name for path in tmp_path.iterdir()} - before
    assert made <= {".out", ".err", ".memory", "data home", "runs"}


NAMES = ("../x", "a/b", "/tmp/x", "..", ".", "x\n", "x\x1b[31m", "=1+1", "a" * 300, "", "-")


@numbered({repr(name)[:20]: name for name in NAMES})
def test_names_of_sets(tmp_path, number, attack):
    (tmp_path / "x.xyz").write_text(XYZ)
    commands = (
        ("data", "import", "--", attack, "x.xyz"),
        ("data", "show", "--", attack),
        ("data", "fetch", "--", attack),
    )
    for words in some(commands, number):
        check_refused(attempt(tmp_path, *words))
    assert not list(tmp_path.parent.glob("x*"))


def row(override: str, label: str = "a") -> str:
    """A sweep of one row."""
    runs = f'[{{label: "{label}", overrides: [{override}]}}]'
    return f'title: T\nbaseline: "{label}"\ncommon: []\nruns: {runs}\n'


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
SHEETS = {
    "aliases": LAUGHS,
    "itself": "a: &a [*a]\n",
    "nested": "a: " + "[" * 100_000,
    "nested by dashes": "- " * 100_000 + "x",
    "tags": "title: !!python/object/apply:os.mkdir [harm]\n",
    "name": "title: !!python/name:os.system\n",
    "new": "title: !!python/object/new:os.mkdir [harm]\n",
    "digits": "title: x\nseeds: [0x" + "f" * 100_000 + "]\n",
    "twice": "title: a\ntitle: b\n",
    "no text": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1") + "\x00",
    "empty": "",
    "a list": "- 1\n- 2\n",
    "large": "a: " + "x" * 2**20,
    "a range": row("'seed=range(1000000000)'"),
    "elsewhere": "title: T\nbaseline: a\nruns_of: ../../etc/passwd\n",
    "labels": row("widht=1", "\\e[2J"),
    "target": row("+_target_=os.mkdir"),
    "environment": row("'name=${oc.env:A}'"),
}


@numbered(SHEETS)
def test_sheets(tmp_path, number, attack):
    (tmp_path / "mine.yaml").write_text(attack)
    study = tmp_path / "study"
    study.mkdir()
    for name in ("study.yaml", "claims.yaml", "tuning.yaml", "tuned.yaml", "registered.yaml"):
        (study / name).write_text(attack)
    commands = (
        ("sweep", "mine.yaml", "--dry-run"),
        ("tables", "study"),
        ("tables", "mine.yaml"),
        ("sweep", "study", "--dry-run"),
        ("report", "study"),
        ("figures", "study"),
        ("study", "check", "study"),
        ("study", "register", "study"),
        ("status", "study"),
    )
    for words in some(commands, number):
        ended = attempt(tmp_path, *words)
        alone = words[1] == "mine.yaml" and not (words[0] == "tables" and "common" in attack)
        check(ended, not alone)
        assert ended.err.count("\n") <= 1
    assert not (tmp_path / "harm").exists()


BASE = "title: T\ntables: [mine]\n"


OTHERS = {
    f"{name} {sheet}": (name, sheet)
    for name in ("claims", "registered", "figures", "tuned")
    for sheet in ("aliases", "nested", "tags", "empty", "a list", "large")
}


@numbered(OTHERS if EVERY else dict(list(OTHERS.items())[::3]))
def test_other_sheets_of_a_sound_study(tmp_path, number, attack):
    name, sheet = attack
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.yaml").write_text(BASE)
    (study / "mine.yaml").write_text(
        "title: T\nbaseline: a\nruns:\n- {label: a, overrides: []}\n"
        "- {label: b, overrides: [width=8]}\n"
    )
    (study / f"{name}.yaml").write_text(SHEETS[sheet])
    commands = (("tables", "study"), ("report", "study"), ("sweep", "study", "--dry-run"))
    for words in some(commands, number):
        ended = attempt(tmp_path, *words)
        check_harmless(ended)
        assert ended.err.count("\n") <= 1
    assert not (tmp_path / "harm").exists()
