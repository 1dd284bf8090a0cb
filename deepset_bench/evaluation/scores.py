"""Every metric of the frames that a run is evaluated on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepset_bench.evaluation.analysis import Analysis
from deepset_bench.scoring.measure import measure
from deepset_bench.scoring.scored import Labels, Predictions
from deepset_bench.scoring.table import metrics


def scores(analysis: Analysis, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Key as in result.json -> `value`, and `trivial`: the molecule's mean energy, zero force.

    Args:
        analysis: predictions and labels.
        say: takes a line for a metric that fails.
    """
    frames, predicted = analysis.selection.frames, analysis.predictions
    labels = Labels(frames.energy - analysis.reference, analysis.forces, frames)
    known = analysis.selection.identified
    _, molecule = np.unique(frames.molecule, return_inverse=True)
    means = (np.bincount(molecule, labels.energy) / np.bincount(molecule))[molecule]
    of_frames = [metric for metric in metrics() if not metric.of_run]
    ours, nothing = (
        measure(
            of_frames,
            Predictions(np.where(known, energy, np.nan), forces, stress),
            labels,
            analysis.run,
            say=say,
        )
        for energy, forces, stress in (
            (predicted.energy - analysis.reference, predicted.forces, predicted.stress),
            (means, np.zeros_like(analysis.forces), np.zeros((len(frames), 3, 3))),
        )
    )
    return {key: {"value": value, "trivial": nothing[key]} for key, value in ours.items()}
