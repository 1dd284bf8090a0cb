"""Metrics of a run that no frame is needed for."""

from __future__ import annotations

from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.variants import metric


@metric("parameters", digits=0, of="run")
def parameters(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """How many numbers are learned."""
    return run.parameters
