"""Broken molecules, rearrangements and collisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.data.checks.geometry import bonds, fragments, pairs
from deepset_bench.data.frames import Frames
from tests.data.checks.cases import A, clean, cubes, find, shuffled, turned

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
