"""Net force and torque, outliers, and a bias that the set itself names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.cheap import cheap_checks
from deepset_bench.checks.isolation import robust_score
from tests.checks.cases import A, bias, clean, cubes, find, turned


@given(st.integers(0, 99), st.integers(0, A - 1), st.floats(1.5, 50), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_a_force_from_outside_on_one_atom_of_one_frame(
    row: int, atom: int, size: float, seed: int
) -> None:
    frames = turned(clean(100), seed)
    forces = cubes(frames.forces)
    forces[row, atom] += size
    found = find(replace(frames, forces=forces.reshape(-1, 3)), "net force")
    assert found.verdict == "defect"
    assert found.frames == (row,)


@pytest.mark.parametrize(("noise", "verdict"), [(1e-4, "ok"), (0.02, "suspect"), (0.2, "defect")])
def test_noise_in_the_forces_is_measured(noise: float, verdict: str) -> None:
    frames = clean(200)
    rng = np.random.default_rng(0)
    noisy = frames.forces + rng.normal(0, noise, frames.forces.shape)
    for check in ("net force", "net torque"):
        found = find(replace(frames, forces=noisy), check)
        assert found.verdict == verdict
        assert found.number == pytest.approx(noise, rel=0.15)


def test_forces_of_another_frame_turn_the_molecule() -> None:
    frames = clean(100)
    forces = cubes(frames.forces)
    forces[[10, 60]] = forces[[60, 10]]
    found = find(replace(frames, forces=forces.reshape(-1, 3)), "net torque")
    assert found.verdict == "defect"
    assert found.frames == (10, 60)
    assert find(replace(frames, forces=forces.reshape(-1, 3)), "net force").verdict == "ok"


def test_forces_of_atoms_in_another_order() -> None:
    frames = clean(100)
    forces = cubes(frames.forces)[:, ::-1].reshape(-1, 3)
    assert find(replace(frames, forces=forces), "net torque").verdict == "defect"


@given(st.integers(0, 99), st.sampled_from([30.0, 100.0, 1e4]))
@settings(max_examples=10, deadline=None)
def test_outliers(row: int, times: float) -> None:
    frames = clean(100)
    energy = frames.energy.copy()
    spread = 1.4826 * np.median(np.abs(energy - np.median(energy)))
    energy[row] = np.median(energy) + times * spread * 1.1
    found = find(replace(frames, energy=energy), "outliers")
    assert found.verdict == "defect"
    assert found.frames == (row,)
    assert found.number == pytest.approx(times * 1.1, rel=0.2)


def test_a_force_of_a_thousand_is_an_outlier_and_a_relaxed_frame_none() -> None:
    frames = clean(100)
    forces = cubes(frames.forces)
    forces[3] *= 1e-5
    assert find(replace(frames, forces=forces.reshape(-1, 3)), "outliers").verdict == "ok"
    forces[7] *= 1000
    found = find(replace(frames, forces=forces.reshape(-1, 3)), "outliers")
    assert found.verdict in ("suspect", "defect")
    assert found.frames == (7,)


def test_scores_of_what_does_not_vary() -> None:
    assert robust_score(np.full(10, 3.0)).tolist() == [0.0] * 10


def test_a_named_bias_counts_only_where_it_is_trained_on() -> None:
    frames = replace(clean(400), bias_forces=bias(400))
    assert find(frames, "bias kept apart").verdict == "ok"
    found = find(frames, "bias kept apart", labels="biased")
    assert found.verdict == "defect"
    assert found.number == pytest.approx(np.abs(bias(400)).mean())
    verdict = cheap_checks(frames, "biased")
    assert verdict.verdict == "defect"
    assert "hold a bias" in verdict.findings[0]  # what tables print under a dagger
