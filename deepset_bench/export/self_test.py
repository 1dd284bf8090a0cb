"""An exported potential against the run that it was made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from deepset_bench.deployment.exported import ExportedPotential
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.deployment.runner import Runner
from deepset_bench.errors import UserError
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.evaluation.selection import select
from deepset_bench.molecules.frames import FloatArray, Frames

FRAMES = 50
"""At most so many are compared."""
BOUND = 1e-4
"""Largest difference of a force in eV/angstrom; of forces beyond 10 eV/angstrom, that much for each
10: float32 rounds a force by its size."""


class Differences(NamedTuple):
    """Largest differences over test frames.

    `frames` so many of them, `energy_ev` eV, `forces_ev_per_angstrom` eV/angstrom, and the bound
    that the latter was held to.
    """

    frames: int
    energy_ev: float
    forces_ev_per_angstrom: float
    bound_ev_per_angstrom: float

    @property
    def words(self) -> str:
        """In one line."""
        return (
            f"largest difference from the run on {self.frames} of its test frames: energy "
            f"{self.energy_ev:.2g} eV, force {self.forces_ev_per_angstrom:.2g} eV/angstrom"
        )


def own_frames(ensemble: Ensemble) -> Frames:
    """Up to FRAMES test frames of the run.

    Raises:
        UserError: its data are not here.
    """
    (member,) = ensemble.members
    folder = member.folder
    if member.history is None:
        sets = " and ".join(member.config.sets)
        raise UserError(
            f"{folder.path}: what is exported is tested on the run's own test frames, and {sets} "
            "is not here as it was in training; import it again"
        )
    return select([folder], [member], []).frames.select(slice(0, FRAMES))


Answer = Callable[[Frames], tuple[float, FloatArray]]
"""One frame -> energy in eV and forces (A, 3) in eV/angstrom."""


def of_package(potential: ExportedPotential) -> Answer:
    """What an exported file says."""
    runner = Runner(potential, potential.species, compile_it=False)

    def answer(one: Frames) -> tuple[float, FloatArray]:
        found = runner(Systems(one.numbers, one.positions, one.n_atoms, one.cell, one.pbc))
        return float(found[0].sum()) + potential.constant, found[1]

    return answer


def of_calculator(calculator: Calculator) -> Answer:
    """What a calculator of ASE says."""

    def answer(one: Frames) -> tuple[float, FloatArray]:
        atoms = Atoms(one.numbers, one.positions, cell=one.cell[0], pbc=one.pbc[0])
        atoms.calc = calculator
        return atoms.get_potential_energy(), atoms.get_forces()

    return answer


def agreement(answer: Answer, ensemble: Ensemble, frames: Frames) -> Differences:
    """Hold what was made against the exact form of the run.

    Raises:
        UserError: forces differ by more than BOUND.
    """
    exact = ensemble(frames)
    ones = [answer(frames.select(np.array([m]))) for m in range(len(frames))]
    energies, forces = zip(*ones, strict=True)
    difference = np.concatenate(forces) - exact.forces
    found = Differences(
        len(frames),
        float(np.abs(np.array(energies) - exact.energy).max()),
        float(np.abs(difference).max()),
        BOUND * max(1.0, float(np.abs(exact.forces).max()) / 10),
    )
    # Written so that NaN is refused.
    if not found.forces_ev_per_angstrom <= found.bound_ev_per_angstrom:
        raise UserError(
            f"not exported: {found.words}, more than {found.bound_ev_per_angstrom:.0e}; "
            "--precision float64 rounds less, bench check RUN examines the run"
        )
    return found
