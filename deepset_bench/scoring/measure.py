"""Every metric of one part of the frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepset_bench.errors import UserError
from deepset_bench.schema import Config
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.scoring.table import Metric, Value
from deepset_bench.scoring.unseen import Scorer


def measure(
    metrics: Sequence[Metric],
    predictions: Predictions,
    labels: Labels,
    run: ScoredRun,
    scorer: Scorer | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Key in result.json -> value.

    Args:
        metrics: to measure; those of stress only where any frame is labelled with it.
        predictions: of the frames.
        labels: of the frames.
        run: what made the predictions.
        scorer: where the frames are scored in detail, too: adds what it says.
        say: takes a line for a metric of another's that fails, which is None then; without it the
            error is raised.

    Raises:
        UserError: see `say`.
    """
    known: dict[str, Any] = {}
    if scorer is not None:
        wrong = predictions.energy - labels.energy, predictions.forces - labels.forces
        known = scorer.scores(*wrong)
        predictions = scorer.where_identified(predictions)
    found: dict[str, Value] = {}
    for metric in metrics:
        if metric.of_stress and labels.frames.stress is None:
            continue
        try:
            found[metric.key] = metric(predictions, labels, run)
        except UserError as error:
            if say is None:
                raise
            say(str(error))
            found[metric.key] = None
    return {**found, **known}


def measure_nothing(
    metrics: Sequence[Metric],
    mean: float,
    labels: Labels,
    config: Config,
    scorer: Scorer | None = None,
) -> dict[str, Any]:
    """What predicting one energy and no force scores; see `measure`.

    Args:
        metrics: to measure.
        mean: eV, the mean training energy relative to the energy reference.
        labels: of the frames.
        config: of the run that is compared with it.
        scorer: see `measure`.
    """
    energy, stress = np.full_like(labels.energy, mean), np.zeros((len(labels.energy), 3, 3))
    nothing = Predictions(energy, np.zeros_like(labels.forces), stress)
    return measure(metrics, nothing, labels, ScoredRun(0, math.nan, config), scorer)
