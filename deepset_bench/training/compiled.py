"""The training step's gradients as one traced, and where it pays compiled, graph.

Energies, forces, loss and the gradient by every parameter, with the derivatives inside them, are
traced into a single graph of tensor operations (torch.fx's `make_fx`); PyTorch's compiler fuses
what is element-wise in it. The idea is NequIP's. The function stays the same to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from deepset_bench.data.batches import Batch
from deepset_bench.model.potential import Potential
from deepset_bench.schema import Config
from deepset_bench.training.loss import Loss, Target, terms

WORTHWHILE = 4000
"""Training steps above which `compile=auto` compiles: below, the compiler takes what it saves."""

Named = dict[str, Tensor]
Gradients = Callable[[Named, Named, Batch, Target], tuple[Named, Tensor]]
"""Parameters, buffers, a batch and its target -> gradients by name, `terms`."""

Graph = Callable[[Named, Named, Named, Target], Any]
"""The same of the batch's tensors by name."""


def traceable(config: Config) -> str:
    """Why a configuration cannot be one fixed graph; empty where it can."""
    if config.form == "reference":
        return "form=reference is not traced"
    if config.gnn.kind == "gat":
        return "attention dropout draws anew in every step"
    return ""


def wants_compiling(config: Config) -> bool:
    """Whether to compile: as told, and under `auto` if there are enough steps for it to pay."""
    if config.compile == "auto":
        trainer = config.trainer
        steps = trainer.epochs * config.data.train_size // trainer.batch_size
        return not traceable(config) and steps >= WORTHWHILE
    return bool(config.compile)


def gradients(potential: Potential, loss: Loss, clip: float | None) -> Gradients:
    """The gradients of a training step and what the loss is made of.

    Args:
        potential: in training mode when called.
        loss: its weights.
        clip: largest norm of all gradients together, or None.
    """

    def compute(
        parameters: Named, buffers: Named, batch: Batch, target: Target
    ) -> tuple[Named, Tensor]:
        trained = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        with torch.enable_grad():
            prediction = functional_call(potential, {**trained, **buffers}, (batch,))
            measured = terms(prediction, batch, target)
            found = torch.autograd.grad(
                loss.objective(measured), list(trained.values()), allow_unused=True
            )
        # As torch's optimizers do, leave alone what has no gradient: V' of the last block.
        # Contiguous like the parameters: fused AdamW reads both as flat memory.
        pairs = zip(trained, found, strict=True)
        named = {name: g.contiguous() for name, g in pairs if g is not None}
        if clip is not None:
            norm = torch.stack([g.square().sum() for g in named.values()]).sum().sqrt()
            shrink = (clip / (norm + 1e-6)).clamp(max=1.0)
            named = {name: g * shrink for name, g in named.items()}
        return named, measured.detach()

    return compute


def errors(potential: Potential) -> Callable[[Named, Named, Batch, Target], Tensor]:
    """`terms` of a potential in evaluation mode, of the same arguments as `gradients`."""

    def compute(parameters: Named, buffers: Named, batch: Batch, target: Target) -> Tensor:
        prediction = functional_call(potential, {**parameters, **buffers}, (batch,))
        return terms(prediction, batch, target)

    return compute


def trace(
    compute: Callable[[Named, Named, Batch, Target], Any],
    parameters: Named,
    buffers: Named,
    batch: Batch,
    target: Target,
) -> Graph:
    """`compute` at the shapes of `batch`, free of Python."""

    def of_tensors(parameters: Named, buffers: Named, tensors: Named, target: Target) -> Any:
        values: dict[str, Any] = {**tensors}
        return compute(parameters, buffers, replace(batch, **values), target)

    return cast("Graph", make_fx(of_tensors)(parameters, buffers, batch.tensors(), target))


def compiled(graph: Graph, *example: Named) -> Graph:
    """A traced graph, compiled and run once, which is where a failure would show."""
    # One C++ file with all kernels and the calls between them: half the compiler's time.
    on_cpu = all(t.device.type == "cpu" for named in example for t in named.values())
    fast: Any = torch.compile(
        graph, fullgraph=True, dynamic=False, options={"cpp_wrapper": True} if on_cpu else None
    )
    fast(*example)
    return cast("Graph", fast)


def first_line(error: Exception) -> str:
    """What a platform's compiler said, as one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class CompiledGradients:
    """`gradients`, compiled for whole batches at the first one.

    Args:
        compute: computes any other batch, and every batch where compiling fails.
        batch_size: frames of a whole batch.
        say: takes the line that explains a failure.
    """

    def __init__(self, compute: Gradients, batch_size: int, say: Callable[[str], None]) -> None:
        self.compute, self.batch_size, self.say = compute, batch_size, say
        self.fast: Graph | None = None

    def __call__(
        self, parameters: Named, buffers: Named, batch: Batch, target: Target
    ) -> tuple[Named, Tensor]:
        """See `gradients`."""
        if batch.n_frames != self.batch_size:
            return self.compute(parameters, buffers, batch, target)
        with torch.no_grad():  # every derivative is part of the graph
            if self.fast is None:
                try:
                    graph = trace(self.compute, parameters, buffers, batch, target)
                    self.fast = compiled(graph, parameters, buffers, batch.tensors(), target)
                except Exception as error:  # whatever the platform's compiler raises
                    self.say(f"not compiled: {first_line(error)}")
                    self.batch_size = 0
                    return self.compute(parameters, buffers, batch, target)
            return cast(
                "tuple[Named, Tensor]", self.fast(parameters, buffers, batch.tensors(), target)
            )
