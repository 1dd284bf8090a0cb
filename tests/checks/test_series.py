"""Frozen frames, drifts, and temperatures against ones that were put in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.units import kB
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.series import bond_temperature, drift, temperature
from deepset_bench.checks.subject import Subject
from tests.checks.cases import clean, cubes, find, shuffled

FROZEN = "frozen frames"


@given(st.integers(1, 99), st.integers(1, 30))
@settings(max_examples=10, deadline=None)
def test_frames_that_stand_still(first: int, count: int) -> None:
    frames = clean(130)
    rows = np.arange(130)
    rows[first : first + count] = first - 1
    found = find(replace(frames.select(rows), index=np.arange(130)), FROZEN)
    assert found.frames == tuple(range(first, first + count))
    assert found.verdict == ("defect" if count / 130 > 0.01 else "suspect")


def test_labels_that_stand_still_while_atoms_move() -> None:
    frames = clean(100)
    energy, forces = frames.energy.copy(), cubes(frames.forces)
    energy[50:55], forces[50:55] = energy[49], forces[49]
    found = find(replace(frames, energy=energy, forces=forces.reshape(-1, 3)), FROZEN)
    assert found.verdict == "defect"
    assert found.frames == (50, 51, 52, 53, 54)
    assert "keep its energy" in found.text


@pytest.mark.parametrize(("size", "verdict"), [(0.0, "ok"), (3.0, "suspect"), (-3.0, "suspect")])
def test_drift(size: float, verdict: str) -> None:
    frames = clean(1000)
    ramp = size * frames.energy.std() * np.linspace(0, 1, 1000)
    found = drift(Subject(replace(frames, energy=frames.energy + ramp)))
    assert found.verdict == verdict
    assert found.number * size >= 0


@given(st.floats(30, 2000), st.floats(5, 60), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_the_temperature_of_a_harmonic_bond(kelvin: float, stiffness: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stretch = rng.normal(0, np.sqrt(kB * kelvin / stiffness), 20_000)
    found = bond_temperature(10.0 + stretch, -stiffness * stretch)
    assert found == pytest.approx(kelvin, rel=0.05)


def test_the_temperature_of_the_shipped_set() -> None:
    """Its thermostat was at 300 K, its hills heat it."""
    found = temperature(Subject(clean(3000)))
    assert found.verdict == "ok"
    assert found.number == pytest.approx(314, abs=10)


def test_a_cold_methyl_group_is_named() -> None:
    frames = clean(1000)
    positions, forces = cubes(frames.positions), cubes(frames.forces)
    for light in (4, 5, 6):  # hydrogens of carbon 0, their stretches reduced to a third
        vector = positions[:, light] - positions[:, 0]
        length = np.linalg.norm(vector, axis=1, keepdims=True)
        calm = length.mean() + (length - length.mean()) / 3
        positions[:, light] = positions[:, 0] + vector / length * calm
        along = (forces[:, light] * vector).sum(axis=1, keepdims=True) / length
        forces[:, light] -= (1 - 1 / 3) * (along - along.mean()) * vector / length
    cold = replace(frames, positions=positions.reshape(-1, 3), forces=forces.reshape(-1, 3))
    found = temperature(Subject(cold))
    assert found.verdict == "suspect"
    assert found.atoms == (0,)


def test_frames_out_of_order_are_no_trajectory() -> None:
    subject = Subject(clean(400).select(np.random.default_rng(0).permutation(400)))
    assert drift(subject).verdict == "not run"
    assert temperature(subject).verdict == "not run"
    assert temperature(Subject(shuffled(clean(400), 0))).verdict == "ok"  # numbered anew
