"""The training loop, top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from deepset_bench.evaluation.metrics import Labels
from deepset_bench.model.potential import Potential
from deepset_bench.runs import RunFolder
from deepset_bench.schema import Config
from deepset_bench.training import checkpoint
from deepset_bench.training.loss import Loss
from deepset_bench.training.schedule import LearningRate
from deepset_bench.training.setup import Setup


class Diverged(Exception):
    """A loss stopped being finite; the message says which and when."""


class _Measured(NamedTuple):
    """Loss (dimensionless), energy MAE in eV, force MAE in eV/angstrom: a mean over frames."""

    loss: float
    energy_mae: float
    forces_mae: float


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

    @classmethod
    def of(
        cls, epoch: int, learning_rate: float, train: _Measured, val: _Measured, seconds: float
    ) -> Epoch:
        """The row of an epoch's two measurements."""
        return cls(
            epoch,
            learning_rate,
            train.loss,
            train.energy_mae,
            train.forces_mae,
            val.loss,
            val.energy_mae,
            val.forces_mae,
            seconds,
        )


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
    potential, loss, trainer = setup.potential, setup.loss, config.trainer
    steps = math.ceil(len(setup.parts["train"]) / trainer.batch_size)
    rate = LearningRate(trainer, total_steps=steps * trainer.epochs)
    optimizer = torch.optim.AdamW(
        potential.parameters(),
        lr=trainer.learning_rate,
        weight_decay=trainer.weight_decay,
        fused=True,
    )
    first, lowest, elapsed = 0, math.inf, 0.0
    if folder.last.exists():
        saved = checkpoint.load(folder.last, setup.device)
        potential.load_state_dict(saved["potential"])
        optimizer.load_state_dict(saved["optimizer"])
        rate.restore(saved["rate"])
        loss.averages = saved["averages"]
        first, lowest, elapsed = saved["epochs"], saved["lowest"], saved["seconds"]

    started = time.perf_counter() - elapsed
    for epoch in range(first, trainer.epochs):
        torch.manual_seed(_seed(config.seed, epoch))  # dropout
        potential.train()
        sums = torch.zeros(3, device=setup.device)
        for number, frames in enumerate(_batches(setup, config, epoch)):
            learning_rate = rate.at(epoch * steps + number)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.zero_grad()
            total, measured = _loss(potential, loss, setup.parts["train"], "train", frames)
            total.backward()
            if trainer.gradient_clip is not None:
                torch.nn.utils.clip_grad_norm_(potential.parameters(), trainer.gradient_clip)
            optimizer.step()
            sums += measured * len(frames)
        train = _Measured(*(sums / len(setup.parts["train"])).tolist())
        val = _validate(setup, trainer.batch_size)
        for stage, values in (("training", train), ("validation", val)):
            if not all(map(math.isfinite, values)):
                raise Diverged(f"the {stage} loss of epoch {epoch + 1} is {values.loss}")
        rate.epoch_ended(val.loss)

        if val.loss < lowest:
            lowest = val.loss
            checkpoint.save(
                folder.best,
                {
                    "potential": potential.state_dict(),
                    "reference": checkpoint.pack_reference(setup.reference),
                    "epochs": epoch + 1,
                    "run": identity,
                },
            )
        seconds = time.perf_counter() - started
        on_epoch(Epoch.of(epoch + 1, learning_rate, train, val, seconds))
        checkpoint.save(
            folder.last,
            {
                "potential": potential.state_dict(),
                "optimizer": optimizer.state_dict(),
                "rate": rate.state(),
                "averages": loss.averages,
                "epochs": epoch + 1,
                "lowest": lowest,
                "seconds": seconds,
                "run": identity,
            },
        )


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _batches(setup: Setup, config: Config, epoch: int) -> Iterator[Tensor]:
    """The training frames in the order of this seed and epoch, a batch at a time."""
    order = np.random.default_rng([config.seed, epoch]).permutation(len(setup.parts["train"]))
    yield from torch.from_numpy(order).to(setup.device).split(config.trainer.batch_size)


def _loss(
    potential: Potential, loss: Loss, labels: Labels, stage: str, frames: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and (3,) detached: loss, energy MAE in eV, force MAE in eV/angstrom."""
    batch = labels.tables.gather(frames)
    prediction = potential(batch)
    energy_error = prediction.energy - labels.energy[frames]
    forces_error = prediction.forces - labels.forces[frames].flatten(0, 1)
    n_atoms = (batch.numbers > 0).sum()
    total = loss(stage, energy_error, forces_error, n_atoms)
    with torch.no_grad():
        forces_mae = forces_error.abs().sum() / (3 * n_atoms)
        measured = torch.stack([total.detach(), energy_error.abs().mean(), forces_mae])
    return total, measured


def _validate(setup: Setup, batch_size: int) -> _Measured:
    """The mean over the validation frames."""
    setup.potential.eval()
    part = setup.parts["val"]
    sums = torch.zeros(3, device=setup.device)
    with torch.no_grad():
        for frames in torch.arange(len(part), device=setup.device).split(batch_size):
            _, measured = _loss(setup.potential, setup.loss, part, "val", frames)
            sums += measured * len(frames)
    return _Measured(*(sums / len(part)).tolist())
