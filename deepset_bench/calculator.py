"""Trained potentials as an ASE calculator: one run, or several seeds with their disagreement.

from deepset_bench.calculator import DeepSetCalculator
atoms.calc = DeepSetCalculator("runs/but-2-ene/corrected/baseline/seed-0")
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from deepset_bench.config import determinants
from deepset_bench.data.frames import Frames
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import Trained, load_trained

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
PROPERTIES = ["energy", "free_energy", "forces", "energies"]
PathLike = str | os.PathLike[str]


class DeepSetCalculator(Calculator):
    """Energies in eV with their reference added in float64, forces in eV/angstrom.

    `results` holds `energy` (and the same as `free_energy`), `forces` (N, 3) and `energies` (N,),
    whose sum is `energy`. With several runs these are means over the runs, and
    `energy_uncertainty` and `forces_uncertainty` (N, 3) their sample standard deviations.

    Forces are the negative gradient of the energy, except for runs with `condition.units=mixed`:
    those learned a multiple of it and return that multiple.

    Args:
        runs: a run folder, or folders of one experiment that differ in their seeds.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `float32`, as in training; `float64` for finite differences and vibrations.

    Raises:
        UserError: a folder cannot be used, or the runs are not seeds of one experiment; when
            calculating, a periodic cell or an element that was not in training.
    """

    implemented_properties = PROPERTIES

    def __init__(
        self,
        runs: PathLike | Sequence[PathLike],
        *,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        super().__init__()
        paths = [Path(run) for run in ([runs] if isinstance(runs, str | os.PathLike) else runs)]
        if not paths:
            raise UserError("a calculator needs at least one run folder")
        if precision not in PRECISIONS:
            raise UserError(f"precision={precision}: choose from {', '.join(PRECISIONS)}")
        self.members = [load_trained(path, device) for path in paths]
        for path, member in zip(paths, self.members, strict=True):
            difference = _difference(self.members[0], member)
            if difference:
                raise UserError(
                    f"{path} and {paths[0]} differ in {difference}; "
                    "several runs must be seeds of one experiment"
                )
            member.potential.to(PRECISIONS[precision])

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute everything in `results` for `atoms`; ASE calls this when something changed."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if self.atoms.pbc.any():
            raise UserError("the potential knows no periodic cells; set atoms.pbc = False")
        frame = _unlabelled(self.atoms)
        # Seeds of one experiment prepare the same tables: nothing in them is learned.
        tables = self.members[0].tables(frame)
        batch = tables.gather(torch.zeros(1, dtype=torch.int64, device=tables.numbers.device))
        predictions = [member.potential(batch) for member in self.members]
        energies = np.stack(
            [
                _array(prediction.atomic_energies) + member.reference.per_atom(frame)
                for prediction, member in zip(predictions, self.members, strict=True)
            ]
        )  # (members, N)
        forces = np.stack([_array(prediction.forces) for prediction in predictions])
        energy = energies.sum(axis=1)
        self.results: dict[str, Any] = {
            "energy": float(energy.mean()),
            "free_energy": float(energy.mean()),
            "energies": energies.mean(axis=0),
            "forces": forces.mean(axis=0),
        }
        if len(self.members) > 1:
            self.results["energy_uncertainty"] = float(energy.std(ddof=1))
            self.results["forces_uncertainty"] = forces.std(axis=0, ddof=1)


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()


def _unlabelled(atoms: Atoms) -> Frames:
    n = len(atoms)
    if n == 0:
        raise UserError("there are no atoms to calculate")
    return Frames(
        numbers=atoms.numbers,
        positions=atoms.positions,
        n_atoms=np.array([n]),
        energy=np.zeros(1),
        forces=np.zeros((n, 3)),
        bias_forces=None,
        molecule=np.array([str(atoms.symbols)]),
        index=np.zeros(1, dtype=np.int64),
    )


def _difference(one: Trained, other: Trained) -> str:
    """The first key, beside the seed, in which two runs differ; empty for none."""
    first, second = determinants(one.config), determinants(other.config)
    for key in first | second:
        if key != "seed" and first.get(key) != second.get(key):
            return key
    return "" if torch.equal(one.potential.species, other.potential.species) else "their elements"
