"""Broken molecules, rearrangements and collisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.cheap import examine
from deepset_bench.checks.full import FRAMES
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.geometry import bonds, contact, fragments, pairs
from tests.checks.cases import A, clean, cubes, find, shuffled, turned

WHOLE, CONTACTS = "molecule whole", "new contacts"


def broken(frames: Frames, rows: slice | list[int], far: float) -> Frames:
    """The methyl group of carbon 3 with its hydrogens is moved away."""
    positions = cubes(frames.positions)
    away = positions[rows, 3] - positions[rows, 2]
    away /= np.linalg.norm(away, axis=-1, keepdims=True)
    for atom in (3, 9, 10, 11):
        positions[rows, atom] += far * away
    return replace(frames, positions=positions.reshape(-1, 3))


@given(st.integers(1, 79), st.floats(1.2, 20), st.integers(0, 100))
@settings(max_examples=12, deadline=None)
def test_broken_from_some_frame_on(first: int, far: float, seed: int) -> None:
    frames = turned(broken(clean(80, first=200), slice(first, None), far), seed)
    found = find(frames, WHOLE)
    assert found.verdict == "defect"
    assert found.frames == tuple(range(200 + first, 280))
    assert found.number == pytest.approx((80 - first) / 80)
    assert f"first in frame {200 + first} " in found.text
    assert found.advice.endswith(f"--frames 201-{200 + first} has those before them")


def test_a_broken_frame_at_the_beginning_is_not_taken_for_the_molecule() -> None:
    frames = broken(clean(80), [0, 1, 2], 5.0)
    assert find(frames, WHOLE).frames == (0, 1, 2)
    assert len(find(shuffled(frames, 1), WHOLE).frames) == 3


def test_an_atom_that_changes_its_place_is_a_rearrangement() -> None:
    frames = clean(60)
    positions = cubes(frames.positions)
    # A hydrogen of a methyl group goes to the other end of the double bond, out of its plane.
    near = positions[30:, [1, 3]] - positions[30:, [2]]
    normal = np.cross(near[:, 0], near[:, 1])
    normal *= 1.1 / np.linalg.norm(normal, axis=1, keepdims=True)
    positions[30:, 4] = positions[30:, 2] + normal
    frames = replace(frames, positions=positions.reshape(-1, 3))
    found = find(frames, "one molecule")
    assert found.verdict == "suspect"
    assert found.frames == tuple(range(30, 60))


def test_atoms_on_top_of_each_other() -> None:
    frames = clean(60)
    positions = cubes(frames.positions)
    positions[7, 5] = positions[7, 9] + [0.1, 0.1, 0.1]
    found = find(replace(frames, positions=positions.reshape(-1, 3)), CONTACTS)
    assert found.verdict == "defect"
    assert {5, 9} <= set(found.atoms)
    assert found.frames == (7,)


def test_bonds_of_but_2_ene() -> None:
    frames = clean(50)
    found, reference = bonds(frames.numbers[:A], cubes(frames.positions))
    carbons = {(0, 1), (1, 2), (2, 3)}
    hydrogens = {(0, 4), (0, 5), (0, 6), (1, 7), (2, 8), (3, 9), (3, 10), (3, 11)}
    assert set(map(tuple, found.tolist())) == carbons | hydrogens
    assert reference.shape == (A, 3)


@given(st.integers(1, 8), st.data())
@settings(max_examples=30, deadline=None)
def test_fragments_are_counted(n_atoms: int, data: st.DataObject) -> None:
    i, j = pairs(n_atoms)
    flags = data.draw(st.lists(st.booleans(), min_size=3 * len(i), max_size=3 * len(i)))
    bonded = np.array(flags, dtype=bool).reshape(3, len(i))
    for row, count in zip(bonded, fragments(n_atoms, i, j, bonded), strict=True):
        part = list(range(n_atoms))
        for a, b in zip(i[row].tolist(), j[row].tolist(), strict=True):
            part = [part[a] if p == part[b] else p for p in part]
        assert count == len(set(part))


def water(n_frames: int, noise: float = 0.03) -> FloatArray:
    """(n_frames, 3, 3) angstrom: O, H, H."""
    rest = np.array([[0.0, 0.0, 0.0], [0.957, 0.0, 0.0], [-0.24, 0.927, 0.0]])
    return np.asarray(rest + np.random.default_rng(0).normal(0, noise, (n_frames, 3, 3)))


def verdicts(numbers: list[int], positions: FloatArray) -> list[str]:
    frames = Frames.unlabelled("x", np.array(numbers), positions)
    return [find(frames, check).verdict for check in (WHOLE, CONTACTS, "one molecule")]


def test_an_ion_that_leaves_a_molecule_has_broken_nothing() -> None:
    away = np.linspace(2.0, 9.0, 40)
    sodium = away[:, None, None] * [-0.6, -0.8, 0.0]
    positions = np.concatenate([water(40), sodium], axis=1)
    assert verdicts([8, 1, 1, 11], positions) == ["ok", "ok", "ok"]


def test_a_proton_that_goes_from_one_oxygen_to_another_is_chemistry() -> None:
    """O-H...O with the hydrogen first here, then there."""
    place = np.linspace(0.97, 1.6, 40)
    first, last = water(40), water(40)
    first[:, 1], last[:, 0] = 0.0, [2.57, 0.0, 0.0]
    first[:, 1, 0] = place
    last[:, 1], last[:, 2] = [3.0, 0.86, 0.0], [3.0, -0.86, 0.0]
    positions = np.concatenate([first, last], axis=1)
    assert verdicts([8, 1, 1, 8, 1, 1], positions)[:2] == ["ok", "ok"]


def test_one_bond_of_many_that_is_stretched_alone_is_a_scan() -> None:
    positions = np.repeat(water(1), 30, axis=0)
    positions[:, 1, 0] = np.linspace(0.8, 3.0, 30)
    assert verdicts([8, 1, 1], positions)[0] == "ok"
    shaken = positions + np.random.default_rng(0).normal(0, 0.03, positions.shape)
    assert verdicts([8, 1, 1], shaken)[0] == "defect"


@pytest.mark.parametrize("n_frames", [1, 3, 40])
@pytest.mark.parametrize("numbers", [[2], [1, 1], [7, 7], [17, 11], [18, 18], [3, 1]])
def test_atoms_and_pairs_of_atoms(numbers: list[int], n_frames: int) -> None:
    positions = np.zeros((n_frames, len(numbers), 3))
    close = 0.8 * float(contact(np.array(numbers), np.array([0]), np.array([-1]))[0])
    positions[:, -1, 0] = np.linspace(close, 4.0, n_frames)
    frames = Frames.unlabelled("x", np.array(numbers), positions)
    harmful = [f.check for f in examine(Subject(frames), FRAMES) if f.verdict == "defect"]
    assert set(harmful) <= {"length unit", "frozen frames"}
