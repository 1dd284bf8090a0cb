"""Frames that are there twice, turned and reordered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.duplicates import near_duplicates
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import Frames
from tests.checks.cases import clean, cubes, find, joined, turned

CHECK = "duplicates"


def repeated(frames: Frames, rows: list[int], seed: int, exchanged: bool = False) -> Frames:
    """Copies of some frames at the end: turned, and with two like hydrogens exchanged."""
    copies = turned(frames.select(rows), seed)
    positions, forces = cubes(copies.positions), cubes(copies.forces)
    if exchanged:
        positions[:, [4, 5]], forces[:, [4, 5]] = positions[:, [5, 4]], forces[:, [5, 4]]
    copies = replace(copies, positions=positions.reshape(-1, 3), forces=forces.reshape(-1, 3))
    joined = Frames.concatenate([frames, copies])
    return replace(joined, index=np.arange(len(joined)))


@given(
    st.lists(st.integers(0, 199), min_size=1, max_size=40, unique=True),
    st.integers(0, 99),
    st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_copies_are_found_though_turned_and_reordered(
    rows: list[int], seed: int, exchanged: bool
) -> None:
    found = find(repeated(clean(200), rows, seed, exchanged), CHECK)
    assert found.frames == tuple(range(200, 200 + len(rows)))
    assert found.number == pytest.approx(len(rows) / (200 + len(rows)))
    many = len(rows) > 2 and not exchanged
    assert found.verdict == ("defect" if many else "suspect")
    assert ("like atoms exchanged" in found.text) == exchanged


def test_a_scan_of_a_torsion_passes_by_mirror_images() -> None:
    """H2O2, once around with both ends: no mistake."""
    angle = np.radians(np.arange(-180, 181, 10))
    positions = np.zeros((len(angle), 4, 3))
    positions[:, 1:3] = [[0.0, 0.0, 0.0], [1.45, 0.0, 0.0]]
    positions[:, 0] = [-0.2, 0.94, 0.0]
    positions[:, 3] = np.stack([0 * angle + 1.65, 0.94 * np.cos(angle), 0.94 * np.sin(angle)], 1)
    found = find(Frames.unlabelled("x", np.array([1, 8, 8, 1]), positions), CHECK)
    assert found.verdict == "suspect"
    assert "17 of them mirrored" in found.text


def test_one_geometry_with_two_energies() -> None:
    frames = repeated(clean(300), [5], 0)
    energy = frames.energy.copy()
    energy[-1] += 0.01
    found = find(replace(frames, energy=energy), CHECK)
    assert found.verdict == "defect"
    assert "with other labels" in found.text


@pytest.mark.parametrize("said", [True, False])
def test_the_same_geometries_neutral_and_as_cations(said: bool) -> None:
    """Whether the files say the charge, and where the two stand one after the other or in turn."""
    frames = clean(40)
    ions = replace(frames, energy=frames.energy + 9.0, forces=1.1 * frames.forces)
    charge = np.repeat([0, 1], 40) if said else np.zeros(80)
    both = replace(joined(frames, ions), charge=charge)
    for order in (np.arange(80), np.arange(80).reshape(2, 40).T.ravel()):
        found = find(replace(both.select(order), index=np.arange(80)), CHECK)
        assert found.verdict == "defect"
        assert "9 eV" in found.text
        assert "charge" in found.advice
        assert ("their charges are 0 and 1" in found.text) == said


@pytest.mark.parametrize(("spread", "verdict"), [(1.0, "ok"), (1e-5, "suspect")])
def test_few_coordinates_are_near_each_other_by_chance(spread: float, verdict: str) -> None:
    """Two atoms at 0.9 to 1.3 angstrom, and a tenth of the frames next to another."""
    rng = np.random.default_rng(0)
    length = rng.uniform(0.9, 1.3, 100)
    length[:10] = length[10:20] + spread * rng.uniform(0.1, 0.2, 10)
    positions = np.zeros((100, 2, 3))
    positions[:, 1, 0] = length
    found = near_duplicates(Subject(Frames.unlabelled("x", np.array([7, 7]), positions)))
    assert found.verdict == verdict


def test_nearly_the_same_frames() -> None:
    frames = clean(100)
    rng = np.random.default_rng(0)
    jitter = replace(frames, positions=frames.positions + rng.normal(0, 0.001, (1200, 3)))
    both = Frames.concatenate([frames, jitter])
    found = near_duplicates(Subject(both))
    assert found.verdict == "suspect"
    assert found.number == 1.0
    assert near_duplicates(Subject(frames)).number == 0.0
