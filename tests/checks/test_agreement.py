"""Energies and forces of one smooth surface, or not: what is planted is found and named."""

from __future__ import annotations

import numpy as np
import pytest

from deepset_bench.checks.agreement import smooth
from deepset_bench.checks.finding import Finding
from deepset_bench.checks.subject import Subject
from deepset_bench.checks.surface import LeftOut, Surface
from tests.checks.cases import clean
from tests.checks.toy import frames, geometries, labels


def examined(positions, energy, forces) -> tuple[Finding, Finding]:
    whole, single = smooth(Subject(frames(positions, energy, forces)))
    return whole, single


def spring(positions, stiffness: float, on=True):
    """Forces of a spring between atoms 1 and 2, resting where they are 0.1 angstrom apart more."""
    vector = positions[:, 1] - positions[:, 2]
    d = np.linalg.norm(vector, axis=1)
    size = np.where(on, -stiffness * (d - d.mean() - 0.1) / d, 0.0)
    added = np.zeros_like(positions)
    added[:, 1], added[:, 2] = size[:, None] * vector, -size[:, None] * vector
    return added


@pytest.mark.parametrize("size", [0.02, 0.08])
def test_sound_labels(size: float) -> None:
    positions = geometries(size=size)
    assert [found.verdict for found in examined(positions, *labels(positions))] == ["ok", "ok"]


@pytest.mark.parametrize("stiffness", [1.0, 3.0])
def test_a_spring_in_the_forces_alone_is_measured(stiffness: float) -> None:
    positions = geometries()
    energy, forces = labels(positions)
    whole, _ = examined(positions, energy, forces + spring(positions, stiffness))
    assert whole.verdict == "defect"
    assert whole.atoms == (1, 2)
    assert f"of stiffness {stiffness:.0f}" in whole.text or f"{stiffness:.1f}" in whole.text


def test_a_spring_in_some_frames() -> None:
    positions = geometries()
    energy, forces = labels(positions)
    on = np.arange(40) % 5 == 0
    _, single = examined(positions, energy, forces + spring(positions, 3.0, on))
    assert single.verdict in ("suspect", "defect")
    assert set(single.frames) <= set(np.flatnonzero(on))


def test_forces_of_another_method_in_some_frames_are_counted() -> None:
    positions = geometries()
    energy, forces = labels(positions)
    on = np.arange(40) % 8 == 0
    forces[on] = labels(positions, longer=0.02)[1][on]
    _, single = examined(positions, energy, forces)
    assert single.verdict == "defect"
    assert set(single.frames) <= set(np.flatnonzero(on))
    assert f"of {len(single.frames)} of 40 frames" in single.text
    assert "largest misfit" in single.text


@pytest.mark.parametrize("factor", [0.85, 1.2])
def test_forces_that_are_not_of_size_one(factor: float) -> None:
    positions = geometries()
    energy, forces = labels(positions)
    whole, _ = examined(positions, energy, factor * forces)
    assert whole.verdict == "defect"
    assert f"the forces are {factor:g} times the gradient" in whole.text


def test_energies_that_drift_or_step() -> None:
    positions = geometries()
    energy, forces = labels(positions)
    time = np.linspace(0, 1, 40)
    whole, _ = examined(positions, energy + 0.1 * time, forces)
    assert (whole.verdict, "drift by 0.1 eV" in whole.text) == ("defect", True)
    whole, _ = examined(positions, energy + np.where(time > 0.5, 0.05, 0), forces)
    assert (whole.verdict, "step by 0.05 eV" in whole.text) == ("defect", True)
    assert "at frame 20" in whole.text
    assert "leave" not in whole.advice


def test_one_frame_that_was_moved() -> None:
    positions = geometries()
    energy, forces = labels(positions)
    positions[7] += np.random.default_rng(1).normal(0, 0.02, (4, 3))
    _, single = examined(positions, energy, forces)
    assert single.verdict == "defect"
    assert single.frames == (7,)


@pytest.mark.parametrize("wrong", ["energy", "forces"])
def test_the_wrong_label_of_one_frame_is_not_said_of_all(wrong: str) -> None:
    positions = geometries()
    energy, forces = labels(positions)
    if wrong == "energy":
        energy[7] += 100.0
    else:
        forces[7] = 0.0
    whole, single = examined(positions, energy, forces)
    assert whole.verdict == "ok"
    assert (single.verdict, single.frames) == ("defect", (7,))
    assert single.text.startswith(f"{wrong} of 1 of 40 frames")


def test_nothing_is_said_of_few_frames() -> None:
    assert {found.verdict for found in smooth(Subject(clean(10)))} == {"not run"}


def test_covariances_are_those_of_one_function() -> None:
    """Of energies and forces: derivatives of the covariance of energies, by differences."""
    positions = geometries(3)
    step = 1e-4
    moved = np.concatenate([positions, positions, positions])
    moved[3:6, 2, 1] += step
    moved[6:9, 2, 1] -= step
    (group,) = Subject(frames(moved, *labels(moved))).groups
    covariance = Surface(group).covariance(np.arange(9), 2.0)
    energies = covariance[9 * 12 :, 9 * 12 :]
    mixed = covariance[9 * 12 :, : 9 * 12].reshape(9, 9, 12)
    for i in range(3):
        slope = (energies[i, 3:6] - energies[i, 6:9]) / (2 * step)
        np.testing.assert_allclose(mixed[i, :3, 7], -slope, rtol=1e-4, atol=1e-6)
    both = covariance[: 9 * 12, : 9 * 12].reshape(9, 12, 9, 12)
    slope = (mixed[3:6, :3] - mixed[6:9, :3]) / (2 * step)
    np.testing.assert_allclose(both[:3, 7, :3], -slope, rtol=1e-3, atol=1e-6)


def test_what_is_left_out_is_what_was_never_there() -> None:
    positions = geometries(12)
    energy, forces = labels(positions)
    (group,) = Subject(frames(positions, energy, forces)).groups
    surface = Surface(group)
    prior = surface.prior(energy, np.arange(12))
    removed = LeftOut(surface, surface.factor(prior), energy)
    removed.take_out(5)
    spoiled = forces.copy()
    spoiled[5] += 1.0
    (other,) = Subject(frames(positions, energy, spoiled)).groups
    same = Surface(other)
    again = LeftOut(same, same.factor(prior), energy)
    again.take_out(5)
    for first, second in zip(
        vars(removed.residues()).values(), vars(again.residues()).values(), strict=True
    ):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)
