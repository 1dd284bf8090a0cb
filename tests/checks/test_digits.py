"""Rounding is seen by the step that all numbers are multiples of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.digits import common_step
from deepset_bench.units import HARTREE
from tests.checks.cases import clean, find


def test_all_digits_are_there() -> None:
    assert find(clean(60), "digits").verdict == "ok"


@pytest.mark.parametrize(("offset", "verdict"), [(-1e5, "suspect"), (-3e6, "defect")])
def test_single_precision(offset: float, verdict: str) -> None:
    frames = clean(60)
    energy = np.float32(frames.energy - frames.energy.mean() + offset).astype(np.float64)
    found = find(replace(frames, energy=energy), "digits")
    assert found.verdict == verdict
    assert found.number == pytest.approx(np.spacing(np.float32(-offset)))
    assert "with all digits" in found.advice


@pytest.mark.parametrize("decimals", [2, 3])
def test_few_decimals_of_hartree(decimals: int) -> None:
    frames = clean(60)
    energy = np.round(frames.energy / HARTREE, decimals) * HARTREE
    found = find(replace(frames, energy=energy), "digits")
    assert found.verdict in ("suspect", "defect")
    assert found.number == pytest.approx(HARTREE / 10**decimals)


def test_positions_of_two_decimals() -> None:
    frames = clean(60)
    found = find(replace(frames, positions=np.round(frames.positions, 2)), "digits")
    assert found.verdict in ("suspect", "defect")
    assert "positions are multiples of 0.01 angstrom" in found.text
    fine = replace(frames, positions=np.round(frames.positions, 4))
    assert find(fine, "digits").verdict == "ok"


@given(st.floats(1e-3, 10), st.integers(0, 1000), st.floats(-1e4, 1e4))
@settings(max_examples=20, deadline=None)
def test_the_step_of_numbers(step: float, seed: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, 1000, 60)
    assert common_step(step * whole + offset) == pytest.approx(
        step * np.gcd.reduce(np.diff(np.unique(whole))), rel=1e-4
    )
    assert common_step(rng.normal(size=60)) == 0.0


def test_few_numbers_have_no_step() -> None:
    assert common_step(np.array([1.0, 2.0, 3.0])) == 0.0
    assert common_step(np.ones(100)) == 0.0
