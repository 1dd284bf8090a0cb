"""Errors of energies (per molecule) and forces (per component), and of the trivial baseline."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from deepset_bench.denormals import flushed
from deepset_bench.model.buckets import Buckets
from deepset_bench.model.labelled import Labelled
from deepset_bench.model.potential import Potential, Prediction
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.selected import Selected
from deepset_bench.scoring.averages import mean_absolute, root_mean_square
from deepset_bench.scoring.scored import Labels, Predictions


@dataclass(frozen=True)
class Errors:
    """Energies in eV per molecule, forces in eV/angstrom per component."""

    energy_mae_ev: float
    energy_rmse_ev: float
    forces_mae_ev_per_angstrom: float
    forces_rmse_ev_per_angstrom: float

    def as_dict(self) -> dict[str, float | None]:
        """For result.json: None of what was not labelled."""
        return {key: None if math.isnan(value) else value for key, value in asdict(self).items()}


def errors(energy: FloatArray, forces: FloatArray) -> Errors:
    """Errors from differences: (M,) in eV and (A, 3) in eV/angstrom."""
    return Errors(
        energy_mae_ev=mean_absolute(energy),
        energy_rmse_ev=root_mean_square(energy),
        forces_mae_ev_per_angstrom=mean_absolute(forces),
        forces_rmse_ev_per_angstrom=root_mean_square(forces),
    )


def trivial_errors(frames: Frames | Selected, energy: FloatArray, labels: str) -> Errors:
    """Errors of predicting no force, and energies that are `energy` (M,) off."""
    count, absolute, squared = 0, 0.0, 0.0
    for forces in frames.labelled_pieces(labels):
        count += forces.size
        absolute += float(np.abs(forces).sum())
        squared += float((forces**2).sum())
    return Errors(
        energy_mae_ev=mean_absolute(energy),
        energy_rmse_ev=root_mean_square(energy),
        forces_mae_ev_per_angstrom=absolute / count,
        forces_rmse_ev_per_angstrom=math.sqrt(squared / count),
    )


@flushed()
def predict(potential: Potential, tables: Buckets, batch_size: int) -> Prediction:
    """Of M frames with A atoms in all, in their order, as of a batch without padding."""
    potential.eval()
    found: list[list[Prediction]] = [[] for _ in tables.tables]
    with torch.no_grad():
        for frames in torch.arange(len(tables), device=tables.row.device).split(batch_size):
            for part in tables.gather(frames):
                found[part.bucket].append(potential(part.batch))

    def joined(field: str) -> list[Tensor]:
        """Of each table; the frames of a bucket came in the order of its rows."""
        return [torch.cat([_value(part, field) for part in parts]) for parts in found]

    rows = [of_table.numbers.shape for of_table in tables.tables]
    forces, atomic = joined("forces"), joined("atomic_energies")
    periodic = any(of_table.volume is not None for of_table in tables.tables)
    return Prediction(
        tables.by_frame(joined("energy")),
        tables.by_atom([f.view(*shape, 3) for f, shape in zip(forces, rows, strict=True)]),
        tables.by_atom([a.view(shape) for a, shape in zip(atomic, rows, strict=True)]),
        tables.by_frame(joined("stress")) if periodic else None,
    )


def _value(part: Prediction, field: str) -> Tensor:
    """Of a batch; zero for the stress of a table of open frames alone."""
    value: Tensor | None = getattr(part, field)
    return part.energy.new_zeros(len(part.energy), 3, 3) if value is None else value


def differences(
    potential: Potential, labels: Labelled, batch_size: int
) -> tuple[FloatArray, FloatArray]:
    """Predicted minus labelled: (M,) energies in eV and (A, 3) forces in eV/angstrom, float64."""
    energy, forces, *_ = _compared(potential, labels, batch_size)
    return energy, forces


def compare(
    potential: Potential, labels: Labelled, frames: Frames, batch_size: int
) -> tuple[Predictions, Labels]:
    """Predictions for frames and their labels, as metrics are given them."""
    energy, forces, labelled, *stress = _compared(potential, labels, batch_size)
    truth = Labels(labels.energy.cpu().double().numpy(), labelled, frames)
    # From the differences, so that they are the loss's to the last bit.
    return Predictions(truth.energy + energy, truth.forces + forces, *stress), truth


def _compared(potential: Potential, labels: Labelled, batch_size: int) -> list[FloatArray]:
    """`differences`, the labelled forces (A, 3) and, of periodic frames, the predicted stress."""
    found = []
    for part in labels.parts(batch_size):
        predicted = predict(potential, part.tables, batch_size)
        labelled = part.tables.by_atom(part.forces)
        wrong = predicted.energy - part.energy, predicted.forces - labelled
        stress = [] if predicted.stress is None else [predicted.stress]
        found.append([*wrong, labelled, *stress])
    return [torch.cat(parts).cpu().double().numpy() for parts in zip(*found, strict=True)]
