"""Frames with cells, and pairs of atoms across their faces."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.errors import UserError
from deepset_bench.molecules import neighbours
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.neighbours import Pairs, most_neighbours, neighbour_pairs
from tests import toy


def crystal(
    cell: FloatArray, pbc: tuple[bool, bool, bool], fractions: FloatArray, n: int = 1
) -> Frames:
    """A frame of atoms at fractions of a cell."""
    frame = toy.geometry(np.arange(1, len(fractions) + 1), fractions @ cell)
    frame = replace(frame, cell=cell[None], pbc=np.array([pbc]))
    return Frames.concatenate([frame] * n) if n > 1 else frame


def brute_pairs(frame: Frames, cutoff: float, reach: int) -> list[tuple[int, ...]]:
    """(i, j, S) of a frame, of all images up to `reach` cells away."""
    steps = [range(-reach, reach + 1) if periodic else [0] for periodic in frame.pbc[0]]
    S = np.array(list(product(*steps)))
    r = frame.positions
    apart = r[:, None, None] - r[:, None] - S @ frame.cell[0]
    near = np.linalg.norm(apart, axis=-1) < cutoff
    near &= S.any(axis=1) | ~np.eye(len(r), dtype=bool)[..., None]
    i, j, image = near.nonzero()
    return sorted(map(tuple, np.column_stack([i, j, S[image]]).tolist()))


def listed(pairs: Pairs) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.column_stack([pairs.i, pairs.j, pairs.images]).tolist()]


CELLS = {
    "cubic": np.eye(3) * 4.0,
    "smaller than the cutoff": np.eye(3) * 1.3,
    "triclinic": np.array([[2.0, 0.0, 0.0], [0.9, 2.2, 0.0], [-0.7, 0.5, 1.8]]),
    "left-handed": np.array([[0.0, 2.0, 0.3], [2.1, 0.0, 0.0], [0.0, 0.4, 1.9]]),
}
PBC = list(product([False, True], repeat=3))


@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=25, deadline=None)
@given(
    pbc=st.sampled_from(PBC),
    cutoff=st.floats(0.5, 3.5),
    seed=st.integers(0, 1000),
    spread=st.sampled_from([1.0, 3.0]),
)
def test_pairs_are_all_images_within_the_cutoff(name, pbc, cutoff, seed, spread):
    fractions = np.random.default_rng(seed).uniform(-0.5, 0.5, (3, 3)) * spread
    frame = crystal(CELLS[name], pbc, fractions)
    pairs = neighbour_pairs(frame, cutoff)
    assert listed(pairs) == brute_pairs(frame, cutoff, 8)
    shifts = pairs.images @ frame.cell[0]
    np.testing.assert_allclose(pairs.shifts, shifts, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_each_pair_has_its_exact_opposite(name):
    frame = crystal(
        CELLS[name], (True, True, True), np.random.default_rng(1).uniform(-1, 2, (4, 3))
    )
    pairs = neighbour_pairs(frame, 4.5)
    vectors = pairs.vectors(frame.positions)
    there = dict(zip(listed(pairs), vectors, strict=True))
    assert any(i == j for i, j, *_ in there)
    for (i, j, *S), vector in there.items():
        np.testing.assert_array_equal(there[(j, i, *(-n for n in S))], -vector)


def test_vectors_that_are_not_repeated_do_not_matter():
    """A slab whose third vector is zero, or leans over."""
    fractions = np.random.default_rng(2).uniform(0, 1, (4, 3))
    slab = crystal(CELLS["triclinic"], (True, True, False), fractions)
    expected = listed(neighbour_pairs(slab, 3.0))
    for third in ([0.0, 0.0, 0.0], [5.0, 5.0, 0.1]):
        cell = slab.cell.copy()
        cell[0, 2] = third
        assert listed(neighbour_pairs(replace(slab, cell=cell), 3.0)) == expected


def test_open_and_periodic_frames_in_one_set():
    molecule = toy.random_molecule(5, 1)
    fractions = np.random.default_rng(3).uniform(0, 1, (3, 3))
    parts = [molecule, crystal(CELLS["triclinic"], (True, True, True), fractions), molecule]
    whole = neighbour_pairs(Frames.concatenate(parts), 2.5)
    expected, offset = [], 0
    for part in parts:
        rows = np.array(listed(neighbour_pairs(part, 2.5)))
        expected += (rows + offset * np.array([1, 1, 0, 0, 0])).tolist()
        offset += len(part.numbers)
    assert listed(whole) == [tuple(row) for row in expected]


def test_a_molecule_in_a_box_of_vacuum_has_its_own_pairs():
    """The same vectors to the last bit, wherever the box begins."""
    molecule = toy.random_molecule(6, 2)
    boxed = replace(molecule, cell=np.eye(3)[None] * 40.0, pbc=np.ones((1, 3), dtype=bool))
    ours, theirs = neighbour_pairs(molecule, 4.0), neighbour_pairs(boxed, 4.0)
    assert listed(ours) == listed(theirs)
    np.testing.assert_array_equal(
        ours.vectors(molecule.positions), theirs.vectors(molecule.positions)
    )


def test_counts_of_neighbours_count_images():
    frame = crystal(np.eye(3) * 2.0, (True, True, True), np.zeros((1, 3)))
    sizes, most = most_neighbours(Frames.concatenate([frame, frame]), 2.1)
    assert (sizes.tolist(), most.tolist()) == ([1], [6])


@pytest.mark.parametrize("n", [1, 2, 12, 30])
def test_all_pairs_of_small_frames_are_those_that_a_search_finds(monkeypatch, n):
    frames = Frames.concatenate(toy.random_molecule(n, seed) for seed in range(3))
    seen = neighbour_pairs(frames, 3.0)
    monkeypatch.setattr(neighbours, "FEW", 0)
    for one, other in zip(seen, neighbour_pairs(frames, 3.0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_most_neighbours_of_each_size_are_those_of_the_pairs(monkeypatch):
    monkeypatch.setattr(neighbours, "AT_ONCE", 30)
    sizes = [4, 12, 4, 40, 7, 12, 40, 4]
    frames = Frames.concatenate(toy.random_molecule(n, seed) for seed, n in enumerate(sizes))
    i = neighbour_pairs(frames, 2.5).i
    counts = np.bincount(i, minlength=len(frames.numbers))
    found = most_neighbours(frames, 2.5)
    assert found[0].tolist() == [4, 7, 12, 40]
    for n, most in zip(*found, strict=True):
        assert most == counts[frames.n_atoms[frames.frame_of_atom] == n].max()


def test_two_atoms_at_one_place_across_a_face():
    frame = crystal(np.eye(3) * 4.0, (True, False, False), np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    pairs = neighbour_pairs(frame, 3.0)
    assert listed(pairs) == [(0, 1, -1, 0, 0), (1, 0, 1, 0, 0)]
    np.testing.assert_array_equal(pairs.vectors(frame.positions), 0.0)


# Frames


def periodic_set() -> Frames:
    frames = toy.random_molecule(3, 1), toy.random_molecule(4, 2)
    cell = np.array([CELLS["triclinic"] * 3, CELLS["cubic"]])
    return replace(
        Frames.concatenate(frames),
        cell=cell,
        pbc=np.array([[True, True, True], [True, False, True]]),
        stress=np.array([np.arange(9.0).reshape(3, 3), np.full((3, 3), np.nan)]),
    )


def assert_same(a: Frames, b: Frames) -> None:
    for name in ("positions", "numbers", "cell", "pbc", "stress"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_cells_survive_saving_and_loading(tmp_path):
    frames = periodic_set()
    frames.save(tmp_path / "frames.npz")
    assert_same(Frames.load(tmp_path / "frames.npz"), frames)


def test_select_and_concatenate_keep_cells_and_stress():
    frames = periodic_set()
    turned = frames.select([1, 0])
    np.testing.assert_array_equal(turned.cell, frames.cell[::-1])
    np.testing.assert_array_equal(turned.pbc, frames.pbc[::-1])
    np.testing.assert_array_equal(turned.stress, frames.stress[::-1])
    assert_same(Frames.concatenate([frames.select([0]), frames.select([1])]), frames)


def test_frames_without_stress_beside_frames_with_it():
    molecule = toy.random_molecule(3, 5)
    both = Frames.concatenate([molecule, periodic_set()])
    assert np.isnan(both.stress[0]).all()
    np.testing.assert_array_equal(both.stress[1], np.arange(9.0).reshape(3, 3))
    assert both.select([0]).stress is None
    assert not both.pbc[0].any()
    np.testing.assert_array_equal(both.volume > 0, [False, True, True])


def test_frames_in_open_space_keep_their_bytes(tmp_path):
    """Arrays that say nothing are not written."""
    molecule = toy.random_molecule(3, 5)
    molecule.save(tmp_path / "frames.npz")
    with np.load(tmp_path / "frames.npz") as stored:
        assert set(stored) == {
            *("numbers", "positions", "n_atoms", "energy", "forces", "molecule", "index")
        }
    explicit = replace(molecule, cell=np.zeros((1, 3, 3)), pbc=np.zeros((1, 3)), stress=None)
    explicit.save(tmp_path / "explicit.npz")
    assert (tmp_path / "explicit.npz").read_bytes() == (tmp_path / "frames.npz").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": np.zeros((1, 3, 3))}, "periodic along a and c, but the cell has no volume"),
        ({"cell": np.ones((1, 3, 3))}, "periodic along a and c, but the cell has no volume"),
        (
            {"cell": np.full((1, 3, 3), np.nan)},
            r"cell of m frame 0 \(.+\) is not finite",
        ),
        ({"cell": np.ones((2, 3, 3))}, "cell has shape"),
        ({"stress": np.ones((1, 6))}, "stress has shape"),
        (
            {"stress": np.full((1, 3, 3), np.inf)},
            r"stress of m frame 0 \(.+\) is not finite",
        ),
        (
            {"stress": np.diag([np.nan, 1, 1])[None]},
            r"stress of m frame 0 \(.+\) is not finite",
        ),
    ],
)
def test_impossible_cells(changes, message):
    given = {"cell": np.eye(3)[None], "pbc": np.array([[True, False, True]])} | changes
    with pytest.raises(UserError, match=message):
        replace(toy.random_molecule(3, 1), **given)
