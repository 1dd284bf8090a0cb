"""Errors of energies (per molecule) and forces (per component), and what knowing nothing scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from deepset_bench.data.batches import Tables
from deepset_bench.data.frames import FloatArray
from deepset_bench.denormals import flushed
from deepset_bench.model.potential import Potential


@dataclass(frozen=True)
class Labels:
    """A prepared part of a data set with its labels, in the rows of its tables.

    Attributes:
        tables: M frames.
        energy: (M,) eV, relative to the energy reference.
        forces: (M, n, 3) eV/angstrom, zero in padding.
    """

    tables: Tables
    energy: Tensor
    forces: Tensor

    def __len__(self) -> int:
        return len(self.tables)

    def to(self, device: torch.device) -> Labels:
        """The same on another device."""
        return Labels(self.tables.to(device), self.energy.to(device), self.forces.to(device))


@dataclass(frozen=True)
class Errors:
    """Energies in eV per molecule, forces in eV/angstrom per component."""

    energy_mae_ev: float
    energy_rmse_ev: float
    forces_mae_ev_per_angstrom: float
    forces_rmse_ev_per_angstrom: float

    def as_dict(self) -> dict[str, float]:
        """For result.json."""
        return asdict(self)


def errors(energy: FloatArray, forces: FloatArray) -> Errors:
    """Errors from differences: (M,) in eV and (A, 3) in eV/angstrom."""
    return Errors(
        energy_mae_ev=float(np.abs(energy).mean()),
        energy_rmse_ev=float(np.sqrt((energy**2).mean())),
        forces_mae_ev_per_angstrom=float(np.abs(forces).mean()),
        forces_rmse_ev_per_angstrom=float(np.sqrt((forces**2).mean())),
    )


@flushed()
def predict(potential: Potential, tables: Tables, batch_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions in the rows of the tables.

    Returns:
        (M,) energies in eV and (M, n, 3) forces in eV/angstrom; (M, n) atomic energies in eV. All
        energies are relative to the reference.
    """
    potential.eval()
    energies, forces, atomic = [], [], []
    with torch.no_grad():
        for frames in torch.arange(len(tables), device=tables.numbers.device).split(batch_size):
            prediction = potential(tables.gather(frames))
            energies.append(prediction.energy)
            forces.append(prediction.forces.view(len(frames), -1, 3))
            atomic.append(prediction.atomic_energies.view(len(frames), -1))
    return torch.cat(energies), torch.cat(forces), torch.cat(atomic)


def differences(
    potential: Potential, labels: Labels, batch_size: int
) -> tuple[FloatArray, FloatArray]:
    """Predicted minus labelled: (M,) energies in eV and (A, 3) forces in eV/angstrom, float64."""
    energy, forces, _ = predict(potential, labels.tables, batch_size)
    real = (labels.tables.numbers > 0).cpu().numpy()
    energy_error = (energy - labels.energy).double().cpu().numpy()
    forces_error = (forces - labels.forces).double().cpu().numpy()
    return energy_error, forces_error[real]
