"""Sound files changed at random: each is read as an independent parser reads it, or refused.

What once failed lies in `corpus/KIND/`, and is tried first for ever.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import yaml
from ase import units
from hypothesis import strategies as st

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.files import resource
from deepset_bench.molecules.frames import Frames
from deepset_bench.reading import yaml_of
from deepset_bench.record import ERRORS
from deepset_bench.runs import RunFolder
from deepset_bench.sweep import comparisons, studies
from deepset_bench.sweep.status import last_epoch, standing
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
    """HDF5 of ANI-1x, against h5py."""
    path = folder / "x.h5"
    path.write_bytes(content)
    _read(lambda: read_file(path, "water"))


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
    if ours is not None:
        assert repr(ours) == repr(yaml.load(text, yaml.SafeLoader))


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
