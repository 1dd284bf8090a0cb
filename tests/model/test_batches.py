"""Neighbour tables against a plain double loop over atoms, for any mixture of molecules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.errors import UserError
from deepset_bench.model.batches import Batch, Tables, with_slope
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.neighbours import neighbour_pairs
from tests import toy

molecules = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 1000)), min_size=1, max_size=5)
cutoffs = st.floats(0.5, 9.0)


def mixture(molecules: list[tuple[int, int]]) -> Frames:
    return Frames.concatenate(toy.random_molecule(n, seed) for n, seed in molecules)


def brute_pairs(frames: Frames, cutoff: float) -> list[tuple[int, int]]:
    """(i, j) over all atoms of the set, i ascending, then j."""
    found = []
    for i in range(len(frames.numbers)):
        for j in range(len(frames.numbers)):
            same = frames.frame_of_atom[i] == frames.frame_of_atom[j]
            vector = frames.positions[i] - frames.positions[j]
            if i != j and same and np.sqrt(vector @ vector) < cutoff:
                found.append((i, j))
    return found


def rows_of(frames: Frames, chosen: list[int]) -> tuple[Frames, np.ndarray]:
    """The chosen frames as a set of their own, and the padded row of each of their atoms."""
    n = int(frames.n_atoms.max())
    part = frames.select(chosen)
    frame = part.frame_of_atom
    return part, frame * n + np.arange(len(frame)) - part.offsets[frame]


def pairs_in(batch: Batch) -> dict[tuple[int, int], tuple[int, int]]:
    """(row of i, row of j) -> place in the table."""
    return {
        (int(i), int(batch.neighbours[i, slot])): (int(i), int(slot))
        for i, slot in batch.pair.nonzero()
    }


@settings(max_examples=60, deadline=None)
@given(molecules=molecules, cutoff=cutoffs)
def test_neighbour_pairs(molecules, cutoff):
    frames = mixture(molecules)
    i, j, *_ = neighbour_pairs(frames, cutoff)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == brute_pairs(frames, cutoff)


@pytest.mark.parametrize("spread", [1.0, 100.0, 1e4, 1e6])
def test_neighbour_pairs_of_fragments_however_far_apart(spread):
    """A search with cells of the size of the cutoff would need more of them than can be counted."""
    corners = np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [9.0, 8.0, 7.0], [-9.0, 4.0, 3.0]])
    positions = [
        toy.random_molecule(4, seed).positions + spread * corner
        for seed, corner in enumerate(corners)
    ]
    frames = toy.geometry(np.ones(16), np.concatenate(positions))
    i, j, *_ = neighbour_pairs(frames, 3.0)
    assert len(i) > 8
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == brute_pairs(frames, 3.0)


@pytest.mark.parametrize("far_atom", [[], [[1e6, 1e6, 0.0]]], ids=["near", "far"])
def test_a_pair_exactly_at_the_cutoff_is_none(far_atom):
    positions = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 2.0, 0.0], *far_atom])
    i, j, *_ = neighbour_pairs(toy.geometry(np.ones(len(positions)), positions), 3.0)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 2), (2, 0)]


@settings(max_examples=60, deadline=None)
@given(molecules=molecules, cutoff=cutoffs, data=st.data())
def test_a_batch_holds_every_pair_of_its_frames_once(molecules, cutoff, data):
    """Of any selection of frames: repeated, in any order, of any sizes."""
    frames = mixture(molecules)
    chosen = data.draw(st.lists(st.integers(0, len(frames) - 1), min_size=1, max_size=6))
    batch = Tables.build(frames, cutoff, dtype=torch.float64).gather(torch.tensor(chosen))
    part, row = rows_of(frames, chosen)

    numbers = np.zeros(len(batch.numbers), dtype=int)
    numbers[row] = part.numbers
    np.testing.assert_array_equal(batch.numbers, numbers)
    np.testing.assert_array_equal(batch.positions[row], part.positions)
    assert batch.n_frames == len(chosen)

    pairs = brute_pairs(part, cutoff)
    places = pairs_in(batch)
    assert len(places) == int(batch.pair.sum())
    assert set(places) == {(int(row[i]), int(row[j])) for i, j in pairs}
    for i, j in pairs:
        place = places[int(row[i]), int(row[j])]
        vector = part.positions[i] - part.positions[j]
        assert float(batch.distances[place]) == pytest.approx(np.linalg.norm(vector), rel=1e-15)
        unit = vector / np.linalg.norm(vector)
        np.testing.assert_allclose(batch.directions[place], unit, rtol=0, atol=1e-15)

    expected = [[row[j] for _, j in pairs], [row[i] for i, _ in pairs]]
    np.testing.assert_array_equal(batch.edge_index(), np.array(expected).reshape(2, -1))


@settings(max_examples=60, deadline=None)
@given(molecules=molecules, cutoff=cutoffs)
def test_reverse_is_an_involution_that_leads_to_the_transpose(molecules, cutoff):
    frames = mixture(molecules)
    batch = Tables.build(frames, cutoff).gather(torch.arange(len(frames)).flip(0))
    J = batch.pair.shape[1]
    reverse = batch.reverse.flatten()
    np.testing.assert_array_equal(reverse[reverse], np.arange(len(reverse)))
    pair = batch.pair.flatten()
    padding = np.arange(len(reverse))[~pair.numpy()]
    np.testing.assert_array_equal(reverse[padding], padding)
    i, j = torch.arange(len(reverse)) // J, batch.neighbours.flatten()
    np.testing.assert_array_equal(i[reverse][pair], j[pair])
    np.testing.assert_array_equal(j[reverse][pair], i[pair])


@settings(max_examples=30, deadline=None)
@given(molecules=molecules, cutoff=cutoffs)
def test_padding_is_harmless(molecules, cutoff):
    frames = mixture(molecules)
    batch = Tables.build(frames, cutoff, dtype=torch.float64).gather(torch.arange(len(frames)))
    assert (batch.distances[~batch.pair] == cutoff).all()
    assert (batch.directions[~batch.pair] == 0).all()
    assert not batch.pair[batch.numbers == 0].any()
    values = torch.arange(1.0, len(batch.numbers) + 1, dtype=torch.float64)
    rows = values.view(len(frames), -1)
    expected = [rows[m, :n].sum() for m, n in enumerate(frames.n_atoms)]
    np.testing.assert_allclose(batch.per_frame(values), expected, rtol=1e-15)


def test_with_slope_agrees_with_autograd():
    d = torch.linspace(0.5, 3.0, 12, dtype=torch.float64).view(3, 4).requires_grad_()
    value, slope = with_slope(lambda d: torch.stack([d.sin(), d.sqrt()], dim=-1), d)
    torch.testing.assert_close(value, torch.stack([d.sin(), d.sqrt()], -1))
    for column in range(2):
        (gradient,) = torch.autograd.grad(value[..., column].sum(), d, retain_graph=True)
        torch.testing.assert_close(slope[..., column], gradient, rtol=1e-14, atol=0)


def every_second(frames: Frames, cutoff: float) -> set[tuple[int, int]]:
    """What the report's code kept of a batch: [all pairs i > j ; all transposes][::2]."""
    lower = [(i, j) for i, j in brute_pairs(frames, cutoff) if i > j]
    return set((lower + [(j, i) for i, j in lower])[::2])


@settings(max_examples=60, deadline=None)
@given(molecules=molecules, cutoff=cutoffs, data=st.data())
def test_every_second_edge_of_a_batch(molecules, cutoff, data):
    frames = mixture(molecules)
    chosen = data.draw(st.lists(st.integers(0, len(frames) - 1), min_size=1, max_size=6))
    tables = Tables.build(frames, cutoff, every_second=True)
    batch = tables.gather(torch.tensor(chosen))
    part, row = rows_of(frames, chosen)
    expected = {(int(row[i]), int(row[j])) for i, j in every_second(part, cutoff)}
    assert set(pairs_in(batch)) == expected

    both = batch.pair.flatten() & batch.pair.flatten()[batch.reverse.flatten()]
    n_pairs = len(brute_pairs(part, cutoff)) // 2
    assert int(batch.pair.sum()) == n_pairs  # half of all directed pairs
    if n_pairs % 2 == 0:  # finding 15: half of all pairs vanish, in both directions
        assert int(both.sum()) == n_pairs
    else:  # each survives in one direction
        assert not both.any()


def test_two_atoms_at_one_place_are_named():
    frames = Frames(
        numbers=np.array([6, 1, 6, 1]),
        positions=np.array([[0, 0, 0], [1.1, 0, 0], [0.5, 0, 0], [0.5, 0, 0]], dtype=float),
        n_atoms=np.array([2, 2]),
        energy=np.zeros(2),
        forces=np.zeros((4, 3)),
        bias_forces=None,
        molecule=np.array(["CH", "CH"]),
        index=np.array([7, 9]),
    )
    with pytest.raises(UserError, match=r"CH frame 9 \(counted from 0\): two atoms at one place"):
        Tables.build(frames, 5.0)
