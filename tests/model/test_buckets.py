"""Frames of many sizes: which tables they lie in, and that a batch of them is the same batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.data import catalogue
from deepset_bench.model.batches import Shape
from deepset_bench.model.buckets import Buckets, table_shapes
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.neighbours import most_neighbours
from tests import toy
from tests.model.test_batches import brute_pairs, cutoffs, every_second, mixture, molecules


def in_buckets(frames: Frames, cutoff: float, splits: list[int], **options) -> Buckets:
    """Tables for up to each of some numbers of atoms, and one for the rest."""
    rows = sorted({*splits, int(frames.n_atoms.max())})
    shapes = [Shape.of(n, int(most_neighbours(frames, cutoff)[1].max())) for n in rows]
    return Buckets.build(frames, cutoff, shapes, dtype=torch.float64, **options)


def pairs_of(tables: Buckets, chosen: list[int]) -> list[tuple[int, int, int]]:
    """(place of the frame in the batch, i, j) of each pair, atoms counted within the frame.

    Each frame is to be chosen once.
    """
    found = []
    for part in tables.gather(torch.tensor(chosen)):
        n = len(part.batch.numbers) // part.batch.n_frames
        for j, i in part.batch.edge_index().T.tolist():
            place = chosen.index(int(part.frames[i // n]))
            assert i // n == j // n
            found.append((place, i % n, j % n))
    return sorted(found)


splits = st.lists(st.integers(1, 9), max_size=3)


@settings(max_examples=60, deadline=None)
@given(molecules=molecules, cutoff=cutoffs, splits=splits, data=st.data())
@pytest.mark.parametrize("halved", [False, True])
def test_the_parts_of_a_batch_hold_its_frames_and_pairs(halved, molecules, cutoff, splits, data):
    """In however many parts; the halved edge list is that of the whole batch."""
    frames = mixture(molecules)
    chosen = data.draw(st.permutations(range(len(frames))))
    chosen = chosen[: data.draw(st.integers(1, len(frames)))]
    tables = in_buckets(frames, cutoff, splits, every_second=halved)
    parts = tables.gather(torch.tensor(chosen))
    assert sorted(torch.cat([part.frames for part in parts]).tolist()) == sorted(chosen)
    for part in parts:
        for frame, numbers, positions in zip(
            part.frames.tolist(),
            part.batch.numbers.view(part.batch.n_frames, -1),
            part.batch.positions.view(part.batch.n_frames, -1, 3),
            strict=True,
        ):
            atoms = frames.atoms_of(frame)
            n = int(frames.n_atoms[frame])
            np.testing.assert_array_equal(numbers[:n], frames.numbers[atoms])
            np.testing.assert_array_equal(positions[:n], frames.positions[atoms])
            assert not numbers[n:].any()
    if len(tables.tables) > 1:
        shares = torch.stack([part.share for part in parts])
        sizes = [[part.batch.n_frames, int((part.batch.numbers > 0).sum())] for part in parts]
        expected = np.array(sizes) / np.sum(sizes, axis=0)
        np.testing.assert_allclose(shares, expected, rtol=1e-6)  # float32

    part = frames.select(chosen)
    edges = every_second(part, cutoff) if halved else brute_pairs(part, cutoff)
    frame, first = part.frame_of_atom, part.offsets
    expected = sorted((int(frame[i]), i - first[frame[i]], j - first[frame[i]]) for i, j in edges)
    assert pairs_of(tables, chosen) == expected


@settings(max_examples=30, deadline=None)
@given(molecules=molecules, splits=splits)
def test_values_of_atoms_and_frames_go_into_the_rows_and_back(molecules, splits):
    frames = mixture(molecules)
    tables = in_buckets(frames, 5.0, splits)
    positions = torch.tensor(frames.positions)
    rows = tables.by_row(positions)
    for of_table, table in zip(rows, tables.tables, strict=True):
        assert torch.equal(of_table, table.positions)
    assert torch.equal(tables.by_atom(rows), positions)
    assert tables.by_frame(tables.members).tolist() == list(range(len(frames)))
    assert torch.equal(tables.by_frame([table.n_pairs for table in tables.tables]), tables.n_pairs)


@settings(max_examples=60, deadline=None)
@given(molecules=molecules, cutoff=cutoffs, batch_size=st.integers(1, 100))
def test_every_frame_fits_and_no_two_shapes_are_for_the_same(molecules, cutoff, batch_size):
    frames = mixture(molecules)
    shapes = table_shapes(frames, cutoff, batch_size)
    rows = [shape.rows for shape in shapes]
    assert rows == sorted(set(rows))
    assert set(rows) <= set(frames.n_atoms.tolist())
    assert rows[-1] == frames.n_atoms.max()
    assert len(Buckets.build(frames, cutoff, shapes).tables) == len(shapes)


def test_a_few_large_frames_do_not_pad_many_small_ones():
    small, large = toy.frames(1, 300), toy.frames(30, 2)
    frames = Frames.concatenate([large, small])
    shapes = table_shapes(frames, 5.0, 20)
    assert shapes == (*table_shapes(small, 5.0, 20), *table_shapes(large, 5.0, 20))
    assert [shape.dense for shape in shapes] == [True, False]


def test_sizes_between_are_put_where_they_cost_least():
    frames = Frames.concatenate([toy.frames(n, 100) for n in (1, 2, 20, 22)])
    assert [shape.rows for shape in table_shapes(frames, 5.0, 20)] == [6, 66]
    # Where a call costs more than the padding, there is one.
    assert [shape.rows for shape in table_shapes(frames, 5.0, 1, "cuda")] == [66]


def test_the_shipped_alkenes_lie_in_one_table():
    """As when their committed results were made; with any one of them left out, too."""
    frames = catalogue.load("alkenes").select(slice(None, None, 13))
    kept = [np.full(len(frames), True)]
    kept += [frames.molecule != name for name in np.unique(frames.molecule)]
    kept += [frames.n_atoms <= n for n in np.unique(frames.n_atoms)]
    for rows in kept:
        part = frames.select(np.flatnonzero(rows))
        for batch_size in (10, 20, 40):
            n = int(part.n_atoms.max())
            most = int(most_neighbours(part, 5.0)[1].max())
            assert table_shapes(part, 5.0, batch_size) == (Shape.of(n, most),)
