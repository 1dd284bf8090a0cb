"""Metrics of stress, per component, of the frames that are labelled with it."""

from __future__ import annotations

import numpy as np

from deepset_bench.molecules.frames import FloatArray
from deepset_bench.scoring.averages import mean_absolute, root_mean_square
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.variants import metric


@metric("stress_mae", unit="meV/angstrom^3", of="stress")
def stress_mae(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Mean absolute error of a component of the stress."""
    return mean_absolute(_errors(predictions, labels))


@metric("stress_rmse", unit="meV/angstrom^3", of="stress")
def stress_rmse(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Root mean square error of a component of the stress."""
    return root_mean_square(_errors(predictions, labels))


def _errors(predictions: Predictions, labels: Labels) -> FloatArray:
    """In meV/angstrom^3; none where nothing is labelled."""
    if predictions.stress is None:
        return np.zeros(0)
    wrong: FloatArray = 1000 * (predictions.stress - labels.frames.labelled_stress())
    return wrong[~np.isnan(wrong)]
