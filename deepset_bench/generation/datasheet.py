"""What a generated set says about itself: how it was made and what was measured on it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepset_bench.generation.recipe import SAMPLING, Recipe
from deepset_bench.molecules.bias import Torsion, torsion
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.xtb import METHODS


@dataclass(frozen=True)
class Trajectory:
    """What `generate` was given and what it returned; `temperature` is (M,) in kelvin."""

    molecule: str
    recipe: Recipe
    frames: Frames
    temperature: FloatArray


def datasheet(name: str, trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """How a generated set was made and what was measured on it, with units in the keys.

    Args:
        name: of the set.
        trajectories: one of each molecule, by recipes that differ in molecule and seed alone.
    """
    recipe = trajectories[0].recipe
    facts = {t.molecule: _facts(t) for t in trajectories}
    settings = {key: recipe.options()[key] for key in SAMPLING[recipe.sampling]}
    settings.pop("torsions", None)  # among the facts, with those that are chosen by default
    return {
        "name": name,
        **(facts[name] if list(facts) == [name] else {"molecules": facts}),
        "method": METHODS[recipe.method],
        "electronic_temperature_kelvin": recipe.electronic_temperature,
        "sampling": {
            "kind": recipe.sampling,
            "dynamics": "Langevin",
            "temperature_kelvin": recipe.temperature,
            "friction_per_fs": recipe.friction,
            "timestep_fs": recipe.timestep,
            "interval_fs": recipe.interval,
            **{_WITH_UNIT.get(key, key): value for key, value in settings.items()},
        },
        "units": {"energy": "eV", "positions": "angstrom", "forces": "eV/angstrom"},
        "frames": sum(len(t.frames) for t in trajectories),
        "atoms": sum(len(t.frames.numbers) for t in trajectories),
    }


def command(name: str, trajectories: Sequence[Trajectory], flags: list[str]) -> str:
    """The command line that makes the set, with every value that the sampling reads."""
    words = ["bench", "data", "generate", name]
    for t in trajectories:
        own_name = len(trajectories) > 1 or t.molecule != name
        words += ["--smiles", t.recipe.smiles + f" {t.molecule}" * own_name]
    options = trajectories[0].recipe.options()
    del options["smiles"]
    for chain in options.pop("torsions", ()):  # type: ignore[attr-defined]
        words += ["--torsion", "-".join(map(str, chain))]
    for option, value in options.items():
        words += [f"--{option.replace('_', '-')}", str(value)]
    return shlex.join(words + flags)


_WITH_UNIT = {
    "tie": "tie_ev_per_rad2",
    "hill_height": "hill_height_ev",
    "hill_width": "hill_width_degrees",
    "hill_interval": "hill_interval_fs",
    "window_strength": "window_strength_ev_per_rad2",
}


def _facts(trajectory: Trajectory) -> dict[str, Any]:
    """What is of one molecule alone."""
    frames, recipe = trajectory.frames, trajectory.recipe
    molecule = Molecule.from_smiles(recipe.smiles, recipe.seed)
    positions = frames.positions.reshape(len(frames), -1, 3)
    stretch = molecule.bond_stretch(positions, positions[0])
    bias = np.zeros_like(frames.forces) if frames.bias_forces is None else frames.bias_forces
    facts: dict[str, Any] = {
        "smiles": recipe.smiles,
        "formula": molecule.formula,
        "seed": recipe.seed,
    }
    if molecule.charge or molecule.spin:
        facts |= {"charge": molecule.charge, "spin_multiplicity": molecule.spin or 1}
    measured: dict[str, Any] = {
        "mean_temperature_kelvin": _rounded(trajectory.temperature.mean()),
        "max_temperature_kelvin": _rounded(trajectory.temperature.max()),
        "mean_abs_force_ev_per_angstrom": _rounded(np.abs(frames.forces).mean()),
        "mean_abs_bias_force_ev_per_angstrom": _rounded(np.abs(bias).mean()),
        "energy_std_ev": _rounded(frames.energy.std()),
        "largest_bond_stretch": _rounded(stretch.max(initial=1.0)),
        "frames_with_broken_molecule": sum(
            molecule.damage(frame, positions[0]) is not None for frame in positions
        ),
    }
    if recipe.sampling != "md":
        torsions = [molecule.torsions_across(chain) for chain in recipe.torsions or (None,)]
        facts["torsions"] = [list(chain) for chain, _ in torsions]
        facts["tied_torsions"] = [tied and list(tied) for _, tied in torsions]
        measured["fraction_of_frames"] = {
            "-".join(map(str, chain)): _visited(positions, chain) for chain, _ in torsions
        }
    return {**facts, "measured": measured}


def _visited(positions: FloatArray, chain: Torsion) -> dict[str, float]:
    twist = np.degrees(np.abs([torsion(frame, chain)[0] for frame in positions]))
    return {
        "cis (below 30 degrees)": _rounded((twist < 30).mean()),
        "half-way (60 to 120 degrees)": _rounded(((twist > 60) & (twist < 120)).mean()),
        "trans (above 150 degrees)": _rounded((twist > 150).mean()),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
