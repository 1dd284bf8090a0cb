"""What result.json says of a run: its metrics, on the frames that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from deepset_bench.schema import Config
from deepset_bench.scoring.frame_errors import FrameErrors
from deepset_bench.scoring.measure import measure, measure_nothing
from deepset_bench.scoring.metrics import compare
from deepset_bench.scoring.scored import ScoredRun
from deepset_bench.scoring.table import Metric
from deepset_bench.training.setup import Setup, evaluation_batch


@dataclass(frozen=True)
class Scores:
    """What a trained run scores.

    Attributes:
        result: keys of result.json: `metrics` of each part, and those of the run.
        baselines: those of the setup and of what is measured at the end alone.
        frames: of each held-out frame; None where there is none.
    """

    result: dict[str, Any]
    baselines: dict[str, dict[str, Any]]
    frames: FrameErrors | None


def measured(
    setup: Setup,
    config: Config,
    metrics: Sequence[Metric],
    seconds_a_step: float,
    say: Callable[[str], None] | None = None,
    folder: Path | None = None,
) -> Scores:
    """Measure a run.

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
    said, batch = say and cache(say), evaluation_batch(config)
    parts: dict[str, dict[str, Any]] = {}
    once: dict[str, Any] = {}
    for part, frames in setup.frames.items():
        compared = compare(setup.potential, setup.parts[part], frames, batch)
        parts[part] = measure(of_frames, *compared, run, setup.scorers.get(part), said)
        if part == "test":
            once = measure(of_run, *compared, trained, None, said)
    baselines, errors = setup.baselines, None
    if setup.held_out is not None:
        predicted, labels = setup.held_out.compare(setup.potential, batch)
        scorer, mean = setup.held_out.scorer(labels.frames), setup.held_out.mean
        parts["held_out"] = measure(of_frames, predicted, labels, run, scorer, said)
        nothing = measure_nothing(of_frames, mean, labels, config, scorer)
        baselines = {**baselines, "held_out": nothing}
        scored = predicted if scorer is None else scorer.where_identified(predicted)
        errors = FrameErrors.of(setup.held_out.frames.rows, scored, labels)
    return Scores({**once, "metrics": parts}, baselines, errors)
