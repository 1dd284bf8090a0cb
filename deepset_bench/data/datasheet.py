"""What a generated set says about itself: how it was made and what was measured on it."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np

from deepset_bench.data.bias import torsion
from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.molecule import Molecule
from deepset_bench.data.recipe import SAMPLING, Recipe
from deepset_bench.data.xtb import METHODS


def datasheet(name: str, frames: Frames, recipe: Recipe, temperature: FloatArray) -> dict[str, Any]:
    """How a generated set was made and what was measured on it, with units in the keys."""
    molecule = Molecule.from_smiles(recipe.smiles, recipe.seed)
    sampling = {key: recipe.options()[key] for key in SAMPLING[recipe.sampling]}
    if recipe.sampling != "md":
        chain, other = molecule.torsions_across(recipe.torsion)
        sampling |= {"torsion": list(chain), "tied_torsion": list(other)}
    return {
        "name": name,
        "smiles": recipe.smiles,
        "formula": molecule.formula,
        "method": METHODS[recipe.method],
        "electronic_temperature_kelvin": recipe.electronic_temperature,
        "sampling": {
            "kind": recipe.sampling,
            "dynamics": "Langevin",
            "friction_per_fs": recipe.friction,
            **{_WITH_UNIT.get(key, key): value for key, value in sampling.items()},
        },
        "temperature_kelvin": {
            "thermostat": recipe.temperature,
            "measured_mean": _rounded(temperature.mean()),
            "measured_max": _rounded(temperature.max()),
        },
        "timestep_fs": recipe.timestep,
        "interval_fs": recipe.interval,
        "units": {"energy": "eV", "positions": "angstrom", "forces": "eV/angstrom"},
        "frames": len(frames),
        "atoms": len(frames.numbers),
        "seed": recipe.seed,
        "measured": _measured(frames, molecule, recipe),
    }


def command(name: str, recipe: Recipe, flags: list[str]) -> str:
    """The command line that makes the set, with every value that the sampling reads."""
    words = ["bench", "data", "generate", name]
    for option, value in recipe.options().items():
        if value is not None:
            text = "-".join(map(str, value)) if option == "torsion" else str(value)  # type: ignore[call-overload]
            words += [f"--{option.replace('_', '-')}", text]
    return shlex.join(words + flags)


_WITH_UNIT = {
    "tie": "tie_ev_per_rad2",
    "hill_height": "hill_height_ev",
    "hill_width": "hill_width_degrees",
    "hill_interval": "hill_interval_fs",
    "window_strength": "window_strength_ev_per_rad2",
}


def _measured(frames: Frames, molecule: Molecule, recipe: Recipe) -> dict[str, Any]:
    positions = frames.positions.reshape(len(frames), -1, 3)
    stretch = molecule.bond_stretch(positions, positions[0])
    bias = np.zeros_like(frames.forces) if frames.bias_forces is None else frames.bias_forces
    measured: dict[str, Any] = {
        "mean_abs_force_ev_per_angstrom": _rounded(np.abs(frames.forces).mean()),
        "mean_abs_bias_force_ev_per_angstrom": _rounded(np.abs(bias).mean()),
        "energy_std_ev": _rounded(frames.energy.std()),
        "largest_bond_stretch": _rounded(stretch.max(initial=1.0)),
        "frames_with_broken_molecule": sum(
            molecule.damage(frame, positions[0]) is not None for frame in positions
        ),
    }
    if recipe.sampling != "md":
        chain, _ = molecule.torsions_across(recipe.torsion)
        twist = np.degrees(np.abs([torsion(frame, chain)[0] for frame in positions]))
        measured["fraction_of_frames"] = {
            "cis (below 30 degrees)": _rounded((twist < 30).mean()),
            "half-way (60 to 120 degrees)": _rounded(((twist > 60) & (twist < 120)).mean()),
            "trans (above 150 degrees)": _rounded((twist > 150).mean()),
        }
    return measured


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
