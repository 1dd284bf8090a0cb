"""Metrics of energies, per molecule, of the frames whose absolute energies are scored."""

from __future__ import annotations

import numpy as np

from deepset_bench.molecules.frames import FloatArray
from deepset_bench.scoring.averages import mean_absolute, root_mean_square
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.variants import metric


@metric("energy_mae", unit="eV")
def energy_mae(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Mean absolute error of the energy of a molecule."""
    return mean_absolute(_errors(predictions, labels))


@metric("energy_rmse", unit="eV")
def energy_rmse(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Root mean square error of the energy of a molecule."""
    return root_mean_square(_errors(predictions, labels))


@metric("energy_median", unit="eV")
def energy_median(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Half of the molecules have a smaller absolute error of the energy."""
    return float(np.median(_errors(predictions, labels)))


@metric("energy_p95", unit="eV")
def energy_p95(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """95 of 100 molecules have a smaller absolute error of the energy."""
    return float(np.percentile(_errors(predictions, labels), 95))


def _errors(predictions: Predictions, labels: Labels) -> FloatArray:
    """Absolute ones; a NaN where nothing is scored."""
    wrong: FloatArray = np.abs(predictions.energy - labels.energy)
    scored = wrong[~np.isnan(wrong)]
    return scored if scored.size else np.array([np.nan])
