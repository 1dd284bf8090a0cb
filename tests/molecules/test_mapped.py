"""Frames larger than memory: the same frames, mapped."""

from dataclasses import fields, replace

import numpy as np
import pytest

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.molecules import frames as module
from deepset_bench.molecules import mapped
from deepset_bench.molecules.frames import Frames


def several(count: int = 40, **given) -> Frames:
    """Frames of one to four atoms, some of them ions, under names of several lengths."""
    rng = np.random.default_rng(0)
    n_atoms = rng.integers(1, 5, count)
    A = int(n_atoms.sum())
    arrays = {
        "numbers": rng.choice([1, 6, 8], A),
        "positions": rng.normal(size=(A, 3)),
        "n_atoms": n_atoms,
        "energy": rng.normal(size=count),
        "forces": rng.normal(size=(A, 3)),
        "bias_forces": rng.normal(size=(A, 3)),
        "molecule": np.where(n_atoms > 2, "a much longer name", "water"),
        "index": np.arange(count),
        "charge": rng.integers(-1, 2, count),
    }
    return Frames(**(arrays | given))


def same(a: Frames, b: Frames) -> bool:
    """Whether every array of both is equal, in type too."""
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Frames)]
    return all(
        (one is None and other is None)
        or (
            one is not None
            and one.dtype == other.dtype
            and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        )
        for one, other in pairs
    )


@pytest.mark.parametrize("size", [7, 40])
def test_what_is_written_in_pieces_is_the_same_set(tmp_path, size):
    frames = several()
    mapped.write(tmp_path / "f", (frames.select(slice(k, k + size)) for k in range(0, 40, size)))
    loaded = mapped.load(tmp_path / "f")
    assert same(loaded, frames)
    assert isinstance(loaded.positions, np.memmap)
    assert isinstance(loaded.select(slice(3, 9)).positions, np.memmap)
    for chosen in (slice(3, 9), slice(5, None), slice(9, 3), [7, 2, 30], np.array([0])):
        assert same(loaded.select(chosen), frames.select(chosen))
    assert type(loaded.select([1, 2]).positions) is np.ndarray


def test_arrays_that_say_nothing_or_are_not_of_all_frames_are_left_out(tmp_path):
    frames = several(charge=np.zeros(40))
    parts = [frames.select([0, 1]), several(bias_forces=None, charge=np.zeros(40)).select([2])]
    mapped.write(tmp_path / "f", parts)
    stored = {path.stem for path in mapped.files(tmp_path / "f")}
    assert not stored & {"bias_forces", "charge", "spin", "cell", "pbc", "stress"}
    assert same(mapped.load(tmp_path / "f"), Frames.concatenate(parts))


def test_cells_and_stress_of_some_frames_are_kept(tmp_path):
    frames = several()
    periodic = several(cell=np.tile(np.eye(3), (40, 1, 1)), pbc=np.ones((40, 3), dtype=bool))
    stressed = replace(periodic, stress=np.ones((40, 3, 3)))
    parts = [frames, periodic, stressed, frames]
    mapped.write(tmp_path / "f", parts)
    assert same(mapped.load(tmp_path / "f"), Frames.concatenate(parts))


def test_properties_are_those_of_the_set_in_one_piece(monkeypatch):
    frames = several()
    whole = frames.composition(frames.species), frames.electrons, frames.species
    monkeypatch.setattr(module, "PIECE", 9)
    pieces = list(frames.pieces())
    assert len(pieces) > 5
    assert all(len(piece.numbers) <= 9 for piece in pieces)
    assert same(Frames.concatenate(pieces), frames)
    for one, other in zip(
        whole, (frames.composition(frames.species), frames.electrons, frames.species), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    for m, atoms in enumerate(map(frames.atoms_of, range(len(frames)))):
        assert frames.electrons[m] == frames.numbers[atoms].sum() - frames.charge[m]


def test_passing_frames_are_there_when_their_files_are_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    frames = several()
    found = mapped.passing([frames.select(slice(0, 9)), frames.select(slice(9, None))])
    assert same(found, frames)
    assert not list((tmp_path / "cache").iterdir())


def test_a_large_set_is_mapped_and_summed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    monkeypatch.setattr(mapped, "LARGE", 20)
    summed = []
    digest = catalogue.digest
    monkeypatch.setattr(catalogue, "digest", lambda files: summed.append(files) or digest(files))
    folder = catalogue.register("many", several(), {})
    loaded = catalogue.load("many")
    assert same(loaded, several())
    assert isinstance(loaded.forces, np.memmap)
    assert len(summed) == 1
    (folder / ".summed.json").write_text("[")
    catalogue.load("many")
    assert len(summed) == 2
    with (folder / "frames" / "energy.npy").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"?")
    with pytest.raises(UserError, match=r"frames: its SHA-256 is .* the data were changed"):
        catalogue.load("many")
