"""Trained potentials as an ASE calculator; people find it in `deepset_bench.calculator`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from deepset_bench.errors import UserError
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.molecules.frames import Frames

CHARGE, SPIN = ("charge", "total_charge"), ("spin", "spin_multiplicity", "multiplicity")
"""Keys of `Atoms.info` that say the total charge, and the multiplicity 2S + 1."""
PROPERTIES = ["energy", "free_energy", "forces", "energies"]
PathLike = str | os.PathLike[str]


class DeepSetCalculator(Calculator):
    """Energies in eV with their reference added in float64, forces in eV/angstrom.

    `results` holds `energy` (and the same as `free_energy`), `forces` (N, 3) and `energies` (N,),
    whose sum is `energy`. With several runs these are means over the runs, and
    `energy_uncertainty` and `forces_uncertainty` (N, 3) their sample standard deviations.

    Forces are the negative gradient of the energy, except for runs with `condition.units=mixed`:
    those learned a multiple of it and return that multiple.

    A molecule whose composition is not a linear combination of those in training is answered
    with a warning, once: use differences between its geometries, not its absolute energy. So is one
    of another spin multiplicity, where `atoms.info` or magnetic moments state it.

    Args:
        runs: a run folder, or folders of one experiment that differ in their seeds.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `float32`, as in training; `float64` for finite differences and vibrations.

    Raises:
        UserError: a folder cannot be used, or the runs are not seeds of one experiment; when
            calculating, a periodic cell, or an element or a total charge (in `atoms.info` or the
            sum of initial charges) that was not in training.
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
        self._warned: set[str] = set()

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation: charge and spin in `atoms.info`, too."""
        changes = list(super().check_state(atoms, tol))
        before = {} if self.atoms is None else self.atoms.info
        if any(before.get(key) != atoms.info.get(key) for key in (*CHARGE, *SPIN)):
            changes.append("info")
        return changes

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
        frames = self._frames(self.atoms)
        predicted = self.ensemble(frames)
        self._warn(frames)
        self.results: dict[str, Any] = {
            "energy": float(predicted.energy[0]),
            "free_energy": float(predicted.energy[0]),
            "energies": predicted.atomic_energies,
            "forces": predicted.forces,
        }
        if predicted.energy_uncertainty is not None:
            self.results["energy_uncertainty"] = float(predicted.energy_uncertainty[0])
            self.results["forces_uncertainty"] = predicted.forces_uncertainty

    def _frames(self, atoms: Atoms) -> Frames:
        """The atoms as one frame, with the charge and spin that they are given."""
        known = sorted({charge for member in self.ensemble.members for charge in member.charges})
        charge = _given(atoms, CHARGE, atoms.get_initial_charges().sum())
        if charge is not None and charge not in known:
            raise UserError(
                f"the atoms have charge {_signed(charge)}, and this run was trained on charge "
                f"{' and '.join(map(_signed, known))} only: the potential cannot tell one "
                "charge from another"
            )
        unpaired = np.abs(atoms.get_initial_magnetic_moments().sum())
        spin = _given(atoms, SPIN, unpaired + 1 if round(unpaired) else 0)
        frames = Frames.unlabelled(
            atoms.get_chemical_formula(), atoms.numbers, atoms.positions[None]
        )
        if charge is None:
            charge = 0 if 0 in known else known[0]
        return replace(frames, charge=np.array([charge]), spin=np.array([spin or 0]))

    def _warn(self, frames: Frames) -> None:
        """Say once for each composition and spin what of its energies stands."""
        formula, spin = str(frames.molecule[0]), int(frames.multiplicity[0])
        members = self.ensemble.members
        if not all(member.identified(frames).all() for member in members):
            self._once(
                f"{formula}: absolute energy undetermined, because the composition is not a linear "
                "combination of the training compositions: use energy differences within the "
                "molecule alone"
            )
        known = {spin for member in members for spin in member.multiplicities}
        if known and spin not in known:
            self._once(
                f"{formula}: a spin multiplicity of {spin} was not in training, and the potential "
                "does not know one spin from another"
            )

    def _once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            warnings.warn(text, stacklevel=2)


def _given(atoms: Atoms, keys: Sequence[str], otherwise: float) -> int | None:
    """The whole number that `atoms.info` says under one of the keys, else another; 0 is none."""
    for key in keys:
        if key in atoms.info:
            value = atoms.info[key]
            if not isinstance(value, Real) or not float(value).is_integer():
                raise UserError(f"atoms.info[{key!r}] is {value!r}, not a whole number")
            return int(float(value))
    return round(otherwise) or None


def _signed(charge: int) -> str:
    return f"{charge:+d}" if charge else "0"
