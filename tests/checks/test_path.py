"""Positions that were moved, and trajectories one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.path import on_one_path
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import FloatArray, Frames
from tests.checks.cases import clean, turned

FRAMES, ATOMS = 120, 6


def vibrating(seed: int, step: float = 0.25) -> FloatArray:
    """(FRAMES, ATOMS, 3) angstrom: three vibrations of 0.1 angstrom, the fastest by `step` rad."""
    rng = np.random.default_rng(seed)
    time = step * np.arange(FRAMES)[:, None] * [1.0, 0.6, 0.3] + rng.uniform(0, 6, 3)
    modes = rng.normal(0, 0.1, (3, ATOMS, 3))
    rest = 1.4 * np.arange(ATOMS)[:, None] * [1.0, 0.1, 0.0]
    return np.asarray(rest + np.einsum("tk,kax->tax", np.sin(time), modes))


def subject(positions: FloatArray, seed: int = 0) -> Subject:
    return Subject(turned_frames(positions, seed))


def turned_frames(positions: FloatArray, seed: int) -> Frames:
    frames = Frames.unlabelled("x", np.full(ATOMS, 6), positions)
    turns = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(frames), 3, 3)))[0]
    turned = np.einsum("mij,maj->mai", turns, positions)
    return Frames.unlabelled("x", frames.numbers[:ATOMS], turned)


@given(st.integers(5, FRAMES - 6), st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_a_frame_off_its_path(row: int, seed: int) -> None:
    positions = vibrating(seed)
    assert on_one_path(subject(positions, seed)).verdict == "ok"
    positions[row] += np.random.default_rng(seed).normal(0, 0.1, (ATOMS, 3))
    found = on_one_path(subject(positions, seed))
    assert (found.verdict, found.frames) == ("suspect", (row,))
    assert "off the path" in found.text


@given(st.integers(20, FRAMES - 20), st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_two_trajectories_one_after_the_other(row: int, seed: int) -> None:
    other = vibrating(seed + 1) * 1.05
    positions = np.concatenate([vibrating(seed)[:row], other[row:]])
    found = on_one_path(subject(positions))
    assert found.verdict == "suspect"
    assert min(abs(frame - row) for frame in found.frames) <= 1


def test_frames_that_are_no_trajectory() -> None:
    mixed = np.random.default_rng(0).permutation(vibrating(0))
    assert on_one_path(subject(mixed)).verdict == "not run"
    assert on_one_path(subject(vibrating(0, step=2.5))).verdict == "not run"


@pytest.mark.parametrize("first", [0, 3000])
def test_a_real_trajectory(first: int) -> None:
    assert on_one_path(Subject(turned(clean(1000, first), 0))).verdict == "ok"
