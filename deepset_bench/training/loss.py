"""The training loss: weighted mean squared errors of energies, forces and, if any, stress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from ase.units import Bohr, Hartree
from torch import Tensor

from deepset_bench.errors import chosen
from deepset_bench.model.batches import Batch
from deepset_bench.model.potential import Prediction
from deepset_bench.schema import Config

SMOOTHING = 0.05
"""Weight of the new value in the report's moving average of the energy loss (`ema_alpha_y`)."""

_STRESS = 4
"""Where the error of stress stands among `terms`."""

Target = dict[str, Tensor]
"""Of a batch: `energy` (B,) eV, `forces` (N, 3) eV/angstrom, and `energy_unit`, `forces_unit`.

The units are (), that of the energy (B,) where errors count per atom. Where there is stress to
learn, `stress` is (B, 3, 3) eV/angstrom^3, NaN in frames without it, and has its `stress_unit`. A
part of a batch has its `share` (2,) of the whole batch's frames and atoms, too."""


def terms(prediction: Prediction, batch: Batch, target: Target) -> Tensor:
    """(4,) mean squared error of energies and of forces in their units, then eV and eV/angstrom.

    Both mean absolute errors come third and fourth; energies count per molecule, forces per
    component. Where there is stress to learn, its mean squared error per component comes fifth, as
    if a frame without it were right. The terms of a batch are the sum of those of its parts.
    """
    energy_error = prediction.energy - target["energy"]
    forces_error = prediction.forces - target["forces"]  # zero in padding
    components = 3 * (batch.numbers > 0).sum()
    energy = (energy_error / target["energy_unit"]).square().mean()
    forces = (forces_error / target["forces_unit"]).square().sum() / components
    maes = energy_error.abs().mean(), forces_error.abs().sum() / components
    means = torch.stack([energy, forces, *maes])
    if "share" in target:
        means = means * target["share"].repeat(2)
    if "stress" not in target:
        return means
    stress = _stress_error(prediction, target)
    if "share" in target:
        stress = stress * target["share"][0]
    return torch.cat([means, stress[None]])


def _stress_error(prediction: Prediction, target: Target) -> Tensor:
    """() mean squared error of stress in its unit; 0 of what is not labelled."""
    if prediction.stress is None:
        return prediction.energy.new_zeros(())
    wrong = torch.where(target["stress"].isnan(), 0.0, prediction.stress - target["stress"])
    return (wrong / target["stress_unit"]).square().mean()


@dataclass
class Loss:
    """energy_weight MSE(E / energy_unit) + forces_weight MSE(F / forces_unit), and so for stress.

    Smoothed as in the report, the energy term is 0.05 L + 0.95 (its last value), which enters the
    gradient with its factor 0.05: the energy then counts a twentieth of what its weight says.

    Attributes:
        energy_unit: eV, (); hartree, or the spread of the training energies. An energy error per
            atom is that of the molecule times the mean number of atoms in training over its own,
            so that a large molecule does not count more than a small one.
        forces_unit: eV/angstrom, (); hartree/bohr, or the root mean square training force.
        stress_unit: eV/angstrom^3, (); hartree/bohr^3, or the root mean square training stress.
        averages: last smoothed energy term of each stage, part of a checkpoint.
    """

    energy_weight: float
    forces_weight: float
    stress_weight: float
    energy_unit: Tensor
    forces_unit: Tensor
    stress_unit: Tensor
    smoothed: bool
    averages: dict[str, Tensor]
    mean_atoms: Tensor | None = None

    def energy_units(self, numbers: Tensor) -> Tensor:
        """eV, () or (..., B): what the errors of frames (..., B, n) atoms are divided by.

        Args:
            numbers: atomic numbers, 0 in padding.
        """
        if self.mean_atoms is None:
            return self.energy_unit
        atoms = (numbers > 0).sum(-1)
        return (self.energy_unit / self.mean_atoms)[..., None] * atoms

    @property
    def objective(self) -> Callable[[Tensor], Tensor]:
        """() what the gradient is taken of, from the squares among `terms` (4,) or (5,).

        It holds three numbers, so that it is the same for all seeds of a variant.
        """
        weight = self.energy_weight * (SMOOTHING if self.smoothed else 1.0)
        return partial(_weighted, weight, self.forces_weight, self.stress_weight)

    def value(self, stage: str, terms: Tensor) -> Tensor:
        """The loss as it is printed, () or one a stacked run, of `terms`.

        Args:
            stage: `train` or `val`; each has a moving average of its own.
            terms: as `terms` gave them, (..., 4) or (..., 5).
        """
        energy, forces = terms[..., 0], terms[..., 1]
        if self.smoothed:
            previous = self.averages.get(stage, energy)
            energy = SMOOTHING * energy + (1 - SMOOTHING) * previous
            self.averages[stage] = energy
        others = self.energy_weight * energy + self.forces_weight * forces
        return _with_stress(others, self.stress_weight, terms)

    def to(self, device: torch.device) -> Loss:
        """The same on another device."""
        self.energy_unit = self.energy_unit.to(device)
        self.forces_unit = self.forces_unit.to(device)
        self.stress_unit = self.stress_unit.to(device)
        if self.mean_atoms is not None:
            self.mean_atoms = self.mean_atoms.to(device)
        return self


def _weighted(
    energy_weight: float, forces_weight: float, stress_weight: float, terms: Tensor
) -> Tensor:
    others = energy_weight * terms[0] + forces_weight * terms[1]
    return _with_stress(others, stress_weight, terms)


def _with_stress(others: Tensor, weight: float, terms: Tensor) -> Tensor:
    return others + weight * terms[..., _STRESS] if terms.shape[-1] > _STRESS else others


def make_loss(
    config: Config,
    energy_std: float,
    forces_rms: float,
    mean_atoms: float = 1.0,
    stress_rms: float = 1.0,
) -> Loss:
    """The loss of a configuration; eV, eV/angstrom, atoms a frame and so on of the training set."""
    trainer = config.trainer
    units = {
        "atomic": (Hartree, Hartree / Bohr, Hartree / Bohr**3),
        "normalised": (energy_std, forces_rms, stress_rms),
    }
    energy_unit, forces_unit, stress_unit = chosen("trainer.loss_units", trainer.loss_units, units)
    smoothed = {"plain": False, "smoothed": True}
    per_atom = {"molecule": None, "atom": torch.tensor(mean_atoms)}
    return Loss(
        energy_weight=trainer.energy_weight,
        forces_weight=trainer.forces_weight,
        stress_weight=trainer.stress_weight,
        energy_unit=torch.tensor(energy_unit),
        forces_unit=torch.tensor(forces_unit),
        stress_unit=torch.tensor(stress_unit),
        smoothed=chosen("condition.energy_loss", config.condition.energy_loss, smoothed),
        averages={},
        mean_atoms=chosen("energy_error", config.energy_error, per_atom),
    )
