"""One optimisation step and one pass over the validation frames of a single run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepset_bench.data.batches import Batch
from deepset_bench.evaluation.metrics import Labels
from deepset_bench.model.potential import Prediction
from deepset_bench.schema import Config
from deepset_bench.training.setup import Setup


class Measured(NamedTuple):
    """Loss (dimensionless), energy MAE in eV, force MAE in eV/angstrom: a mean over frames."""

    loss: float
    energy_mae: float
    forces_mae: float


class Optimisation:
    """The changing state of one run: parameters, optimizer, the loss's moving averages.

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

    def train(self, frames: Tensor, rate: float) -> Tensor:
        """Take one step at a learning rate; (3,) sums over the batch of what `Measured` holds."""
        potential, clip = self.setup.potential, self.config.trainer.gradient_clip
        potential.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss, measured = self._measure(self.forward, self.setup.parts["train"], "train", frames)
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(potential.parameters(), clip)
        self.optimizer.step()
        return measured

    def validate(self) -> Measured:
        """The mean over the validation frames."""
        potential, part = self.setup.potential, self.setup.parts["val"]
        potential.eval()
        sums = torch.zeros(3, device=self.setup.device)
        with torch.no_grad():
            frames = torch.arange(len(part), device=self.setup.device)
            for batch in frames.split(self.config.trainer.batch_size):
                sums += self._measure(potential, part, "val", batch)[1]
        return Measured(*(sums / len(part)).tolist())

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs to go on."""
        return {
            "potential": self.setup.potential.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averages": self.setup.loss.averages,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.setup.potential.load_state_dict(state["potential"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.setup.loss.averages = state["averages"]

    def _measure(
        self,
        forward: Callable[[Batch], Prediction],
        labels: Labels,
        stage: str,
        frames: Tensor,
    ) -> tuple[Tensor, Tensor]:
        batch = labels.tables.gather(frames)
        prediction = forward(batch)
        energy_error = prediction.energy - labels.energy[frames]
        forces_error = prediction.forces - labels.forces[frames].flatten(0, 1)
        n_atoms = (batch.numbers > 0).sum()
        loss = self.setup.loss(stage, energy_error, forces_error, n_atoms)
        with torch.no_grad():
            forces_mae = forces_error.abs().sum() / (3 * n_atoms)
            measured = torch.stack([loss.detach(), energy_error.abs().mean(), forces_mae])
        return loss, measured * len(frames)
