"""One optimisation step and one pass over the validation frames of a single run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from deepset_bench.data.batches import Batch
from deepset_bench.evaluation.metrics import Labels
from deepset_bench.model.potential import Prediction
from deepset_bench.schema import Config
from deepset_bench.training.loss import Loss
from deepset_bench.training.setup import Setup


class Measured(NamedTuple):
    """Loss (dimensionless), energy MAE in eV, force MAE in eV/angstrom: a mean over frames."""

    loss: float
    energy_mae: float
    forces_mae: float


class Optimisation(Protocol):
    """The changing state of n runs: parameters, optimizers, moving averages of the loss."""

    def train(self, frames: Sequence[Tensor], rates: Sequence[float]) -> Tensor:
        """A step of each run on its frames; (n, 3) sums over each batch of what Measured holds."""

    def validate(self) -> list[Measured]:
        """Each run's mean over its validation frames."""

    def state(self, run: int) -> dict[str, Any]:
        """What a checkpoint of one run needs to go on."""

    def restore(self, run: int, state: dict[str, Any]) -> None:
        """Go on from `state`."""


def measure(
    loss: Loss, stage: str, energy_error: Tensor, forces_error: Tensor, numbers: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss (...) of a batch, and (..., 3) detached sums over its frames for `Measured`.

    Args:
        loss: of one run, or of stacked runs with one leading axis everywhere.
        stage: `train` or `val`.
        energy_error: (..., B) in eV.
        forces_error: (..., N, 3) in eV/angstrom, zero in padding.
        numbers: (..., N) atomic numbers, 0 in padding.
    """
    n_atoms = (numbers > 0).sum(-1)
    total = loss(stage, energy_error, forces_error, n_atoms)
    with torch.no_grad():
        forces_mae = forces_error.abs().sum((-2, -1)) / (3 * n_atoms)
        measured = torch.stack([total.detach(), energy_error.abs().mean(-1), forces_mae], dim=-1)
    return total, measured * energy_error.shape[-1]


class SingleOptimisation:
    """One run with torch's AdamW.

    Args:
        setup: the run.
        config: its configuration.
        forward: energies and forces of a training batch; the potential itself, or the same
            function compiled.
    """

    def __init__(
        self, setup: Setup, config: Config, forward: Callable[[Batch], Prediction]
    ) -> None:
        self.setup, self.config, self.forward = setup, config, forward
        self.optimizer = torch.optim.AdamW(
            setup.potential.parameters(),
            lr=config.trainer.learning_rate,
            weight_decay=config.trainer.weight_decay,
            fused=True,
        )

    def train(self, frames: Sequence[Tensor], rates: Sequence[float]) -> Tensor:
        """See `Optimisation`."""
        potential, clip = self.setup.potential, self.config.trainer.gradient_clip
        potential.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rates[0]
        self.optimizer.zero_grad()
        loss, measured = self._measure(self.forward, "train", frames[0])
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(potential.parameters(), clip)
        self.optimizer.step()
        return measured[None]

    def validate(self) -> list[Measured]:
        """See `Optimisation`."""
        potential, n_val = self.setup.potential, len(self.setup.parts["val"])
        potential.eval()
        sums = torch.zeros(3, device=self.setup.device)
        with torch.no_grad():
            frames = torch.arange(n_val, device=self.setup.device)
            for batch in frames.split(self.config.trainer.batch_size):
                sums += self._measure(potential, "val", batch)[1]
        return [Measured(*(sums / n_val).tolist())]

    def state(self, run: int) -> dict[str, Any]:
        """See `Optimisation`."""
        return {
            "potential": self.setup.potential.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averages": self.setup.loss.averages,
        }

    def restore(self, run: int, state: dict[str, Any]) -> None:
        """See `Optimisation`."""
        self.setup.potential.load_state_dict(state["potential"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.setup.loss.averages = state["averages"]

    def _measure(
        self, forward: Callable[[Batch], Prediction], stage: str, frames: Tensor
    ) -> tuple[Tensor, Tensor]:
        labels: Labels = self.setup.parts[stage]
        batch = labels.tables.gather(frames)
        prediction = forward(batch)
        energy_error = prediction.energy - labels.energy[frames]
        forces_error = prediction.forces - labels.forces[frames].flatten(0, 1)
        return measure(self.setup.loss, stage, energy_error, forces_error, batch.numbers)
