"""Metrics of forces, per component."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols

from deepset_bench.molecules.frames import FloatArray
from deepset_bench.scoring.averages import mean_absolute, root_mean_square
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.variants import metric


@metric("forces_mae", unit="eV/angstrom")
def forces_mae(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Mean absolute error of a component of a force."""
    return mean_absolute(_errors(predictions, labels))


@metric("forces_rmse", unit="eV/angstrom")
def forces_rmse(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Root mean square error of a component of a force."""
    return root_mean_square(_errors(predictions, labels))


@metric("forces_median", unit="eV/angstrom")
def forces_median(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Half of the components of forces have a smaller absolute error."""
    return float(np.median(_errors(predictions, labels)))


@metric("forces_p95", unit="eV/angstrom")
def forces_p95(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """95 of 100 components of forces have a smaller absolute error."""
    return float(np.percentile(_errors(predictions, labels), 95))


@metric("forces_mae_by_element", unit="eV/angstrom")
def forces_mae_by_element(
    predictions: Predictions, labels: Labels, run: ScoredRun
) -> dict[str, float]:
    """Mean absolute error of a component of a force on the atoms of each element."""
    if not labels.has_force.any():
        return {}
    errors, numbers = _errors(predictions, labels), labels.numbers[labels.has_force]
    return {chemical_symbols[z]: mean_absolute(errors[numbers == z]) for z in np.unique(numbers)}


def _errors(predictions: Predictions, labels: Labels) -> FloatArray:
    """(a, 3) absolute ones of the atoms with a label; one NaN where there is none."""
    there = labels.has_force
    wrong: FloatArray = np.abs(predictions.forces[there] - labels.forces[there])
    return wrong if wrong.size else np.full((1, 3), np.nan)
