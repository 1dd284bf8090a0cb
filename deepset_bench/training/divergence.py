"""Why a run has diverged: which loss is not finite, since which step, on which frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from deepset_bench.molecules.frames import IntArray
from deepset_bench.schema import Config
from deepset_bench.scoring.frame_errors import FrameErrors
from deepset_bench.scoring.metrics import compare
from deepset_bench.training.setup import Setup, evaluation_batch
from deepset_bench.training.step import Measured


def order_of(seed: int, epoch: int, n_train: int) -> IntArray:
    """(n_train,) training frames in the order in which an epoch, counted from 0, takes them."""
    return np.random.default_rng([seed, epoch]).permutation(n_train)


def reason(
    setup: Setup,
    config: Config,
    epoch: int,
    train: Measured,
    val: Measured,
    finite: int,
    parameters: Callable[[], dict[str, Any]],
) -> str:
    """What is not finite after an epoch, in words; empty where everything is.

    Args:
        setup, config: of the run.
        epoch: counted from 0.
        train, val: means over the frames.
        finite: steps of the epoch before the first whose loss is not finite.
        parameters: of the potential after the epoch. It gets them where the validation loss is not
            finite.
    """
    if not all(map(math.isfinite, train)):
        rows = order_of(config.seed, epoch, setup.n_train)
        size = config.trainer.batch_size
        batch = setup.split.train[rows[finite * size : (finite + 1) * size]]
        return (
            f"the training loss of epoch {epoch + 1} is {train.loss}, first in step {finite + 1}, "
            f"of {_named(batch)} of {config.data.name}"
        )
    if not all(map(math.isfinite, val)):
        setup.potential.load_state_dict(parameters())
        return (
            f"the validation loss of epoch {epoch + 1} is {val.loss}, "
            f"of {_named(_worst(setup, config))} of {config.data.name}"
        )
    return ""


def _worst(setup: Setup, config: Config) -> IntArray:
    """The validation frames whose error is not finite; the one of the largest if all are."""
    batch = evaluation_batch(config)
    compared = compare(setup.potential, setup.parts["val"], setup.frames["val"], batch)
    found = FrameErrors.of(setup.split.val, *compared)
    errors = np.abs(found.energy) + found.forces
    wrong = ~np.isfinite(errors)
    return found.frame[wrong] if wrong.any() else found.frame[[errors.argmax()]]


def _named(frames: IntArray) -> str:
    """Frames, counted from 0, as a person counts them."""
    more = f" and {len(frames) - _NAMED} more" if len(frames) > _NAMED else ""
    return f"frames {', '.join(str(frame + 1) for frame in frames[:_NAMED])}{more}"


_NAMED = 10
"""Frames that are named at most."""
