"""Along which coordinate a force acts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.coordinates import _gradients, explaining_coordinate
from deepset_bench.checks.subject import Subject
from tests.checks.cases import clean, cubes


def value(frame: np.ndarray, chain: tuple[int, ...]) -> float:
    """The squared distance / 2 or the cosine of the angle, by definition."""
    if len(chain) == 2:
        return float(((frame[chain[0]] - frame[chain[1]]) ** 2).sum() / 2)
    first, second = frame[chain[0]] - frame[chain[1]], frame[chain[2]] - frame[chain[1]]
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.parametrize("chain", [(0, 3), (0, 1, 2), (4, 0, 1)])
def test_gradients_are_those_of_the_coordinate(chain: tuple[int, ...]) -> None:
    positions = cubes(clean(3).positions)
    found = _gradients(positions, chain)
    for atom in range(12):
        for axis in range(3):
            shift = np.zeros_like(positions)
            shift[:, atom, axis] = 1e-6
            for m in range(3):
                ahead, behind = (value((positions + s * shift)[m], chain) for s in (1, -1))
                assert found[m, atom, axis] == pytest.approx((ahead - behind) / 2e-6, abs=1e-6)


@given(st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_random_forces_are_along_nothing(seed: int) -> None:
    (group,) = Subject(clean(10)).groups
    forces = np.zeros((10, 12, 3))
    forces[:, :4] = np.random.default_rng(seed).normal(size=(10, 4, 3))
    assert explaining_coordinate(group, forces, [0, 1, 2, 3])[0] == ""


def test_too_many_atoms_are_no_coordinate() -> None:
    (group,) = Subject(clean(5)).groups
    assert explaining_coordinate(group, np.ones((5, 12, 3)), list(range(12))) == ("", 0.0)
