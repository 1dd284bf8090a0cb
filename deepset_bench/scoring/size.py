"""Metrics of a run that no frame is needed for."""

from __future__ import annotations

from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.variants import metric


@metric("parameters", digits=0, of="run")
def parameters(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """How many numbers are learned."""
    return run.parameters


@metric("ms_a_step", digits=1, of="run")
def ms_a_step(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Milliseconds that a step of training took; compare runs of one machine alone."""
    return 1000 * run.seconds_a_step
