"""Which epoch of a run best.pt holds: the rules of `trainer.select`.

Tables report mean absolute errors, which the mean squared loss ranks otherwise: one frame that is
far off can decide the loss of an epoch. `error` chooses by what is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepset_bench.errors import chosen
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.schema import Trainer
from deepset_bench.training.step import Measured


def rank(trainer: Trainer, trivial: Mapping[str, Any], epoch: int, val: Measured) -> float:
    """What an epoch is chosen by: the lowest of a run is kept, the first of equal ones.

    Args:
        trainer: of the run.
        trivial: what predicting the mean energy of the training frames and zero force scores on the
            validation frames.
        epoch: counted from 1.
        val: what the epoch scores on them.
    """
    rules = {"error": _error(trainer, trivial, val), "loss": val.loss, "last": float(-epoch)}
    return chosen("trainer.select", trainer.select, rules)


def _error(trainer: Trainer, trivial: Mapping[str, Any], val: Measured) -> float:
    """Mean absolute errors in units of the trivial ones, of what the loss holds alone."""
    terms = (
        (trainer.energy_weight, val.energy_mae, ENERGY_MAE),
        (trainer.forces_weight, val.forces_mae, FORCES_MAE),
    )
    # Nothing is trivial to predict where all labels are equal: errors in eV and eV/angstrom, then.
    return sum(error / (trivial[key] or 1.0) for weight, error, key in terms if weight)
