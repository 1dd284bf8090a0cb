"""Sound files changed at random: each is read as an independent parser reads it, or refused.

What once failed lies in `corpus/KIND/`, and is tried first for ever.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import json
import signal
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
import yaml
from ase import units
from hypothesis import strategies as st

from deepset_bench.config import experiment
from deepset_bench.data.fetching import joined
from deepset_bench.deployment import exported as exported_file
from deepset_bench.errors import UserError
from deepset_bench.files import resource
from deepset_bench.molecules.frames import Frames
from deepset_bench.reading import yaml_of
from deepset_bench.record import ERRORS
from deepset_bench.runs import RunFolder
from deepset_bench.sweep import comparisons, studies
from deepset_bench.sweep.status import last_epoch, standing
from deepset_bench.training import checkpoint
from tests.readers.dialects import FRC, POS, XYZ, ani1x, md17, npz, read_file, read_pair, write_hdf5

CORPUS = Path(__file__).with_name("corpus")
_SECONDS = 10.0
"""Of processor time that anything may take; most take milliseconds."""
_PIECES = (
    *(b"nan", b"-inf", b"1e999", b"1D5", b"-", b"9" * 30, b"0", b"1_0", b"\xc2\xb2", b"True"),
    *(b"[", b"]", b"{", b"}", b"(", b'"', b"'", b"\\", b"=", b":", b",", b"&a ", b"*a", b"- "),
    *(b"\n", b"\r", b"\t", b" ", b"\0", b"\xff", b"\x1b[31m", b"${oc.env:HOME}", b"../", b"null"),
    *(b"Lattice=", b"pbc=", b"energy=", b"charge=", b"!!python/name:os.system", b"\xe2\x80\xae"),
)
Change = tuple[str, float, int, bytes]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("put", "over", "drop", "again", "swap")),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 40),
        st.sampled_from(_PIECES) | st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=6,
)


def changed(sound: bytes, changes: list[Change]) -> bytes:
    """The content after some changes; `where` is a fraction of its length, or of its lines."""
    for how, where, size, piece in changes:
        at = int(where * len(sound))
        lines = sound.splitlines(keepends=True)
        row = int(where * len(lines))
        if how == "put":
            sound = sound[:at] + piece + sound[at:]
        elif how == "over":
            sound = sound[:at] + piece + sound[at + len(piece) :]
        elif how == "drop":
            sound = sound[:at] + sound[at + size :]
        elif how == "again":
            sound = b"".join(lines[: row + 1] + lines[row : row + size] + lines[row + 1 :])
        elif len(lines) > 1:
            lines[row], lines[row - 1] = lines[row - 1], lines[row]
            sound = b"".join(lines)
    return sound


@contextmanager
def soon() -> Iterator[None]:
    """Fails what takes longer than anything may."""

    def stop(*_: object) -> None:
        raise AssertionError(f"took over {_SECONDS:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _read(read: Callable[[], Any]) -> Any:
    """What is read; None where it is refused in a line."""
    said = ""
    try:
        return read()
    except UserError as error:
        said = str(error)
    assert len(said) < 2000
    return None


def _other(read: Callable[[], Any]) -> Any:
    """What another parser makes of it; None where it fails."""
    with suppress(Exception):
        return read()
    return None


def _by_frame(frames: Frames) -> Iterator[tuple[int, Frames]]:
    for row, index in enumerate(frames.index):
        yield int(index), frames.select([row])


def _same_geometry(one: Frames, numbers: Any, positions: Any) -> None:
    np.testing.assert_array_equal(one.numbers, numbers)
    np.testing.assert_allclose(one.positions, positions, rtol=1e-6, atol=1e-6)


def xyz(folder: Path, content: bytes) -> None:
    """Extended XYZ, against ASE."""
    path = folder / "x.xyz"
    path.write_bytes(content)
    frames = _read(lambda: read_file(path, "water"))
    theirs = _other(lambda: ase.io.read(path, ":", format="extxyz"))
    if frames is None or not theirs:
        return
    assert len(frames) == len(theirs)
    for index, one in _by_frame(frames):
        _same_geometry(one, theirs[index].numbers, theirs[index].positions)
        found = theirs[index].calc.results if theirs[index].calc else {}
        if "energy" in found:
            np.testing.assert_allclose(one.energy[0], found["energy"], rtol=1e-9)
        if "forces" in found:
            np.testing.assert_allclose(one.forces, found["forces"], rtol=1e-6, atol=1e-9)


def cp2k(folder: Path, content: bytes) -> None:
    """A pair of CP2K, whose positions ASE reads, too."""
    positions, forces = folder / "x-pos-1.xyz", folder / "x-frc-1.xyz"
    positions.write_bytes(content)
    forces.write_text(FRC)
    frames = _read(lambda: read_pair(positions, forces, "water"))
    theirs = _other(lambda: ase.io.read(positions, ":", format="xyz"))
    for index, one in _by_frame(frames) if frames is not None and theirs else ():
        _same_geometry(one, theirs[index].numbers, theirs[index].positions)


def arrays(folder: Path, content: bytes) -> None:
    """An npz of MD17, against NumPy."""
    path = folder / "x.npz"
    path.write_bytes(content)
    frames = _read(lambda: read_file(path, "water"))
    theirs = _other(lambda: {k: v for k, v in np.load(path).items() if k != "name"})
    for index, one in _by_frame(frames) if frames is not None and theirs else ():
        _same_geometry(one, theirs["z"], theirs["R"][index])
        expected = theirs["E"].ravel()[index] * units.kcal / units.mol
        np.testing.assert_allclose(one.energy[0], expected, rtol=1e-9)


def hdf5(folder: Path, content: bytes) -> None:
    """HDF5 of ANI-1x, against h5py, whose groups and arrays are gone through plainly."""
    path = folder / "x.h5"
    path.write_bytes(content)
    frames = _read(lambda: read_file(path, "water"))
    theirs = (_other(lambda: _by_h5py(path)) if frames is not None else None) or []
    for index, one in _by_frame(frames) if frames is not None and theirs else ():
        numbers, positions, energy, forces = theirs[index]
        _same_geometry(one, numbers, positions)
        np.testing.assert_allclose(one.energy[0], energy * units.Hartree, rtol=1e-9)
        np.testing.assert_allclose(one.forces, forces * units.Hartree, rtol=1e-6, atol=1e-9)


def _by_h5py(path: Path) -> list[tuple[Any, ...]]:
    """Numbers, positions, energy and forces of each geometry, group after group."""
    import h5py

    keys = ("coordinates", "wb97x_dz.energy", "wb97x_dz.forces")
    with h5py.File(path, "r") as file:
        each = [
            (one["atomic_numbers"][()], *(one[key][()] for key in keys)) for one in file.values()
        ]
    return [(numbers, *rows) for numbers, *arrays in each for rows in zip(*arrays, strict=True)]


def archive(folder: Path, content: bytes) -> None:
    """A packed archive of trajectories, against Python's own names of its members."""
    path = folder / "x.tar.gz"
    path.write_bytes(gzip.compress(content, 1))
    found = _read(lambda: joined(path, {"positions": "*-pos-*.xyz"}))
    if found is None:
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as stream:
        members = [one for one in stream if one.isreg() and one.name.count("/")]
        wanted = {
            one.name.partition("/")[2]: stream.extractfile(one).read()  # type: ignore[union-attr]
            for one in members
        }
    texts = [wanted[name] for name in wanted if fnmatch.fnmatch(name, "*-pos-*.xyz")]
    assert sorted(found["positions"]) == sorted(b"".join(texts))


def weights(folder: Path, content: bytes) -> None:
    """A checkpoint: refused, or all that is used of it is numbers of the right kinds."""
    path = folder / "best.pt"
    path.write_bytes(content)
    found = _read(lambda: checkpoint.load_best(path, torch.device("cpu")))
    if found is None:
        return
    assert isinstance(found["run"], str)
    assert all(bool(one.isfinite().all()) for one in found["potential"].values())
    with zipfile.ZipFile(path) as whole:  # every number is one of the file
        stored = b"".join(whole.read(name) for name in whole.namelist())
    for one in found["potential"].values():
        assert all(number.numpy().tobytes() in stored for number in one.flatten())


def _weights() -> bytes:
    stream = io.BytesIO()
    potential = {"species": torch.tensor([1, 6]), "w": torch.linspace(0, 1, 12).reshape(3, 4)}
    content = {"schema": 1, "potential": potential, "reference": {"rank": 2}}
    torch.save(content | {"epochs": 3, "run": "ab12"}, stream)
    return stream.getvalue()


def _archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as whole:
        for name in ("run/a-pos-1.xyz", "run/a-pos-2.xyz", "run/notes.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(POS)
            whole.addfile(info, io.BytesIO(POS.encode()))
    return stream.getvalue()


def exported(folder: Path, content: bytes) -> None:
    """A potential as a file, whose facts are those that Python's own parsers find."""
    path = folder / "x.pt2"
    path.write_bytes(content)
    found = _read(lambda: exported_file.read(path))
    if found is not None:
        with zipfile.ZipFile(path) as whole:
            assert found.facts == json.loads(whole.read(f"m/{exported_file.FACTS}"))
            assert found.portable == whole.read(f"m/{exported_file.PORTABLE}")


def _exported() -> bytes:
    stream = io.BytesIO()
    facts = {"format": exported_file.FORMAT, "species": [1, 6], "cutoff": 5.0}
    with zipfile.ZipFile(stream, "w") as whole:
        whole.writestr(f"m/{exported_file.FACTS}", json.dumps(facts))
        whole.writestr(f"m/{exported_file.PORTABLE}", b"program" * 9)
    return stream.getvalue()


def override(folder: Path, content: bytes) -> None:
    """An override as a person types it."""
    _read(lambda: experiment([content.decode("utf-8", "surrogateescape")]))


def sheet(folder: Path, content: bytes) -> None:
    """A sweep file, its YAML against PyYAML's own parser."""
    path = folder / "mine.yaml"
    path.write_bytes(content)
    _read(lambda: comparisons.read(path))
    text = content.decode("utf-8", "replace")
    ours = _other(lambda: yaml_of(text))
    theirs = _other(lambda: yaml.load(text, yaml.SafeLoader))
    if ours is not None and theirs is not None:  # libyaml takes a tab for a blank
        assert repr(ours) == repr(theirs)


def study(folder: Path, content: bytes) -> None:
    """A study.yaml with a sound comparison beside it."""
    place = folder / "study"
    place.mkdir(exist_ok=True)
    (place / "mine.yaml").write_bytes(_SHEET)
    (place / "study.yaml").write_bytes(content)
    _read(lambda: studies.read(place))


def result(folder: Path, content: bytes) -> None:
    """A result.json, against Python's own parser; whoever asks where the run stands is told."""
    (folder / "result.json").write_bytes(content)
    run = RunFolder(folder)
    found = run.result()
    assert found["status"] in ("done", "diverged", "damaged")
    if found["status"] != "damaged":
        assert found == json.loads(content)
    standing(run)
    last_epoch(run)


def _hdf5(folder: Path) -> bytes:
    return write_hdf5(folder / "sound.h5", {"H2O1": ani1x()["H2O1"]}).read_bytes()


_SHEET = yaml.safe_dump(
    {
        "title": "Mine",
        "baseline": "plain",
        "common": ["data=but-2-ene", "trainer.epochs=1"],
        "runs": [
            {"label": "plain", "overrides": []},
            {"label": "wide", "overrides": ["width=64"]},
        ],
    }
).encode()
_RESULT = json.dumps(
    {
        "status": "done",
        "reason": "",
        "run": "ab12",
        "metrics": {part: {ERRORS[0]: 0.01, ERRORS[1]: 0.02} for part in ("test", "val")},
        "baselines": {part: {ERRORS[0]: 0.1, ERRORS[1]: 0.2} for part in ("test", "val")},
        "data_verdict": {"verdict": "ok", "findings": []},
        **{"threads": 1, "parameters": 10, "epochs": 3, "best_epoch": 2},
        **{"device": "cpu", "wall_seconds": 1.5, "label_floor_ev_per_angstrom": None},
    }
).encode()
_OVERRIDES = (
    *(b"width=64", b"scalars=cub_sqrt", b"scalars=[sq,cub]", b"trainer.epochs=3", b"cutoff=4.5"),
    *(b"name='my run'", b"reference.energies_ev.1=-13.6", b"seed=1", b"data=but-2-ene"),
)

KINDS: dict[str, tuple[Callable[[Path, bytes], None], Callable[[Path], tuple[bytes, ...]]]] = {
    "xyz": (xyz, lambda _: (XYZ.encode(),)),
    "cp2k": (cp2k, lambda _: (POS.encode(),)),
    "npz": (arrays, lambda _: (npz(md17()),)),
    "hdf5": (hdf5, lambda folder: (_hdf5(folder),)),
    "archive": (archive, lambda _: (_archive(),)),
    "weights": (weights, lambda _: (_weights(),)),
    "exported": (exported, lambda _: (_exported(),)),
    "override": (override, lambda _: _OVERRIDES),
    "sweep": (
        sheet,
        lambda _: (_SHEET, (resource("sweeps") / "badland_2025" / "moe.yaml").read_bytes()),
    ),
    "study": (
        study,
        lambda _: (
            b"title: T\ntables: [mine]\nmargin: 5 %\nlooks: [3, 5]\nconditions: [report]\n",
        ),
    ),
    "result": (result, lambda _: (_RESULT,)),
}
"""Name -> how a content is tried in a folder, and the sound contents that are changed."""
