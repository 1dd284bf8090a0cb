"""Labelled trajectories from SMILES: Langevin dynamics on a GFN-xTB potential, bias kept apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

from deepset_bench.data.bias import Bias, Metadynamics, NoBias, Umbrella, torsion
from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.molecule import Molecule
from deepset_bench.data.recipe import Recipe
from deepset_bench.data.xtb import XTB
from deepset_bench.errors import UserError


def generate(
    name: str,
    recipe: Recipe,
    progress: Callable[[int, int], None] | None = None,
    allow_broken: bool = False,
) -> tuple[Frames, FloatArray]:
    """One continuous trajectory.

    Langevin dynamics: Vanden-Eijnden and Ciccotti, Chem. Phys. Lett. 2006, 429, 310, as in ASE.

    Args:
        name: `Frames.molecule` of every frame.
        recipe: what to simulate.
        progress: called after each frame with the number of frames done and their total.
        allow_broken: go on after a bond has broken or formed.

    Returns:
        Frames with the potential's energy and forces and the bias forces, all three evaluated at
        the same instant; and (M,) instantaneous kinetic temperatures in kelvin.

    Raises:
        UserError: no geometry, no torsion to drive, a missing package, a self-consistent field
            that does not converge, or a molecule that breaks; the last two name the frame.
    """
    molecule = Molecule.from_smiles(recipe.smiles, recipe.seed)
    bias = bias_of(recipe, molecule)
    rng = np.random.default_rng(recipe.seed)
    potential = XTB(molecule.numbers, recipe.method, recipe.electronic_temperature)
    calculator = _BiasedPotential(potential, bias)
    atoms = Atoms(molecule.numbers, molecule.positions, calculator=calculator)
    atoms.set_constraint(FixCom())
    thermalize_momenta(atoms, recipe.temperature, rng=rng)
    dynamics = Langevin(
        atoms,
        recipe.timestep * units.fs,
        temperature_K=recipe.temperature,
        friction=recipe.friction / units.fs,
        fixcm=False,
        rng=rng,
    )
    M, A = recipe.frames, len(atoms)
    positions, forces, bias_forces = (np.empty((M, A, 3)) for _ in range(3))
    energy, temperature = np.empty(M), np.empty(M)
    every = recipe.steps("interval")
    for m in range(M):
        try:
            atoms.get_forces()
            damage = molecule.damage(atoms.positions, molecule.positions)
            if damage and not allow_broken:
                raise UserError(f"{damage}; try a gentler bias or --allow-broken")
            positions[m] = atoms.positions
            energy[m], forces[m] = calculator.potential_labels
            bias_forces[m] = calculator.bias_forces
            temperature[m] = atoms.get_temperature()
            for step in range(m * every, (m + 1) * every if m + 1 < M else 0):
                if bias.advance(step, atoms.positions):
                    calculator.reset()
                dynamics.step()
        except UserError as error:
            raise UserError(f"{name} frame {m}: {error}") from None
        if progress is not None:
            progress(m + 1, M)
    frames = Frames(
        numbers=np.tile(molecule.numbers, M),
        positions=positions.reshape(-1, 3),
        n_atoms=np.full(M, A),
        energy=energy,
        forces=forces.reshape(-1, 3),
        bias_forces=bias_forces.reshape(-1, 3),
        molecule=np.full(M, name),
        index=np.arange(M),
    )
    return frames, temperature


def bias_of(recipe: Recipe, molecule: Molecule) -> Bias:
    """The biasing potential at the start of the simulation.

    Raises:
        UserError: the molecule has no such torsion to drive.
    """
    if recipe.sampling == "md":
        return NoBias()
    torsions = molecule.torsions_across(recipe.torsion)
    if recipe.sampling == "metadynamics":
        width, stride = float(np.radians(recipe.hill_width)), recipe.steps("hill_interval")
        return Metadynamics(torsions, recipe.tie, recipe.hill_height, width, stride)
    centres = np.linspace(0.0, np.pi, recipe.windows)
    if abs(torsion(molecule.positions, torsions[0])[0]) > np.pi / 2:
        centres = centres[::-1]
    stride = -(-recipe.frames * recipe.steps("interval") // recipe.windows)
    return Umbrella(torsions, recipe.tie, recipe.window_strength, centres, stride)


class _BiasedPotential(Calculator):
    """What the dynamics feels, with the potential's share and the bias's share kept apart."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 - ASE's own declaration

    def __init__(self, potential: XTB, bias: Bias) -> None:
        super().__init__()
        self._potential, self._bias = potential, bias

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        positions = atoms.positions
        self.potential_labels = self._potential(positions)
        bias_energy, self.bias_forces = self._bias(positions)
        energy, forces = self.potential_labels
        self.results = {"energy": energy + bias_energy, "forces": forces + self.bias_forces}
