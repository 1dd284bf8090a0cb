"""Energies and forces that were left at zero, in sets of any size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deepset_bench.molecules.frames import Frames
from tests.checks import toy
from tests.checks.cases import find
from tests.toy import geometry

CHECK = "blank labels"


def labelled(m: int, shift: float = -243.0) -> Frames:
    positions = toy.geometries(m)
    energy, forces = toy.labels(positions)
    return toy.frames(positions, energy - energy.min() + shift, forces)


def without_energy(frames: Frames, *rows: int) -> Frames:
    energy = frames.energy.copy()
    energy[list(rows)] = 0.0
    return replace(frames, energy=energy)


def without_forces(frames: Frames, *rows: int) -> Frames:
    forces = frames.forces.reshape(len(frames), -1, 3).copy()
    forces[list(rows)] = 0.0
    return replace(frames, forces=forces.reshape(-1, 3))


@pytest.mark.parametrize("m", [2, 12, 60])
def test_an_energy_that_was_not_written(m: int) -> None:
    found = find(without_energy(labelled(m), 1), CHECK)
    assert (found.verdict, found.frames) == ("defect", (1,))
    assert "energy of frame 1 is exactly 0" in found.text


@pytest.mark.parametrize("m", [2, 12, 60])
def test_forces_that_were_not_written(m: int) -> None:
    frames = labelled(m)
    highest = int(frames.energy.argmax())
    found = find(without_forces(frames, highest), CHECK)
    assert (found.verdict, found.frames) == ("defect", (highest,))
    assert f"all forces of frame {highest} are exactly 0" in found.text


def test_both_in_half_of_the_frames() -> None:
    rows = range(6, 12)
    found = find(without_forces(without_energy(labelled(12), *rows), *rows), CHECK)
    assert (found.verdict, found.frames) == ("defect", tuple(rows))
    assert "energy of frames 6-11" in found.text
    assert "forces of frames 6-11" in found.text


def test_an_energy_alone_that_was_not_written() -> None:
    frames = without_energy(labelled(12), 3)
    assert find(replace(frames, forces=np.full_like(frames.forces, np.nan)), CHECK).frames == (3,)


@pytest.mark.parametrize("m", [1, 2, 12, 60])
def test_energies_relative_to_one_of_the_set(m: int) -> None:
    assert find(labelled(m, shift=0.0), CHECK).verdict == "ok"
    frames = labelled(m)
    for energy in (frames.energy - frames.energy.max(), frames.energy - frames.energy[0]):
        assert find(replace(frames, energy=energy), CHECK).verdict == "ok"


def test_no_forces_at_the_minimum() -> None:
    frames = labelled(12)
    assert find(without_forces(frames, int(frames.energy.argmin())), CHECK).verdict == "ok"


def test_no_forces_between_atoms_far_apart() -> None:
    near, far = (geometry(np.array([18, 18]), np.array([[0.0, 0, 0], [d, 0, 0]])) for d in (3.5, 9))
    near = replace(near, energy=np.array([-0.1]), forces=np.array([[0.1, 0, 0], [-0.1, 0, 0]]))
    frames = Frames.concatenate([near, replace(far, energy=np.array([-1e-6]))])
    assert find(frames, CHECK).verdict == "ok"


def test_no_forces_in_a_crystal_at_any_volume() -> None:
    frames = without_forces(labelled(12), 0, 1, 2)
    cell, pbc = np.tile(5 * np.eye(3), (12, 1, 1)), np.ones((12, 3), dtype=bool)
    assert find(replace(frames, cell=cell, pbc=pbc), CHECK).verdict == "ok"


def test_a_set_without_labels_is_no_set_with_blanks() -> None:
    frames = labelled(12)
    nothing = Frames.unlabelled("x", toy.NUMBERS, frames.positions.reshape(12, 4, 3))
    assert find(nothing, CHECK).verdict == "ok"
