"""The training forward pass as one traced, and where it pays compiled, graph.

Energies and forces, with the gradient inside them, are traced into a single graph of tensor
operations (torch.fx's `make_fx`); PyTorch's compiler then fuses the element-wise work of the
forward and the backward pass, as NequIP does. The function stays the same to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from deepset_bench.data.batches import Batch
from deepset_bench.model.potential import Potential, Prediction
from deepset_bench.schema import Config

WORTHWHILE = 4000
"""Training steps above which `compile=auto` compiles: below, the compiler takes what it saves."""

Named = dict[str, Tensor]
Graph = Callable[[Named, Named], tuple[Tensor, Tensor, Tensor]]
"""Parameters and buffers, batch tensors -> energy, forces, atomic energies."""


def traceable(config: Config) -> str:
    """Why a configuration cannot be one fixed graph; empty where it can."""
    if config.form == "reference":
        return "form=reference is not traced"
    if config.gnn.kind != "none":
        return "the number of edges that graph layers see changes from batch to batch"
    return ""


def wants_compiling(config: Config) -> bool:
    """Whether to compile: as told, and under `auto` if there are enough steps for it to pay."""
    if config.compile == "auto":
        trainer = config.trainer
        steps = trainer.epochs * config.data.train_size // trainer.batch_size
        return not traceable(config) and steps >= WORTHWHILE
    return bool(config.compile)


def trace(potential: Potential, batch: Batch, known: Named) -> Graph:
    """The training forward pass at the shapes of `batch`, free of Python.

    Args:
        potential: in training mode.
        batch: an example; only its shapes matter.
        known: its parameters (requiring gradients) and buffers, by name.
    """

    def compute(known: Named, tensors: Named) -> tuple[Tensor, Tensor, Tensor]:
        values: dict[str, Any] = {**tensors}
        given = (replace(batch, **values),)
        return tuple(torch.func.functional_call(potential, known, given))

    graph = make_fx(compute)(known, batch.tensors())
    # Tracing writes down what autograd saved for the forces' backward pass as detached copies;
    # left in, the forces' dependence on the parameters through them would be lost.
    for node in list(graph.graph.nodes):
        if node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()
    return graph


def compiled(graph: Graph, known: Named, tensors: Named) -> Graph:
    """The graph, compiled together with its backward pass, which is where a failure would show."""
    fast: Any = torch.compile(graph, fullgraph=True, dynamic=False)
    with torch.enable_grad():
        energy, forces, _ = fast(known, tensors)
        trained = [value for value in known.values() if value.requires_grad]
        torch.autograd.grad(energy.sum() + forces.sum(), trained, allow_unused=True)
    return fast


def first_line(error: Exception) -> str:
    """What a platform's compiler said, as one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class CompiledForward:
    """The potential, compiled for whole batches at the first one.

    Args:
        potential: computes any other batch, and every batch where compiling fails.
        batch_size: frames of a whole batch.
        say: takes the line that explains a failure.
    """

    def __init__(self, potential: Potential, batch_size: int, say: Callable[[str], None]) -> None:
        self.potential, self.batch_size, self.say = potential, batch_size, say
        self.graph: Graph | None = None

    def __call__(self, batch: Batch) -> Prediction:
        """See `Potential.forward`."""
        if batch.n_frames != self.batch_size:
            return self.potential(batch)
        known: Named = {**dict(self.potential.named_parameters())}
        known |= dict(self.potential.named_buffers())
        if self.graph is None:
            try:
                graph = trace(self.potential, batch, known)
                self.graph = compiled(graph, known, batch.tensors())
            except Exception as error:  # whatever the platform's compiler raises
                self.say(f"not compiled: {first_line(error)}")
                self.batch_size = 0
                return self.potential(batch)
        return Prediction(*self.graph(known, batch.tensors()))
