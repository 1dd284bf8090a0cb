"""A run's errors compared with the trivial baseline, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from deepset_bench.reading import is_number
from deepset_bench.record import ENERGY_MAE, FORCES_MAE

_ABOUT = 1.05
"""Up to this ratio two errors are called equal."""
_ERRORS = (
    ("energies", ENERGY_MAE, "predicting the mean", "energy"),
    ("forces", FORCES_MAE, "predicting zero", "forces"),
)


def judgement(result: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """How many times better than the trivial baseline a run is, on test and validation frames.

    Where it is not better and a setting is known to keep it from learning, that is said, too.

    Args:
        result: of a run that is done.
        settings: its configuration, dotted; may be empty.

    Returns:
        The sentence; empty where the errors are not known.
    """
    said = []
    for what, key, nothing, weight in _ERRORS:
        ours, trivial = (
            sum(_number(result[of][part].get(key)) for part in ("test", "val"))
            for of in ("metrics", "baselines")
        )
        if math.isnan(ours) or not trivial > 0 or not ours > 0:
            continue
        better = trivial / ours > _ABOUT
        reason = "" if better else _reason(settings, what, weight)
        said.append(f"{what} {_compared(trivial / ours)} {nothing}{reason and f': {reason}'}")
    return "; ".join(said)


def _number(value: Any) -> float:
    return float(value) if is_number(value) else math.nan


def _compared(ratio: float) -> str:
    if ratio > _ABOUT:
        times = f"{ratio:.1f}" if ratio < 3 else f"{ratio:.0f}"
        return f"{times} times better than"
    return "no better than" if ratio >= 1 / _ABOUT else "worse than"


def _reason(settings: Mapping[str, Any], what: str, weight: str) -> str:
    """Which setting keeps a run from learning; empty where none is known to."""
    if settings.get(f"trainer.{weight}_weight") == 0:
        return f"with trainer.{weight}_weight=0 the loss has no {what} in it"
    keys = ("data.train_size", "trainer.batch_size", "trainer.epochs")
    warmup = settings.get("trainer.schedule.warmup_steps")
    if warmup is None or any(key not in settings for key in keys):
        return ""
    size, batch, epochs = (settings[key] for key in keys)
    steps = math.ceil(size / batch) * epochs
    if warmup <= steps:
        return ""
    return f"the warm-up of {warmup:,} steps is longer than the run ({steps:,} steps)"
