"""One optimisation step and one pass over the validation frames of a single run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from deepset_bench.denormals import flushed
from deepset_bench.model.batches import Batch
from deepset_bench.model.drawn import of_step, set_drawn
from deepset_bench.model.labelled import Labelled
from deepset_bench.schema import Config
from deepset_bench.training.adamw import AdamW
from deepset_bench.training.compiled import CompiledGradients, clipped, flatten, gradients
from deepset_bench.training.loss import Loss, Target, terms
from deepset_bench.training.setup import Setup, evaluation_batch


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


def with_targets(labels: Labelled, loss: Loss, frames: Tensor) -> list[tuple[Batch, Target]]:
    """The parts of the batch of these frames, mostly one, and what each is to be."""
    found = []
    labels, frames = labels.of(frames)
    for part in labels.tables.gather(frames):
        target = {
            "energy": labels.energy[part.frames],
            "forces": labels.forces[part.bucket][part.rows].flatten(0, 1),
            "energy_unit": loss.energy_units(part.batch.numbers.view(part.batch.n_frames, -1)),
            "forces_unit": loss.forces_unit,
        }
        if labels.stress is not None:
            target["stress"] = labels.stress[part.frames]
            target["stress_unit"] = loss.stress_unit
        if part.share is not None:
            target["share"] = part.share
        found.append((part.batch, target))
    return found


def sums(value: Tensor, measured: Tensor, n_frames: int) -> Tensor:
    """(..., 3) sums over a batch's frames of what Measured holds, from its loss and `terms`."""
    return torch.stack([value, measured[..., 2], measured[..., 3]], dim=-1) * n_frames


class SingleOptimisation:
    """One run.

    Args:
        setup: the run.
        config: its configuration.
        compile_steps: whether to compile the training step.
        say: takes the line that explains why it could not be compiled.
        on_eager: called when that shows, before any more is computed.
    """

    def __init__(
        self,
        setup: Setup,
        config: Config,
        *,
        compile_steps: bool,
        say: Callable[[str], None],
        on_eager: Callable[[], None] = lambda: None,
    ) -> None:
        self.setup, self.config = setup, config
        setup.potential.train()
        self.parameters = flatten(setup.potential)
        self.buffers = dict(setup.potential.named_buffers())
        self.steps = 0
        trainer = config.trainer
        self.optimizer = AdamW([self.parameters], trainer.learning_rate, trainer.weight_decay)
        self.clip = config.trainer.gradient_clip
        labels = setup.parts["train"]
        self.in_parts = len(labels.counts) > 1
        # What a sum of parts is clipped to is known when all of them are there.
        clip = None if self.in_parts else self.clip
        self.gradients = gradients(setup.potential, setup.loss, clip)
        if compile_steps:
            self.gradients = CompiledGradients(
                self.gradients,
                labels,
                config.trainer.batch_size,
                say,
                on_eager,
                edges=setup.potential.form == "reference",
            )

    @flushed()
    def train(self, frames: Sequence[Tensor], rates: Sequence[float]) -> Tensor:
        """See `Optimisation`."""
        setup, labels, chosen = self.setup, self.setup.parts["train"], frames[0]
        parts = []
        for number, (batch, target) in enumerate(with_targets(labels, setup.loss, chosen)):
            set_drawn(self.buffers, of_step(self.config.seed, self.steps, number))
            parts.append(self.gradients(self.parameters, self.buffers, batch, target))
        self.steps += 1
        gradient, measured = parts[0]
        if self.in_parts:
            gradient, measured = (torch.stack(values).sum(0) for values in zip(*parts, strict=True))
            gradient = clipped(gradient, self.clip)
        self.optimizer.step([gradient], rates)
        return sums(setup.loss.value("train", measured), measured, len(chosen))[None]

    @flushed()
    def validate(self) -> list[Measured]:
        """See `Optimisation`."""
        setup, labels = self.setup, self.setup.parts["val"]
        setup.potential.eval()  # training everywhere else: a step has no time to say so
        total = torch.zeros(3, device=setup.device)
        with torch.no_grad():
            every = torch.arange(len(labels), device=setup.device)
            for frames in labels.ahead(every.split(evaluation_batch(self.config))):
                parts = [
                    terms(setup.potential(batch), batch, target)
                    for batch, target in with_targets(labels, setup.loss, frames)
                ]
                measured = torch.stack(parts).sum(0)
                total += sums(setup.loss.value("val", measured), measured, len(frames))
        setup.potential.train()
        return [Measured(*(total / len(labels)).tolist())]

    def state(self, run: int) -> dict[str, Any]:
        """See `Optimisation`."""
        return {
            "potential": self.setup.potential.state_dict(),
            "optimizer": self.optimizer.state(0),
            "averages": self.setup.loss.averages,
        }

    def restore(self, run: int, state: dict[str, Any]) -> None:
        """See `Optimisation`."""
        self.setup.potential.load_state_dict(state["potential"])
        self.optimizer.restore(0, state["optimizer"])
        self.steps = int(state["optimizer"]["state"][0]["step"])
        self.setup.loss.averages = state["averages"]
