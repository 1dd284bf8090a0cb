"""A molecule in motion: Langevin dynamics on a GFN-xTB potential, with or without a bias."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

from deepset_bench.errors import UserError
from deepset_bench.generation.recipe import Recipe
from deepset_bench.molecules.bias import Bias, Metadynamics, NoBias, Umbrella, torsion
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.function_calculator import FunctionCalculator
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.xtb import XTB


class Simulation:
    """Langevin dynamics: Vanden-Eijnden and Ciccotti, Chem. Phys. Lett. 2006, 429, 310, as in ASE.

    Args:
        molecule: where it starts.
        recipe: what to simulate.

    Raises:
        UserError: no torsion to drive, or a missing package; later, a self-consistent field that
            does not converge.
    """

    def __init__(self, molecule: Molecule, recipe: Recipe) -> None:
        self._bias = bias_of(recipe, molecule)
        self._rng = np.random.default_rng(recipe.seed)
        potential = XTB(
            molecule.numbers,
            recipe.method,
            recipe.electronic_temperature,
            molecule.charge,
            molecule.spin,
        )
        self._felt = _BiasedPotential(potential, self._bias)
        self._calculator = FunctionCalculator(self._felt)
        self._atoms = Atoms(molecule.numbers, molecule.positions, calculator=self._calculator)
        self._atoms.set_constraint(FixCom())
        thermalize_momenta(self._atoms, recipe.temperature, rng=self._rng)
        self._dynamics = Langevin(
            self._atoms,
            recipe.timestep * units.fs,
            temperature_K=recipe.temperature,
            friction=recipe.friction / units.fs,
            fixcm=False,
            rng=self._rng,
        )

    def advance(self, first: int, last: int) -> None:
        """Make the steps from `first` to `last` - 1."""
        for step in range(first, last):
            if self._bias.advance(step, self._atoms.positions):
                self._calculator.reset()
            self._dynamics.step()

    def labels(self) -> dict[str, Any]:
        """Positions, energy, forces, bias forces and kinetic temperature of this instant."""
        self._atoms.get_forces()
        energy, forces = self._felt.labels
        return {
            "positions": self._atoms.positions,
            "energy": energy,
            "forces": forces,
            "bias_forces": self._felt.bias_forces,
            "temperature": self._atoms.get_temperature(),
        }

    def state(self) -> dict[str, Any]:
        """All that decides how it goes on, as arrays for `restore`."""
        return {
            "state_positions": self._atoms.positions,
            "state_momenta": self._atoms.get_momenta(),
            "state_bias": self._bias.state,
            "state_rng": json.dumps(self._rng.bit_generator.state),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`, to the same bytes."""
        self._atoms.positions[:] = state["state_positions"]
        # Momenta as they were: the constraint would take away a rounding error of their sum.
        self._atoms.set_momenta(state["state_momenta"], apply_constraint=False)
        self._bias.state = state["state_bias"]
        self._rng.bit_generator.state = json.loads(str(state["state_rng"]))


def bias_of(recipe: Recipe, molecule: Molecule) -> Bias:
    """The biasing potential at the start of the simulation.

    Raises:
        UserError: the molecule has no such torsion to drive.
    """
    if recipe.sampling == "md":
        return NoBias()
    torsions = [molecule.torsions_across(chain) for chain in recipe.torsions or (None,)]
    if recipe.sampling == "metadynamics":
        width, stride = float(np.radians(recipe.hill_width)), recipe.steps("hill_interval")
        return Metadynamics(torsions, recipe.tie, recipe.hill_height, width, stride)
    if recipe.sampling != "umbrella":
        raise UserError(f"sampling {recipe.sampling} is not known here")
    path: list[tuple[float, ...]] = [()]
    for chain, tied in torsions:
        centres = _windows(torsion(molecule.positions, chain)[0], recipe.windows, tied is not None)
        # Back and forth, so that neighbours on the path are neighbours on the grid.
        path = [(*p, c) for n, p in enumerate(path) for c in (centres[::-1] if n % 2 else centres)]
    stride = -(-recipe.frames * recipe.steps("interval") // len(path))
    return Umbrella(torsions, recipe.tie, recipe.window_strength, np.array(path), stride)


def _windows(start: float, n: int, double_bond: bool) -> FloatArray:
    """(n,) centres in rad in the order visited, from about where the torsion starts."""
    if not double_bond:
        return start + np.linspace(0.0, 2 * np.pi, n, endpoint=False)
    centres = np.linspace(0.0, np.pi, n)
    return centres[::-1] if abs(start) > np.pi / 2 else centres


class _BiasedPotential:
    """What the dynamics feels, with the potential's share and the bias's share kept apart."""

    def __init__(self, potential: XTB, bias: Bias) -> None:
        self._potential, self._bias = potential, bias

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        self.labels = energy, forces = self._potential(positions)
        bias_energy, self.bias_forces = self._bias(positions)
        return energy + bias_energy, forces + self.bias_forces
