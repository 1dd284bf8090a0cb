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
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from deepset_bench.deployment.exported import is_file
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.errors import UserError
from deepset_bench.evaluation.deployed_runs import (
    DeployedRuns,
    PredictedSystems,
    of_files,
    of_run,
)
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.model.potential import INEXACT
from deepset_bench.molecules.frames import Frames

CHARGE, SPIN = ("charge", "total_charge"), ("spin", "spin_multiplicity", "multiplicity")
"""Keys of `Atoms.info` that say the total charge, and the multiplicity 2S + 1."""
PROPERTIES = ["energy", "free_energy", "forces", "energies", "stress"]
GEOMETRY = {"positions", "cell", "pbc"}
"""What may change without a new look at what the atoms are."""
PathLike = str | os.PathLike[str]


class DeepSetCalculator(Calculator):
    """Energies in eV with their reference added in float64, forces in eV/angstrom.

    `results` holds `energy` (and the same as `free_energy`), `forces` (N, 3), `energies` (N,),
    whose sum is `energy`, and in a cell `stress` (6,) in eV/angstrom^3. With several runs these are
    means over the runs, and `energy_uncertainty` and `forces_uncertainty` (N, 3) their sample
    standard deviations.

    What is computed is the deployed form of the potential (`deepset_bench.deployment`), compiled
    once that pays; what was compiled is kept for the next time.

    Forces are the negative gradient of the energy, except for runs with `condition.units=mixed`:
    those learned a multiple of it and return that multiple.

    A molecule whose composition is not a linear combination of those in training is answered
    with a warning, once: use differences between its geometries, not its absolute energy. So is one
    of another spin multiplicity, where `atoms.info` or magnetic moments state it.

    Args:
        runs: a run folder or a file of `bench export`, or several of one experiment that differ in
            their seeds.
        device: `cpu`, `cuda`, or `auto` for CUDA where there is one; exported files are computed on
            the CPU.
        precision: `float32`, as in training; `float64` for finite differences and vibrations. None:
            `float32`, and for an exported file that of the file.
        compile: True to compile at the first calculation, False never to; None for as soon as it
            pays, or at once where the same potential was compiled on this machine before.

    Attributes:
        deployed: what computes, of one or several systems at a time; None for runs that were
            trained on every second edge.

    Raises:
        UserError: a folder or file cannot be used, or they are not of seeds of one experiment;
            when calculating, an element or a total charge (in `atoms.info` or the sum of initial
            charges) that was not in training, two atoms at one place, or a cell where a run was
            trained on every second edge.
    """

    implemented_properties = PROPERTIES

    def __init__(
        self,
        runs: PathLike | Sequence[PathLike],
        *,
        device: str = "auto",
        precision: str | None = None,
        compile: bool | None = None,
    ) -> None:
        super().__init__()
        paths = [Path(run) for run in ([runs] if isinstance(runs, str | os.PathLike) else runs)]
        self._warned: set[str] = set()
        self._before: Atoms | None = None
        self.deployed: DeployedRuns | None = None
        if any(map(is_file, paths)):
            if device not in ("auto", "cpu"):
                raise UserError(f"device={device}: exported files are computed on the CPU")
            self.deployed = DeployedRuns(of_files(paths, precision, compile, self._once))
            self._domains = [member.domain for member in self.deployed.members]
            return
        if device in INEXACT:
            raise UserError(f"device={device} has no float64, as positions are; use device=cpu")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.ensemble = Ensemble(paths, device, precision or "float32")
        members = self.ensemble.members
        self._domains = [member.domain for member in members]
        if not members[0].config.every_second:
            self.deployed = DeployedRuns([of_run(one, compile, self._once) for one in members])

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation: charge and spin in `atoms.info`, too.

        Any change counts, whatever `tol`; ASE's own comparison takes as long as a molecule does.
        """
        before = self.atoms
        if before is None:
            return list(all_changes)
        changes = []
        for name in all_changes:
            one, other = _array(before, name), _array(atoms, name)
            if one is not other and not np.array_equal(one, other):
                changes.append(name)
        if any(before.info.get(key) != atoms.info.get(key) for key in (*CHARGE, *SPIN)):
            changes.append("info")
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute everything in `results` for `atoms`; ASE calls this when something changed."""
        # Until this has ended well, no structure is known: what is refused is refused again.
        before, self._before = self._before, None
        self.results: dict[str, Any] = {}
        new = None
        if before is None or atoms is None or not GEOMETRY.issuperset(system_changes):
            super().calculate(atoms, properties, system_changes)
            assert self.atoms is not None
            if len(self.atoms) == 0:
                raise UserError("there are no atoms to calculate")
            new = self._checked(self.atoms)
        else:  # a copy of all that may have changed since, faster than ASE's of everything
            before.positions, before.cell, before.pbc = atoms.positions, atoms.cell, atoms.pbc
            self.atoms = before
        predicted = self._predict(self.atoms)
        if new is not None:
            self._warn(new)
        energy = float(predicted.energies.sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": predicted.energies,
            "forces": predicted.forces,
        }
        if self.atoms.pbc.all():
            stress = predicted.strain.sum(axis=0) / self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress((stress + stress.T) / 2)
        if predicted.energy_uncertainty is not None:
            self.results["energy_uncertainty"] = float(predicted.energy_uncertainty[0])
            self.results["forces_uncertainty"] = predicted.forces_uncertainty
        self._before = self.atoms

    def _predict(self, atoms: Atoms) -> PredictedSystems:
        if self.deployed is None:
            if atoms.pbc.any():
                raise UserError(
                    "a run that was trained on every second edge knows no periodic cells; set "
                    "atoms.pbc = False"
                )
            found = self.ensemble(_frames(atoms))
            strain = np.full((len(atoms), 3, 3), np.nan)
            return PredictedSystems(
                found.atomic_energies,
                found.forces,
                strain,
                found.energy_uncertainty,
                found.forces_uncertainty,
            )
        return self.deployed(
            Systems(
                numbers=atoms.numbers.astype(np.int64),
                positions=atoms.positions,
                n_atoms=np.array([len(atoms)]),
                cell=np.asarray(atoms.cell)[None],
                pbc=atoms.pbc[None],
            )
        )

    def _checked(self, atoms: Atoms) -> Frames:
        """The atoms as a frame with charge and spin; raise of what was not in training."""
        for domain in self._domains:
            domain.check_elements(atoms.numbers)
        known = sorted({charge for domain in self._domains for charge in domain.charges})
        charge = _given(atoms, CHARGE, atoms.get_initial_charges().sum())
        if charge is not None and charge not in known:
            raise UserError(
                f"the atoms have charge {_signed(charge)}, and this run was trained on charge "
                f"{' and '.join(map(_signed, known))} only: the potential cannot tell one "
                "charge from another"
            )
        if charge is None:
            charge = 0 if 0 in known else known[0]
        unpaired = np.abs(atoms.get_initial_magnetic_moments().sum())
        stated = _given(atoms, SPIN, unpaired + 1 if round(unpaired) else 0)
        return replace(_frames(atoms), charge=np.array([charge]), spin=np.array([stated or 0]))

    def _warn(self, frames: Frames) -> None:
        """Say once for each composition and spin what of its energies stands."""
        formula, spin = str(frames.molecule[0]), int(frames.multiplicity[0])
        if not all(domain.identified(frames).all() for domain in self._domains):
            self._once(
                f"{formula}: absolute energy undetermined, because the composition is not a linear "
                "combination of the training compositions: use energy differences within the "
                "molecule alone"
            )
        spins = {spin for domain in self._domains for spin in domain.multiplicities}
        if spins and spin not in spins:
            self._once(
                f"{formula}: a spin multiplicity of {spin} was not in training, and the potential "
                "does not know one spin from another"
            )

    def _once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            warnings.warn(text, stacklevel=2)


def _array(atoms: Atoms, name: str) -> Any:
    """What ASE calls by a name of `all_changes`; None for what the atoms do not have."""
    return getattr(atoms, name) if name in ("cell", "pbc") else atoms.arrays.get(name)


def _frames(atoms: Atoms) -> Frames:
    """The atoms as one frame in open space."""
    formula = atoms.get_chemical_formula()
    return Frames.unlabelled(formula, atoms.numbers, atoms.positions[None])


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
