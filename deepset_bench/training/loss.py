"""The training loss: weighted mean squared errors of energies and forces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ase.units import Bohr, Hartree
from torch import Tensor

from deepset_bench.schema import Config

SMOOTHING = 0.05
"""Weight of the new value in the report's moving average of the energy loss (`ema_alpha_y`)."""


@dataclass
class Loss:
    """energy_weight MSE(E / energy_unit) + forces_weight MSE(F / forces_unit).

    Smoothed as in the report, the energy term is 0.05 L + 0.95 (its last value), which enters the
    gradient with its factor 0.05: the energy then counts a twentieth of what its weight says.

    Attributes:
        energy_unit: eV, () or one a stacked run; hartree, or the spread of the training energies.
        forces_unit: eV/angstrom, likewise; hartree/bohr, or the root mean square training force.
        averages: last smoothed energy term of each stage, part of a checkpoint.
    """

    energy_weight: float
    forces_weight: float
    energy_unit: Tensor
    forces_unit: Tensor
    smoothed: bool
    averages: dict[str, Tensor]

    def __call__(
        self, stage: str, energy_error: Tensor, forces_error: Tensor, n_atoms: Tensor
    ) -> Tensor:
        """The dimensionless loss of errors in eV and eV/angstrom, () or one a stacked run.

        Args:
            stage: `train` or `val`; each has a moving average of its own.
            energy_error: (..., B) predicted minus label.
            forces_error: (..., N, 3), zero in padding.
            n_atoms: (...) how many of the N rows are atoms.
        """
        energy = (energy_error / self.energy_unit[..., None]).square().mean(-1)
        forces = (forces_error / self.forces_unit[..., None, None]).square().sum((-2, -1))
        forces = forces / (3 * n_atoms)
        if self.smoothed:
            previous = self.averages.get(stage, energy.detach())
            energy = SMOOTHING * energy + (1 - SMOOTHING) * previous
            self.averages[stage] = energy.detach()
        return self.energy_weight * energy + self.forces_weight * forces

    def to(self, device: torch.device) -> Loss:
        """The same on another device."""
        self.energy_unit = self.energy_unit.to(device)
        self.forces_unit = self.forces_unit.to(device)
        return self


def make_loss(config: Config, energy_std: float, forces_rms: float) -> Loss:
    """The loss of a configuration; eV and eV/angstrom of the training set's labels."""
    trainer = config.trainer
    atomic = trainer.loss_units == "atomic"
    return Loss(
        energy_weight=trainer.energy_weight,
        forces_weight=trainer.forces_weight,
        energy_unit=torch.tensor(Hartree if atomic else energy_std),
        forces_unit=torch.tensor(Hartree / Bohr if atomic else forces_rms),
        smoothed=config.condition.energy_loss == "smoothed",
        averages={},
    )
