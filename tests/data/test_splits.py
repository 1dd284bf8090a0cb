"""Splits: disjoint, exact in size, repeatable, and without leakage where they promise none."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.data.splits import GAP, Split, split
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames

PARTS = ("train", "val", "test")


def hydrogens(molecules: dict[str, int], start: int = 0) -> Frames:
    """So many one-atom frames of each molecule, numbered in time from `start`."""
    n = sum(molecules.values())
    return Frames(
        numbers=np.ones(n),
        positions=np.zeros((n, 3)),
        n_atoms=np.ones(n),
        energy=np.arange(n),
        forces=np.zeros((n, 3)),
        bias_forces=None,
        molecule=np.repeat(list(molecules), list(molecules.values())),
        index=np.concatenate([start + np.arange(count) for count in molecules.values()]),
    )


def check(result: Split, n_frames: int) -> None:
    drawn = np.concatenate([getattr(result, part) for part in PARTS])
    assert len(np.unique(drawn)) == len(drawn)
    assert len(drawn) == 0 or (drawn.min() >= 0 and drawn.max() < n_frames)


def sizes(result: Split) -> list[int]:
    return [len(getattr(result, part)) for part in PARTS]


def same(a: Split, b: Split) -> bool:
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in PARTS)


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 300),
    train=st.integers(1, 150),
    val=st.integers(0, 100),
    test=st.integers(0, 100),
    seed=st.integers(0, 2**63),
)
def test_random_splits(n, train, val, test, seed):
    frames = hydrogens({"a": n})
    if train + val + test > n:
        with pytest.raises(UserError, match=rf"there are {n}(;|$)") as caught:
            split(frames, "random", train, val, test, seed)
        advised = [int(size) for size in re.findall(r"data\.\w+_size=(\d+)", str(caught.value))]
        assert len(advised) == 3 * (n >= 3)
        if advised:  # it works
            assert sizes(split(frames, "random", *advised, seed)) == advised
        return
    result = split(frames, "random", train, val, test, seed)
    check(result, n)
    assert sizes(result) == [train, val, test]
    assert same(result, split(frames, "random", train, val, test, seed))


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 3000), min_size=1, max_size=3),
    train=st.integers(1, 600),
    val=st.integers(0, 200),
    test=st.integers(0, 200),
    seed=st.integers(0, 2**63),
)
def test_block_splits_keep_parts_apart_in_time(counts, train, val, test, seed):
    frames = hydrogens({f"m{k}": count for k, count in enumerate(counts)}, start=99)
    try:
        result = split(frames, "blocks", train, val, test, seed)
    except UserError:
        # Two gaps on either side of a held-out block are lost, and little else.
        assert len(frames) < 2 * (train + 3 * (val + test)) + 40 * GAP
        return
    check(result, len(frames))
    assert sizes(result) == [train, val, test]
    assert same(result, split(frames, "blocks", train, val, test, seed))
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        a, b = getattr(result, one), getattr(result, other)
        together = frames.molecule[a][:, None] == frames.molecule[b]
        apart = np.abs(frames.index[a][:, None] - frames.index[b])
        assert (apart[together] > GAP).all()


def test_block_splits_hold_out_several_stretches_of_the_reports_trajectory():
    frames = hydrogens({"but-2-ene": 6501}, start=99)
    result = split(frames, "blocks", 1000, 100, 100, seed=0)
    assert sizes(result) == [1000, 100, 100]
    for part in (result.val, result.test):
        stretches = 1 + (np.diff(np.sort(frames.index[part])) > GAP).sum()
        assert stretches >= 2


def test_block_splits_without_room_say_so():
    with pytest.raises(UserError, match=r"no room .* of 200 it leaves out 50 .* split=random"):
        split(hydrogens({"a": 200}), "blocks", 120, 20, 20, seed=0)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=3, max_size=12),
    train=st.integers(1, 100),
    val=st.integers(0, 30),
    test=st.integers(0, 30),
    seed=st.integers(0, 2**63),
)
def test_molecule_splits_hold_whole_molecules_out(counts, train, val, test, seed):
    frames = hydrogens({f"m{k}": count for k, count in enumerate(counts)})
    result = split(frames, "molecule", train, val, test, seed)
    check(result, len(frames))
    for size, cap in zip(sizes(result), (train, val, test), strict=True):
        assert (size > 0) == (cap > 0)
        assert size <= cap
    molecules = [set(frames.molecule[getattr(result, part)]) for part in PARTS]
    assert sum(map(len, molecules)) == len(set.union(*molecules))
    assert same(result, split(frames, "molecule", train, val, test, seed))


def test_molecule_splits_need_a_molecule_for_each_part():
    frames = hydrogens({"a": 50, "b": 50})
    with pytest.raises(UserError, match=r"needs 3 molecules.* 100 frames are of 2"):
        split(frames, "molecule", 10, 5, 5, seed=0)
    assert sizes(split(frames, "molecule", 10, 0, 5, seed=0)) == [10, 0, 5]


def test_held_out_frames_stay_when_only_the_training_size_changes():
    frames = hydrogens({"a": 500})
    small, large = (split(frames, "random", size, 50, 50, seed=3) for size in (100, 400))
    np.testing.assert_array_equal(small.test, large.test)
    np.testing.assert_array_equal(small.val, large.val)
    np.testing.assert_array_equal(small.train, large.train[:100])


def test_seeds_differ():
    frames = hydrogens({"a": 500})
    assert not same(split(frames, "random", 9, 9, 9, 0), split(frames, "random", 9, 9, 9, 1))


def test_a_split_is_the_same_on_every_machine():
    result = split(hydrogens({"a": 20}), "random", 4, 2, 2, seed=42)
    assert [getattr(result, part).tolist() for part in PARTS] == EXPECTED


EXPECTED = [[14, 17, 3, 11], [5, 13], [15, 16]]


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        ("blocs", (1, 1, 1, 0), "unknown split 'blocs'; did you mean blocks"),
        ("time", (1, 1, 1, 0), "valid: blocks, molecule, random|did you mean"),
        ("random", (0, 1, 1, 0), "train_size 0"),
        ("random", (1, -1, 1, 0), "val_size -1"),
        ("random", (1, 1, -1, 0), "test_size -1"),
        ("random", (1, 1, 1, -1), "seed -1"),
        ("blocks", (10, 1, 0, 0), "train 10 [+] val 1 [+] test 0 .* there are 10"),
    ],
)
def test_wrong_arguments_are_one_line(kind, arguments, expected):
    with pytest.raises(UserError, match=expected) as caught:
        split(hydrogens({"a": 10}), kind, *arguments)
    assert "\n" not in str(caught.value)


def test_saved_splits_come_back(tmp_path):
    result = split(hydrogens({"a": 100}), "random", 40, 0, 20, seed=1)
    result.save(tmp_path / "run" / "split.npz")
    loaded = Split.load(tmp_path / "run" / "split.npz")
    assert same(result, loaded)
    assert loaded.train.dtype == np.int64
    with pytest.raises(UserError, match="no such file"):
        Split.load(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"bad")
    with pytest.raises(UserError, match="not a readable split"):
        Split.load(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", train=np.arange(3))
    with pytest.raises(UserError, match="not a readable split"):
        Split.load(tmp_path / "other.npz")
