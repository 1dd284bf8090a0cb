"""What neighbours in time tell training about frames held out at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from deepset_bench.checks.leakage import CLOSE, leakage, nearness
from deepset_bench.checks.subject import Subject
from deepset_bench.data import catalogue
from deepset_bench.molecules.frames import Frames
from tests.checks.cases import clean, cubes, reordered, shuffled, turned


def dense(n_frames: int, between: int) -> Frames:
    """But-2-ene as if recorded `between` times as often, along a smooth path through its frames."""
    few = clean(n_frames // between + 1)
    path = CubicSpline(np.arange(len(few)), cubes(few.positions))
    positions = path(np.arange(n_frames) / between)
    return Frames.unlabelled("x", few.numbers[: few.n_atoms[0]], positions)


@pytest.mark.parametrize("name", ["but-2-ene", "pent-2-ene", "alkenes"])
def test_frames_twenty_femtoseconds_apart_do_not_leak(name: str) -> None:
    found = leakage(Subject(catalogue.load(name)))
    assert found.verdict == "ok"
    assert found.number is not None
    assert 0.95 < found.number < 1
    assert "over 50 frames away" in found.text or name == "alkenes"


@pytest.mark.parametrize("n_frames", [100, 1000])
def test_frames_of_half_a_femtosecond_leak(n_frames: int) -> None:
    found = leakage(Subject(dense(n_frames, 40)))
    assert found.verdict == "suspect"
    assert found.number is not None
    assert found.number < CLOSE / 2
    assert found.advice == "data.split=blocks holds whole blocks of time out"
    assert leakage(Subject(shuffled(dense(n_frames, 40), 0))).verdict == "ok"


def test_what_is_compared_are_geometries() -> None:
    """Turned on its own, with other energies, its atoms in another order: the same numbers."""
    frames = dense(200, 10)
    changed = turned(reordered(replace(frames, energy=np.arange(200.0)), 1), 1)
    one, other = (nearness(Subject(each).large[0], 200) for each in (frames, changed))
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(other.random, one.random, rtol=0, atol=1e-9)
    np.testing.assert_allclose(other.far, one.far, rtol=0, atol=1e-9)


def test_the_nearest_training_frame_and_the_nearest_far_in_time() -> None:
    """Two atoms that part evenly: neighbours in time are the nearest, 5 % of the time the gap."""
    m, step = 40, 0.01
    positions = np.zeros((m, 2, 3))
    positions[:, 1, 0] = 1 + step * np.arange(m)
    found = nearness(Subject(Frames.unlabelled("x", np.array([7, 7]), positions)).large[0], m)
    assert found is not None
    assert found.gap == 1
    # All but three of forty frames are trained on (a twelfth each held out), nearest to each other.
    assert np.median(found.random) == pytest.approx(step)
    assert np.median(found.far) == pytest.approx(2 * step)


def test_without_time_or_motion_nothing_is_said() -> None:
    frames = clean(100)
    backwards = replace(frames, index=np.arange(100)[::-1])
    still = replace(frames, positions=np.tile(frames.positions[:12], (100, 1)))
    assert leakage(Subject(backwards)).text == "no trajectory in order"
    assert leakage(Subject(still)).verdict == "not run"
    atom = Frames.unlabelled("x", np.array([18]), np.zeros((40, 1, 3)))
    assert leakage(Subject(atom)).verdict == "not run"
