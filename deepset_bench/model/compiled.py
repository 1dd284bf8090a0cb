"""The training forward pass as one compiled graph.

Energies and forces, with the gradient inside them, are traced into a single graph of tensor
operations (torch.fx's `make_fx`); PyTorch's compiler then fuses the element-wise work of the
forward and the backward pass, as NequIP does. The function stays the same to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from deepset_bench.data.batches import Batch
from deepset_bench.model.potential import Potential, Prediction
from deepset_bench.schema import Config

WORTHWHILE = 4000
"""Training steps above which `compile=auto` compiles: below, the compiler takes what it saves."""

Forward = Callable[[Batch], Prediction]


def training_forward(potential: Potential, config: Config, say: Callable[[str], None]) -> Forward:
    """What computes a training batch: the potential itself, or the same compiled.

    Args:
        potential: the parameters, shared with what is returned.
        config: `compile` is `true`, `false` or `auto` (when there are enough steps for it to pay).
        say: takes the one line that says why nothing was compiled although it was asked for.
    """
    trainer = config.trainer
    steps = trainer.epochs * config.data.train_size // trainer.batch_size
    if config.compile is False or (config.compile == "auto" and steps < WORTHWHILE):
        return potential
    obstacle = _obstacle(config)
    if obstacle:
        if config.compile is True:
            say(f"not compiled: {obstacle}")
        return potential
    return _Compiled(potential, trainer.batch_size, say)


def _obstacle(config: Config) -> str:
    if config.form == "reference":
        return "form=reference is not compiled"
    if config.gnn.kind != "none":
        return "the number of edges that graph layers see changes from batch to batch"
    return ""


class _Compiled:
    """Compiles for whole batches at the first one; any other batch goes through the potential."""

    def __init__(self, potential: Potential, batch_size: int, say: Callable[[str], None]) -> None:
        self.potential, self.batch_size, self.say = potential, batch_size, say
        self.graph: Callable[..., tuple[Tensor, Tensor, Tensor]] | None = None

    def __call__(self, batch: Batch) -> Prediction:
        if batch.n_frames != self.batch_size:
            return self.potential(batch)
        parameters: dict[str, Tensor] = dict(self.potential.named_parameters())
        tensors = _tensors(batch)
        if self.graph is None:
            try:
                self.graph = self._compile(batch, parameters, tensors)
            except Exception as error:  # whatever the platform's compiler raises
                reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
                self.say(f"not compiled: {reason}")
                self.batch_size = 0
                return self.potential(batch)
        return Prediction(*self.graph(parameters, tensors))

    def _compile(
        self, batch: Batch, parameters: dict[str, Tensor], tensors: dict[str, Tensor]
    ) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
        def compute(
            parameters: dict[str, Tensor], tensors: dict[str, Tensor]
        ) -> tuple[Tensor, Tensor, Tensor]:
            values: dict[str, Any] = {**tensors}
            given = replace(batch, **values)
            return tuple(torch.func.functional_call(self.potential, parameters, (given,)))

        traced = _differentiable(make_fx(compute)(parameters, tensors))
        graph: Any = torch.compile(traced, fullgraph=True, dynamic=False)
        # The backward pass is compiled when it is first asked for: here, where failure is caught.
        energy, forces, _ = graph(parameters, tensors)
        total = energy.sum() + forces.sum()
        torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        return graph


def _differentiable(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """The traced graph without `detach`.

    Tracing writes down what autograd saved for the forces' backward pass as detached copies;
    left in, the forces' dependence on the parameters through them would be lost.
    """
    for node in list(graph.graph.nodes):
        if node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()
    return graph


def _tensors(batch: Batch) -> dict[str, Tensor]:
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}
