"""Labelled trajectories from SMILES: Langevin dynamics on a GFN-xTB potential, bias kept apart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
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
from deepset_bench.files import atomic_write

CHECKPOINT_EVERY = 2.0
"""Seconds between two checkpoints; what an interruption loses."""


def generate(
    name: str,
    recipe: Recipe,
    progress: Callable[[int, int], None] | None = None,
    allow_broken: bool = False,
    checkpoint: Path | None = None,
) -> tuple[Frames, FloatArray]:
    """One continuous trajectory.

    Langevin dynamics: Vanden-Eijnden and Ciccotti, Chem. Phys. Lett. 2006, 429, 310, as in ASE.

    Args:
        name: `Frames.molecule` of every frame.
        recipe: what to simulate.
        progress: called at the start and after each frame with the number of frames done and their
            total.
        allow_broken: go on after a bond has broken or formed.
        checkpoint: file that keeps the trajectory so far. One left by the same recipe, however
            its process ended, goes on to the same bytes as an uninterrupted trajectory.

    Returns:
        Frames with the potential's energy and forces and the bias forces, all three evaluated at
        the same instant; and (M,) instantaneous kinetic temperatures in kelvin.

    Raises:
        UserError: no geometry, no torsion to drive, a missing package, a self-consistent field
            that does not converge, or a molecule that breaks; the last two name the frame.
    """
    molecule = Molecule.from_smiles(recipe.smiles, recipe.seed)
    simulation = _Simulation(molecule, recipe)
    M, A = recipe.frames, len(molecule.numbers)
    shapes: dict[str, tuple[int, ...]] = {"energy": (M,), "temperature": (M,)}
    shapes |= dict.fromkeys(("positions", "forces", "bias_forces"), (M, A, 3))
    record: dict[str, FloatArray] = {label: np.empty(shape) for label, shape in shapes.items()}
    done = 0
    if checkpoint is not None and checkpoint.exists():
        done = _go_on(checkpoint, simulation, record)
    every, saved = recipe.steps("interval"), time.monotonic()
    for m in range(done, M):
        if progress is not None:
            progress(m, M)
        try:
            if m > 0:
                simulation.advance((m - 1) * every, m * every)
            labels = simulation.labels()
            damage = molecule.damage(labels["positions"], molecule.positions)
            if damage and not allow_broken:
                raise UserError(f"{damage}; try a gentler bias or --allow-broken")
        except UserError as error:
            raise UserError(f"{name} frame {m}: {error}") from None
        for label, value in labels.items():
            record[label][m] = value
        if checkpoint and (m + 1 == M or time.monotonic() - saved > CHECKPOINT_EVERY):
            _save(checkpoint, simulation, {label: record[label][: m + 1] for label in record})
            saved = time.monotonic()
    if progress is not None:
        progress(M, M)
    frames = Frames(
        numbers=np.tile(molecule.numbers, M),
        positions=record["positions"].reshape(-1, 3),
        n_atoms=np.full(M, A),
        energy=record["energy"],
        forces=record["forces"].reshape(-1, 3),
        bias_forces=record["bias_forces"].reshape(-1, 3),
        molecule=np.full(M, name),
        index=np.arange(M),
    )
    return frames, record["temperature"]


def check(name: str, recipe: Recipe) -> None:
    """Raise what `generate` would before its first step; takes milliseconds.

    Raises:
        UserError: names the molecule.
    """
    try:
        _Simulation(Molecule.from_smiles(recipe.smiles, recipe.seed), recipe)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


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


class _Simulation:
    """The moving molecule; `state` and `restore` hold all that decides how it goes on."""

    def __init__(self, molecule: Molecule, recipe: Recipe) -> None:
        self._bias = bias_of(recipe, molecule)
        self._rng = np.random.default_rng(recipe.seed)
        potential = XTB(molecule.numbers, recipe.method, recipe.electronic_temperature)
        self._calculator = _BiasedPotential(potential, self._bias)
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
        energy, forces = self._calculator.potential_labels
        return {
            "positions": self._atoms.positions,
            "energy": energy,
            "forces": forces,
            "bias_forces": self._calculator.bias_forces,
            "temperature": self._atoms.get_temperature(),
        }

    def state(self) -> dict[str, Any]:
        return {
            "state_positions": self._atoms.positions,
            "state_momenta": self._atoms.get_momenta(),
            "state_bias": self._bias.state,
            "state_rng": json.dumps(self._rng.bit_generator.state),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._atoms.positions[:] = state["state_positions"]
        # Momenta as they were: the constraint would take away a rounding error of their sum.
        self._atoms.set_momenta(state["state_momenta"], apply_constraint=False)
        self._bias.state = state["state_bias"]
        self._rng.bit_generator.state = json.loads(str(state["state_rng"]))


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


def _save(path: Path, simulation: _Simulation, record: dict[str, FloatArray]) -> None:
    with atomic_write(path) as stream:
        arrays: dict[str, Any] = {**record, **simulation.state()}
        np.savez(stream, **arrays)


def _go_on(path: Path, simulation: _Simulation, record: dict[str, FloatArray]) -> int:
    """Take up what `_save` wrote; returns the number of frames in it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)
    except Exception as error:
        raise UserError(f"{path}: is damaged ({error}); delete it to start again") from None
    for label, values in record.items():
        values[: len(stored[label])] = stored[label]
    simulation.restore(stored)
    return len(stored["energy"])
