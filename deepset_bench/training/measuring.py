"""What result.json says of a run: its metrics, on the frames that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from deepset_bench.schema import Config
from deepset_bench.scoring.measure import measure
from deepset_bench.scoring.metrics import compare
from deepset_bench.scoring.scored import ScoredRun
from deepset_bench.scoring.table import Metric
from deepset_bench.training.setup import Setup, evaluation_batch


def measured(
    setup: Setup,
    config: Config,
    metrics: Sequence[Metric],
    seconds_a_step: float,
    say: Callable[[str], None] | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Keys of result.json: `metrics` of each part, and those of the run.

    Args:
        setup: of the run, with the parameters to judge it by.
        config: of the run.
        metrics: to measure.
        seconds_a_step: wall time over optimisation steps.
        say: see `measure`; each line once.
        folder: that holds the trained potential, for metrics of it.
    """
    run = ScoredRun(sum(p.numel() for p in setup.potential.parameters()), seconds_a_step, config)
    trained = replace(run, folder=folder)
    of_frames, of_run = ([m for m in metrics if m.of_run is of] for of in (False, True))
    said = say and cache(say)
    parts: dict[str, dict[str, Any]] = {}
    once: dict[str, Any] = {}
    for part, frames in setup.frames.items():
        compared = compare(setup.potential, setup.parts[part], frames, evaluation_batch(config))
        parts[part] = measure(of_frames, *compared, run, setup.scorers.get(part), said)
        if part == "test":
            once = measure(of_run, *compared, trained, None, said)
    return {**once, "metrics": parts}
