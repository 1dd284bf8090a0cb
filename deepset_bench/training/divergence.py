"""Why a run has diverged: which loss is not finite, since which step, on which frames."""

from __future__ import annotations

import math

import numpy as np

from deepset_bench.molecules.frames import IntArray
from deepset_bench.schema import Config
from deepset_bench.training.setup import Setup
from deepset_bench.training.step import Measured


def order_of(seed: int, epoch: int, n_train: int) -> IntArray:
    """(n_train,) training frames in the order in which an epoch, counted from 0, takes them."""
    return np.random.default_rng([seed, epoch]).permutation(n_train)


def reason(
    setup: Setup, config: Config, epoch: int, train: Measured, val: Measured, finite: int
) -> str:
    """What is not finite after an epoch, in words; empty where everything is.

    Args:
        setup, config: of the run.
        epoch: counted from 0.
        train, val: means over the frames.
        finite: steps of the epoch before the first whose loss is not finite.
    """
    if not all(map(math.isfinite, train)):
        rows = order_of(config.seed, epoch, len(setup.parts["train"]))
        size = config.trainer.batch_size
        batch = setup.split.train[rows[finite * size : (finite + 1) * size]]
        frames = ", ".join(str(row + 1) for row in batch[:_NAMED])
        more = f" and {len(batch) - _NAMED} more" if len(batch) > _NAMED else ""
        return (
            f"the training loss of epoch {epoch + 1} is {train.loss}, first in step {finite + 1}, "
            f"of frames {frames}{more} of {config.data.name}"
        )
    if not all(map(math.isfinite, val)):
        return f"the validation loss of epoch {epoch + 1} is {val.loss}"
    return ""


_NAMED = 10
"""Frames of a batch that are named."""
