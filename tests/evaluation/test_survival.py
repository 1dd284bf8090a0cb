"""How long molecules stay whole, on forces whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.data import atomic_masses

from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.errors import UserError
from deepset_bench.evaluation import survival
from deepset_bench.molecules.frames import Frames
from tests import toy

STARTS = Frames.concatenate([toy.frames(carbons, 1, noise=0.0) for carbons in (2, 3, 4)])


class Springs:
    """Every atom on a spring to where it started, until some of them let go."""

    def __init__(self, loose: int | None = None, stiff: float = 30.0) -> None:
        self.loose, self.stiff = loose, stiff
        self.rest = [STARTS.select([row]).positions for row in range(len(STARTS))]
        self.speeds: list[np.ndarray] = []

    def __call__(self, systems: Systems) -> np.ndarray:
        found = []
        for positions in np.split(systems.positions, np.cumsum(systems.n_atoms)[:-1]):
            row = [len(rest) for rest in self.rest].index(len(positions))
            pull = self.stiff * (self.rest[row] - positions)
            found.append(pull if row != self.loose else -pull - 0.1)
        return np.concatenate(found)


def test_molecules_that_hold_together_do_so_to_the_end():
    np.testing.assert_array_equal(survival.survived(STARTS, Springs(), 300.0, 0.1), [0.1] * 3)


def test_one_that_flies_apart_ends_alone_and_the_others_are_as_without_it():
    ended = survival.survived(STARTS, Springs(loose=1), 300.0, 0.3)
    assert 0 < ended[1] < 0.3
    np.testing.assert_array_equal(np.delete(ended, 1), [0.3] * 2)


def test_the_same_twice():
    both = [survival.survived(STARTS, Springs(loose=1), 500.0, 0.2) for _ in range(2)]
    np.testing.assert_array_equal(*both)


def test_no_forces_are_the_end_of_one_and_not_of_all():
    springs = Springs()

    def force(systems: Systems) -> np.ndarray:
        if len(STARTS.select([0]).numbers) in systems.n_atoms:
            raise UserError("two atoms are at one place")
        return springs(systems)

    ended = survival.survived(STARTS, force, 300.0, 0.1)
    look = survival.LOOK * survival.TIMESTEP / 1000
    np.testing.assert_allclose(ended, [look, 0.1, 0.1])


def test_the_thermostat_keeps_its_temperature():
    """Of harmonic springs, whose kinetic energy BAOAB has right to second order."""
    moving = [survival._Moving.of(STARTS, row, 300.0) for row in range(len(STARTS))]
    springs = Springs(stiff=5.0)
    forces, kinetic = survival._forces(moving, springs), []
    for _ in range(2500):
        forces = survival._step(moving, forces, springs, 500.0)
        each = [(atomic_masses[o.numbers][:, None] * o.velocities**2).mean() for o in moving]
        kinetic.append(np.mean(each) / units.kB)
    assert np.mean(kinetic[500:]) == pytest.approx(500.0, rel=0.1)
