"""`bench study tune`: the settings of each network, chosen by the trials of `tuning.yaml`.

A trial is scored on validation frames alone: those of the molecules that it was trained on (`val`),
and those of molecules that are in no other part (`val_unseen`). Nothing else of a run is looked at,
and tasks with `ood` frames are refused: what settings are chosen by cannot judge them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from deepset_bench import file_version
from deepset_bench.config import experiment
from deepset_bench.data.tasks import divide
from deepset_bench.errors import UserError
from deepset_bench.files import write_text
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.replicate import Replicate
from deepset_bench.schema import Config
from deepset_bench.study.collect import Where, collect
from deepset_bench.study.columns import VAL
from deepset_bench.sweep import tuning
from deepset_bench.sweep.folders import TUNING
from deepset_bench.sweep.studies import Study
from deepset_bench.tuned import TUNED, is_network

ERRORS = {
    VAL: (ENERGY_MAE, FORCES_MAE),
    # About the mean of a molecule: its offset is the energy reference's.
    "val_unseen": (f"relative_{ENERGY_MAE}", FORCES_MAE),
}
"""Part -> the errors in it that a trial is scored by."""
_HEADING = "# Written by bench study tune; tuned=NETWORK stands for its overrides.\n"


@dataclass(frozen=True)
class Trial:
    """Settings of a network, and their score: see `score`."""

    number: int
    settings: tuple[str, ...]
    score: float


def choose(study: Study, where: Where) -> dict[str, list[Trial]]:
    """Network -> its trials, the best first.

    Args:
        study: with `tuning.yaml`.
        where: which runs.

    Raises:
        UserError: there is no such file, a task cannot be tuned on, trials are missing, or all
            those of a network diverged.
    """
    path = study.file(TUNING)
    if path is None:
        raise UserError(f"{study.name}: has no {TUNING}")
    asked, comparison = tuning.read(path), study.comparison(path.stem, TUNING)
    _check_tasks(study, path, asked)
    runs = collect(comparison, [""], where)
    undone = runs[~runs.state.isin(("done", "diverged"))]
    if len(undone):
        raise UserError(
            f"{path}: {len(undone)} of {len(runs)} runs are missing, the first "
            f"{undone.label.iloc[0]}: {undone.state.iloc[0]}; bench sweep {comparison.file[0]}"
        )
    scores = {}
    for label, replicate, state, result in zip(
        runs.label, runs.replicate, runs.state, _results(runs), strict=True
    ):
        try:
            scores[label, replicate] = score(result) if state == "done" else math.inf
        except UserError as error:
            raise UserError(f"{path}: {label}: {error}") from None
    each = sorted(set(runs.replicate))
    found = {
        network: sorted(
            (
                Trial(number, point, _mean(asked, network, number, each, scores))
                for number, point in enumerate(asked.points)
            ),
            key=lambda one: one.score,
        )
        for network in asked.networks
    }
    for network, trials in found.items():
        if not math.isfinite(trials[0].score):
            raise UserError(
                f"{path}: {network}: every trial diverged, so none of its settings is the best; "
                "try smaller learning rates"
            )
    return found


def score(result: Mapping[str, Any]) -> float:
    """Mean logarithm of validation errors over those of knowing nothing: less is better.

    Args:
        result: of a run; of it, `metrics` and `baselines` of the parts in ERRORS are read.

    Raises:
        UserError: one of these is zero, or there is none.
    """
    metrics, trivial = result["metrics"], result["baselines"]
    terms = []
    for part, keys in ERRORS.items():
        for key in keys if part in metrics else ():
            error, of_nothing = metrics[part].get(key), trivial[part].get(key)
            if not (error and of_nothing):  # zero, as of labels that are all equal, or none
                raise UserError(
                    f"{part}: {key} is {error}, and {of_nothing} of knowing nothing: settings "
                    "cannot be chosen by it; take validation frames with energies that differ "
                    "within a molecule, and with forces"
                )
            terms.append(math.log(error / of_nothing))
    return sum(terms) / len(terms)


def write(study: Study, found: Mapping[str, Sequence[Trial]]) -> Path:
    """Write `tuned.yaml` into the study, whole or not at all; returns its path."""
    assert study.folder is not None
    asked = tuning.read(study.folder / TUNING)
    content = {
        "of": asked.hash,
        "networks": {
            network: {
                "overrides": [*asked.networks[network], *trials[0].settings],
                "trials": [
                    {
                        "trial": one.number,
                        "settings": list(one.settings),
                        "score": round(one.score, 4) if math.isfinite(one.score) else None,
                    }
                    for one in trials
                ],
            }
            for network, trials in found.items()
        },
    }
    path = study.folder / TUNED
    text = yaml.safe_dump(file_version.marked(content), sort_keys=False, allow_unicode=True)
    write_text(path, _HEADING + text)
    return path


def _results(runs: pd.DataFrame) -> list[Any]:
    return list(runs.result) if "result" in runs else [None] * len(runs)


def _mean(
    asked: tuning.Tuning,
    network: str,
    number: int,
    each: Sequence[Replicate],
    scores: Mapping[tuple[str, Replicate], float],
) -> float:
    """Over tasks and seeds."""
    label = partial(tuning.label, network, number)
    values = [scores[label(task), one] for task in asked.tasks for one in each]
    return sum(values) / len(values)


def _check_tasks(study: Study, path: Path, asked: tuning.Tuning) -> None:
    """Refuse tasks with frames to judge by, and those that the study reports on, or frames of."""
    reported: dict[tuple[str, str], tuple[str, Config]] = {}
    for one in study.shown:
        for row in one.runs:  # of networks that may not be tuned yet
            config = experiment([o for o in row.overrides if not is_network(o)]).config
            reported[config.data.name, repr(config.task)] = one.name, config
    for name, lines in asked.tasks.items():
        where = f"{path}: tasks.{name}"
        config = experiment([*study.common, *asked.common, *lines]).config
        if config.task.has_ood:
            raise UserError(
                f"{where}: has ood frames; settings may be chosen by task.val_unseen alone"
            )
        if other := reported.get((config.data.name, repr(config.task))):
            raise UserError(f"{where}: {other[0]} reports results on this task")
        tuned_on = divide(config.data.name, config.task)
        seen = np.union1d(tuned_on.pool, tuned_on.val_unseen)
        for comparison, judged in reported.values():
            if (judged.task.data or judged.data.name) == config.data.name:
                every = replace(judged.task, ood_size=len(tuned_on.frames))
                asks = divide(judged.data.name, every)
                judging = asks.ood if judged.task.has_ood else asks.pool  # some seed's test frames
                if len(both := np.intersect1d(seen, judging)):
                    raise UserError(
                        f"{where}: {len(both)} of its frames, the first of "
                        f"{tuned_on.frames.molecule[both[0]]}, are among those that {comparison} "
                        "judges by; leave them out by task.train and task.val_unseen"
                    )
