"""Errors of energies (per molecule) and forces (per component), and of the trivial baseline."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from deepset_bench.denormals import flushed
from deepset_bench.model.buckets import Buckets
from deepset_bench.model.labelled import LabelledTables
from deepset_bench.model.potential import Potential, Prediction
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.scoring.averages import mean_absolute, root_mean_square
from deepset_bench.scoring.scored import Labels, Predictions


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
        energy_mae_ev=mean_absolute(energy),
        energy_rmse_ev=root_mean_square(energy),
        forces_mae_ev_per_angstrom=mean_absolute(forces),
        forces_rmse_ev_per_angstrom=root_mean_square(forces),
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
    potential: Potential, labels: LabelledTables, batch_size: int
) -> tuple[FloatArray, FloatArray]:
    """Predicted minus labelled: (M,) energies in eV and (A, 3) forces in eV/angstrom, float64."""
    energy, forces, *_ = predict(potential, labels.tables, batch_size)
    forces_error = forces - labels.tables.by_atom(labels.forces)
    return (energy - labels.energy).double().cpu().numpy(), forces_error.double().cpu().numpy()


def compare(
    potential: Potential, labels: LabelledTables, frames: Frames, batch_size: int
) -> tuple[Predictions, Labels]:
    """Predictions for frames and their labels, as metrics are given them."""
    energy, forces = differences(potential, labels, batch_size)
    truth = Labels(
        labels.energy.double().cpu().numpy(),
        labels.tables.by_atom(labels.forces).double().cpu().numpy(),
        frames,
    )
    # From the differences, so that they are the loss's to the last bit.
    return Predictions(truth.energy + energy, truth.forces + forces), truth
