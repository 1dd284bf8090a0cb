"""Trained potentials as an ASE calculator: one run, or several seeds with their disagreement.

from deepset_bench.calculator import DeepSetCalculator
atoms.calc = DeepSetCalculator("runs/but-2-ene/corrected/baseline/seed-0")
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from deepset_bench.data.frames import Frames
from deepset_bench.errors import UserError
from deepset_bench.evaluation.ensemble import Ensemble

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
        self.ensemble = Ensemble(paths, device, precision)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute everything in `results` for `atoms`; ASE calls this when something changed."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if len(self.atoms) == 0:
            raise UserError("there are no atoms to calculate")
        if self.atoms.pbc.any():
            raise UserError("the potential knows no periodic cells; set atoms.pbc = False")
        formula = str(self.atoms.symbols)
        predicted = self.ensemble(
            Frames.unlabelled(formula, self.atoms.numbers, self.atoms.positions[None])
        )
        self.results: dict[str, Any] = {
            "energy": float(predicted.energy[0]),
            "free_energy": float(predicted.energy[0]),
            "energies": predicted.atomic_energies,
            "forces": predicted.forces,
        }
        if predicted.energy_uncertainty is not None:
            self.results["energy_uncertainty"] = float(predicted.energy_uncertainty[0])
            self.results["forces_uncertainty"] = predicted.forces_uncertainty
