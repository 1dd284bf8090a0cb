"""Labelled trajectories from SMILES: Langevin dynamics on a GFN-xTB potential, bias kept apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deepset_bench.errors import UserError
from deepset_bench.files import atomic_write
from deepset_bench.generation.recipe import Recipe
from deepset_bench.generation.simulation import Simulation
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.surroundings import of_file

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
    simulation = Simulation(molecule, recipe)
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
        charge=np.full(M, molecule.charge),
        spin=np.full(M, molecule.spin),
    )
    return frames, record["temperature"]


def check(name: str, recipe: Recipe) -> None:
    """Raise what `generate` would before its first step; takes milliseconds.

    Raises:
        UserError: names the molecule.
    """
    try:
        Simulation(Molecule.from_smiles(recipe.smiles, recipe.seed), recipe)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _save(path: Path, simulation: Simulation, record: dict[str, FloatArray]) -> None:
    with atomic_write(path) as stream:
        arrays: dict[str, Any] = {**record, **simulation.state()}
        np.savez(stream, **arrays)


def _go_on(path: Path, simulation: Simulation, record: dict[str, FloatArray]) -> int:
    """Take up what `_save` wrote; returns the number of frames in it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)
        for label, values in record.items():
            values[: len(stored["energy"])] = stored[label]
        simulation.restore(stored)
    except Exception as error:
        said = of_file(path, error)
        raise UserError(f"{path}: is damaged ({said}); delete it to start again") from None
    return len(stored["energy"])
