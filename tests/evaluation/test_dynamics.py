"""Metrics of dynamics, on potentials whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from deepset_bench.errors import UserError
from deepset_bench.evaluation import dynamics
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.function_calculator import FunctionCalculator
from tests import toy


class Springs:
    """Each atom on a spring; the energy that it tells may leak, and end."""

    def __init__(self, *, stiff: float = 1.0, leak: float = 0.0, lasts: float = np.inf) -> None:
        self.stiff, self.leak, self.lasts, self.calls = stiff, leak, lasts, 0
        self.rest: np.ndarray | None = None

    def __call__(self, positions):
        if self.rest is None:
            self.rest = positions.copy()
        apart = positions - self.rest
        energy = 0.5 * self.stiff * (apart**2).sum() + self.leak * self.calls
        if self.calls >= self.lasts:
            energy = np.nan
        self.calls += 1
        return energy, -self.stiff * apart


def moving(**how: float) -> Atoms:
    return dynamics.moving(toy.frames(3, 2), FunctionCalculator(Springs(**how)))


def test_starts_from_the_first_frame_at_300_kelvin_without_a_motion_of_the_whole():
    frames = toy.frames(3, 2)
    atoms = moving()
    np.testing.assert_array_equal(atoms.positions, frames.positions[frames.atoms_of(0)])
    assert 150 < atoms.get_temperature() < 450  # of 27 numbers
    np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(atoms.get_angular_momentum(), 0, atol=1e-12)
    np.testing.assert_array_equal(atoms.get_momenta(), moving().get_momenta())


def test_a_lone_atom_is_passed_over():
    """It has no motion but that of the whole, and would be given a velocity of 0 / 0."""
    alone, molecule = toy.geometry(np.array([6]), np.zeros((1, 3))), toy.frames(3, 1)
    crystal = replace(alone, cell=2.5 * np.eye(3)[None], pbc=np.ones((1, 3), dtype=bool))
    atoms = dynamics.moving(
        Frames.concatenate([alone, crystal, molecule]), FunctionCalculator(Springs())
    )
    np.testing.assert_array_equal(atoms.positions, molecule.positions)
    assert np.isfinite(atoms.get_momenta()).all()
    with pytest.raises(UserError, match="no test frame has more than one atom"):
        dynamics.moving(Frames.concatenate([alone, crystal]), FunctionCalculator(Springs()))


def test_springs_keep_their_energy():
    assert dynamics.drift(moving(), steps=400) < 1e-3


def test_a_leak_is_found_to_its_size():
    """Half an eV a ps from free atoms, whose energy is kept: the slope of the line, an atom."""
    atoms = moving(stiff=0.0, leak=0.5 * dynamics.TIMESTEP / 1000)
    assert dynamics.drift(atoms, steps=200) == pytest.approx(0.5 / len(atoms), rel=1e-9)


def test_energies_that_end_are_said_in_words():
    with pytest.raises(UserError, match=r"after 0\.005 ps of dynamics, the energy is NaN"):
        dynamics.drift(moving(lasts=10), steps=400)


def test_time_is_that_of_steps_after_the_warm_up(monkeypatch):
    """A clock that goes on by a second with each energy."""
    springs = Springs()
    atoms = dynamics.moving(toy.frames(3, 2), FunctionCalculator(springs))
    monkeypatch.setattr(dynamics, "perf_counter", lambda: float(springs.calls))
    assert dynamics.ms_a_step(atoms) == pytest.approx(1000.0)
    assert springs.calls == 1 + dynamics.WARM_UP + dynamics.TIMED
