"""Learning rate of each step: linear warm-up, then a cosine or a plateau schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deepset_bench.errors import chosen
from deepset_bench.schema import Trainer


@dataclass
class LearningRate:
    """The learning rate as a function of steps done and validation losses seen.

    Attributes:
        factor: what the plateau has multiplied the rate by so far; 1 under cosine.
        best: lowest validation loss, and how many epochs ago it was.
    """

    trainer: Trainer
    total_steps: int
    factor: float = 1.0
    best: float = math.inf
    epochs_since_best: int = 0

    def at(self, step: int) -> float:
        """Rate of the given step, counted from 0."""
        schedule = self.trainer.schedule
        if step < schedule.warmup_steps:
            return self.trainer.learning_rate * (step + 1) / schedule.warmup_steps
        after = {"plateau": self._plateau, "cosine": self._cosine}
        return chosen("trainer.schedule.kind", schedule.kind, after)(step)

    def _plateau(self, step: int) -> float:
        return max(self.trainer.learning_rate * self.factor, self.trainer.schedule.minimum)

    def _cosine(self, step: int) -> float:
        schedule, peak = self.trainer.schedule, self.trainer.learning_rate
        rest = max(self.total_steps - schedule.warmup_steps, 1)
        progress = min((step - schedule.warmup_steps) / rest, 1.0)
        return schedule.minimum + (peak - schedule.minimum) * (1 + math.cos(math.pi * progress)) / 2

    def epoch_ended(self, val_loss: float) -> None:
        """Under `plateau`, lower the rate after `patience` epochs without a better loss.

        A loss counts as better below (1 - 1e-4) times the best, as in torch's ReduceLROnPlateau.
        """
        schedule = self.trainer.schedule
        if schedule.kind != "plateau":
            return
        assert schedule.patience is not None
        assert schedule.factor is not None
        if val_loss < self.best * (1 - 1e-4):
            self.best, self.epochs_since_best = val_loss, 0
            return
        self.epochs_since_best += 1
        if self.epochs_since_best > schedule.patience:
            self.factor *= schedule.factor
            self.epochs_since_best = 0

    def state(self) -> dict[str, float]:
        """What a checkpoint needs."""
        return {"factor": self.factor, "best": self.best, "epochs": self.epochs_since_best}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from `state`."""
        self.factor, self.best = state["factor"], state["best"]
        self.epochs_since_best = int(state["epochs"])


def agree(shorter: Trainer, longer: Trainer, steps_an_epoch: int) -> bool:
    """Whether every step of the shorter run has the learning rate that it has in the longer one.

    Under `plateau` the rate depends on what was, not on what is to come; under `cosine` only the
    warm-up does.

    Args:
        shorter: of one run.
        longer: of another, which differs in `epochs` alone.
        steps_an_epoch: of both.
    """
    rates = [LearningRate(one, steps_an_epoch * one.epochs) for one in (shorter, longer)]
    a, b = ([rate.at(n) for n in range(steps_an_epoch * shorter.epochs)] for rate in rates)
    return a == b
