"""The training loop, top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepset_bench.model.compiled import training_forward
from deepset_bench.runs import RunFolder
from deepset_bench.schema import Config
from deepset_bench.training import checkpoint
from deepset_bench.training.schedule import LearningRate
from deepset_bench.training.setup import Setup
from deepset_bench.training.step import Measured, Optimisation


class Diverged(Exception):
    """A loss stopped being finite; the message says which and when."""


@dataclass(frozen=True)
class Epoch:
    """One row of metrics.csv. Losses are dimensionless; `seconds` is the time since the start."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_energy_mae_ev: float
    train_forces_mae_ev_per_angstrom: float
    val_loss: float
    val_energy_mae_ev: float
    val_forces_mae_ev_per_angstrom: float
    seconds: float


def fit(
    setup: Setup,
    config: Config,
    folder: RunFolder,
    identity: str,
    on_epoch: Callable[[Epoch], None],
) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    After each epoch the folder holds `last.pt`, from which training goes on bit for bit as if it
    had not stopped (on the CPU, with the same number of threads), and `best.pt`, the parameters
    of the lowest validation loss.

    Raises:
        Diverged: a training or validation loss is NaN or infinite.
    """
    trainer, n_train = config.trainer, len(setup.parts["train"])
    steps = math.ceil(n_train / trainer.batch_size)
    rate = LearningRate(trainer, total_steps=steps * trainer.epochs)
    forward = training_forward(setup.potential, config, folder.say)
    optimisation = Optimisation(setup, config, forward)
    first, lowest, elapsed = 0, math.inf, 0.0
    if folder.last.exists():
        saved = checkpoint.load(folder.last, setup.device)
        optimisation.restore(saved)
        rate.restore(saved["rate"])
        first, lowest, elapsed = saved["epochs"], saved["lowest"], saved["seconds"]

    started = time.perf_counter() - elapsed
    for epoch in range(first, trainer.epochs):
        torch.manual_seed(_seed(config.seed, epoch))  # dropout
        sums = torch.zeros(3, device=setup.device)
        for number, frames in enumerate(_batches(setup, config, epoch)):
            learning_rate = rate.at(epoch * steps + number)
            sums += optimisation.train(frames, learning_rate)
        train = Measured(*(sums / n_train).tolist())
        val = optimisation.validate()
        for stage, values in (("training", train), ("validation", val)):
            if not all(map(math.isfinite, values)):
                raise Diverged(f"the {stage} loss of epoch {epoch + 1} is {values.loss}")
        rate.epoch_ended(val.loss)

        if val.loss < lowest:
            lowest = val.loss
            checkpoint.save(
                folder.best,
                {
                    "potential": setup.potential.state_dict(),
                    "reference": checkpoint.pack_reference(setup.reference),
                    "epochs": epoch + 1,
                    "run": identity,
                },
            )
        seconds = time.perf_counter() - started
        on_epoch(Epoch(epoch + 1, learning_rate, *_pair(train, val), seconds))
        checkpoint.save(
            folder.last,
            {
                **optimisation.state(),
                "rate": rate.state(),
                "epochs": epoch + 1,
                "lowest": lowest,
                "seconds": seconds,
                "run": identity,
            },
        )


def _pair(train: Measured, val: Measured) -> tuple[float, float, float, float, float, float]:
    return (*train, *val)


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _batches(setup: Setup, config: Config, epoch: int) -> Iterator[Tensor]:
    """The training frames in the order of this seed and epoch, a batch at a time."""
    order = np.random.default_rng([config.seed, epoch]).permutation(len(setup.parts["train"]))
    yield from torch.from_numpy(order).to(setup.device).split(config.trainer.batch_size)
