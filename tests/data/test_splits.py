"""Splits: disjoint, exact in size, repeatable, and without leakage where they promise none."""

import dataclasses
import hashlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench import file_version
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


KINDS = ("random", "blocks", "molecule")
SEVERAL = {"a": 900, "b": 700, "c": 800}


@pytest.mark.parametrize("kind", KINDS)
def test_asking_for_held_out_frames_draws_no_others(kind):
    frames = hydrogens(SEVERAL)
    for seed in range(5):
        without = split(frames, kind, 60, 20, 20, seed)
        assert len(without.held_out) == 0
        for most in (10, 20, 50, 10_000):
            asked = split(frames, kind, 60, 20, 20, seed, held_out_size=most)
            assert same(without, asked)


def test_draws_are_what_they_were():
    """In each kind; also where a draw is repeated, as training lacked an element."""
    digest = hashlib.sha256()
    carbons = hydrogens({"a": 1500, "b": 300})
    numbers = np.where(np.arange(1800) < 330, 6, 1)
    carbons = dataclasses.replace(carbons, numbers=numbers)
    for kind, frames in (("blocks", hydrogens(SEVERAL)), ("molecule", hydrogens(SEVERAL))):
        for seed in range(5):
            drawn = split(frames, kind, 60, 20, 20, seed, held_out_size=100)
            digest.update(b"".join(getattr(drawn, part).tobytes() for part in PARTS))
    for seed in range(12):
        drawn = split(carbons, "blocks", 30, 20, 20, seed, held_out_size=100)
        digest.update(b"".join(getattr(drawn, part).tobytes() for part in PARTS))
    assert digest.hexdigest()[:16] == "1dc485e010f8ba3f"


def test_held_out_of_a_random_split_is_all_that_is_left():
    frames = hydrogens({"a": 100, "b": 50})
    drawn = split(frames, "random", 40, 10, 20, 1, held_out_size=1000)
    rest = np.setdiff1d(np.arange(150), np.concatenate([drawn.train, drawn.val]))
    np.testing.assert_array_equal(drawn.held_out, rest)
    fewer = split(frames, "random", 40, 10, 20, 1, held_out_size=50)
    assert len(fewer.held_out) == 50
    assert set(drawn.test) <= set(fewer.held_out) <= set(rest)
    assert set(split(frames, "random", 40, 10, 20, 1, held_out_size=5).held_out) <= set(drawn.test)
    without_test = split(frames, "random", 40, 10, 0, 1, held_out_size=1000)
    assert len(without_test.held_out) == 100
    # Learning curves are of the same frames, as long as there are enough.
    larger = split(frames, "random", 60, 10, 20, 1, held_out_size=50)
    np.testing.assert_array_equal(larger.held_out, fewer.held_out)


def test_held_out_of_blocks_is_as_far_from_training_as_the_test_part():
    frames = hydrogens({"a": 3000, "b": 2000})
    drawn = split(frames, "blocks", 400, 50, 60, 2, held_out_size=10_000)
    assert len(drawn.held_out) > 2 * 60
    assert set(drawn.test) <= set(drawn.held_out)
    for rows in (drawn.train, drawn.val):
        together = frames.molecule[rows][:, None] == frames.molecule[drawn.held_out]
        apart = np.abs(frames.index[rows][:, None] - frames.index[drawn.held_out])
        assert (apart[together] > GAP).all()
    fewer = split(frames, "blocks", 400, 50, 60, 2, held_out_size=100)
    assert len(fewer.held_out) == 100
    assert set(drawn.test) <= set(fewer.held_out) <= set(drawn.held_out)


def test_held_out_of_molecules_is_whole_molecules():
    frames = hydrogens({f"m{k}": 30 for k in range(9)})
    drawn = split(frames, "molecule", 60, 20, 20, 0, held_out_size=10_000)
    of_test = np.unique(frames.molecule[drawn.test])
    whole = np.flatnonzero(np.isin(frames.molecule, of_test))
    np.testing.assert_array_equal(np.unique(frames.molecule[drawn.held_out]), of_test)
    np.testing.assert_array_equal(drawn.held_out, whole)
    assert not set(drawn.held_out) & {*drawn.train, *drawn.val}


def test_frames_of_an_element_that_training_lacks_are_not_held_out():
    frames = hydrogens({"a": 300})
    frames = dataclasses.replace(frames, numbers=np.where(np.arange(300) % 40 == 0, 6, 1))
    found = [split(frames, "random", 40, 1, 1, seed, held_out_size=300) for seed in range(8)]
    counts = set()
    for drawn in found:
        in_training = 6 in frames.numbers[drawn.train]
        assert (6 in frames.numbers[drawn.held_out]) == in_training
        assert len(drawn.held_out) == (259 if in_training else 259 - 8)
        counts.add(in_training)
    assert counts == {True, False}


def test_saved_splits_come_back(tmp_path):
    result = split(hydrogens({"a": 100}), "random", 40, 0, 20, seed=1, held_out_size=100)
    result.save(tmp_path / "run" / "split.npz")
    loaded = Split.load(tmp_path / "run" / "split.npz")
    assert same(result, loaded)
    np.testing.assert_array_equal(loaded.held_out, result.held_out)
    assert len(loaded.held_out) == 60
    assert loaded.train.dtype == np.int64
    before = split(hydrogens({"a": 100}), "random", 40, 0, 20, seed=1)
    before.save(tmp_path / "before.npz")
    with np.load(tmp_path / "before.npz") as stored:
        assert set(stored) == {*PARTS, file_version.KEY}
    assert len(Split.load(tmp_path / "before.npz").held_out) == 0
    with pytest.raises(UserError, match="no such file"):
        Split.load(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"bad")
    with pytest.raises(UserError, match="not a readable split"):
        Split.load(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", train=np.arange(3))
    with pytest.raises(UserError, match="not a readable split"):
        Split.load(tmp_path / "other.npz")
