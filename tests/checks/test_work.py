"""The work of forces against energies: biases, units, signs and single frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.subject import Subject
from deepset_bench.checks.work import robust_slope, works
from deepset_bench.readers import read
from deepset_bench.readers.options import Options
from tests.cases.case import FILES
from tests.checks.cases import bias, clean, cubes, find, turned

CHECK, SINGLE = "work and energy", "labels of single frames"


@pytest.mark.parametrize("strength", [0.3, 1.0, -1.0, 3.0])
def test_a_torsion_bias_is_found_and_its_atoms_named(strength: float) -> None:
    frames = clean(1500)
    biased = replace(frames, forces=frames.forces + strength * bias(1500))
    found = find(biased, CHECK)
    assert found.verdict in ("suspect", "defect")
    assert found.verdict == "defect" or abs(strength) < 1
    assert set(found.atoms) <= {0, 1, 2, 3, 7, 8}  # what the shipped set's bias acts on
    if abs(strength) >= 1:
        assert {1, 2} <= set(found.atoms)


@given(st.sampled_from([1 / 27.2114, 27.2114, 1 / 23.06, 23.06, 0.5292, 1.8897]))
@settings(max_examples=6, deadline=None)
def test_energies_in_another_unit_than_forces(factor: float) -> None:
    frames = clean(300)
    found = find(replace(frames, energy=factor * frames.energy), CHECK)
    assert found.verdict == "defect"
    assert found.number == pytest.approx(factor, rel=0.1)
    assert "beside forces in" in found.text or "forces per" in found.text


def test_the_sign() -> None:
    frames = clean(300)
    found = find(replace(frames, forces=-frames.forces), CHECK)
    assert found.verdict == "defect"
    assert "opposite signs" in found.text


def test_forces_of_other_frames() -> None:
    frames = clean(300)
    other = np.roll(cubes(frames.forces), 7, axis=0).reshape(-1, 3)
    found = find(replace(frames, forces=other), CHECK)
    assert found.verdict == "defect"
    assert found.atoms == ()  # all are wrong: none is told apart


@given(st.data(), st.floats(2, 100) | st.floats(-100, -2), st.integers(0, 100))
@settings(max_examples=8, deadline=None)
def test_the_energy_of_one_frame(data: st.DataObject, shift: float, seed: int) -> None:
    frames = turned(clean(400, first=1000), seed)
    known = works(Subject(frames).groups[0])
    assert known is not None
    row = data.draw(st.sampled_from(sorted(set(known.pairs.ravel().tolist()))))
    energy = frames.energy.copy()
    energy[row] += shift
    found = find(replace(frames, energy=energy), SINGLE)
    assert found.verdict == "defect"
    assert len(found.frames) == 1
    # A frame and its only neighbour are off from each other: either may be named.
    alone = (known.pairs == row).any(axis=1).sum() == 1
    assert found.frames == (frames.index[row],) or alone


@pytest.mark.parametrize(("energy", "force"), [(0.0, 1.0), (1.0, 0.0), (1.0, 51.0)])
def test_what_is_wrong_in_one_frame_is_not_said_of_all(energy: float, force: float) -> None:
    frames = read(FILES / "C3" / "ok.extxyz", "methanol", Options(), False).frames
    energies, forces = frames.energy.copy(), frames.forces.reshape(60, -1, 3).copy()
    energies[20] *= energy
    forces[20] *= force
    flawed = replace(frames, energy=energies, forces=forces.reshape(-1, 3))
    assert find(flawed, CHECK).verdict == "ok"
    assert find(flawed, SINGLE).frames == (20,)


def test_single_frames_are_not_blamed_for_a_bias_in_all() -> None:
    frames = clean(400)
    assert find(replace(frames, forces=frames.forces + bias(400)), SINGLE).verdict == "not run"


def test_turning_changes_nothing() -> None:
    frames = clean(300)
    numbers = [find(f, CHECK).number for f in (frames, turned(frames, 1))]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-6)


def test_pairs_are_close_and_their_work_is_of_the_forces() -> None:
    (group,) = Subject(clean(300)).groups
    found = works(group)
    assert found is not None
    assert (found.displacement > 0).all()
    assert (found.displacement < 0.12).all()
    assert found.slope == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(found.atoms.sum(axis=1), found.work)


def test_frames_far_apart_are_not_judged() -> None:
    frames = clean(6000).select(slice(0, None, 120))
    found = find(frames, CHECK)
    assert found.verdict == "not run"
    assert "0.12 angstrom" in found.text


@given(st.floats(0.01, 100) | st.floats(-100, -0.01), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_slope_is_robust(slope: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=200)
    y = slope * x + 0.01 * abs(slope) * rng.normal(size=200)
    y[:40] += rng.normal(0, 100 * abs(slope), 40)
    assert robust_slope(x, y) == pytest.approx(slope, rel=0.02)
    x[100:105] *= 50
    assert robust_slope(x, y) == pytest.approx(slope, rel=0.02)
