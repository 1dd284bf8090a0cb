"""The training step's gradients as one traced, and where it pays compiled, graph.

Energies, forces, loss and the gradient by every parameter, with the derivatives inside them, are
traced into a single graph of tensor operations (torch.fx's `make_fx`); PyTorch's compiler fuses
what is element-wise in it. The idea is NequIP's. The function stays the same to rounding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import functional_call

from deepset_bench.errors import chosen
from deepset_bench.model.batches import Batch
from deepset_bench.model.labelled import Labelled
from deepset_bench.model.potential import Potential
from deepset_bench.schema import Config
from deepset_bench.training.any_size import framewise, of_framewise, without_tensors
from deepset_bench.training.compilation import Graph, compiled, first_line
from deepset_bench.training.loss import Loss, Target, terms

WORTHWHILE = 4000
"""Training steps above which `compile=auto` compiles: below, the compiler takes what it saves."""

TESTED = ((2, 13), (2, 15))
"""The first torch whose private interfaces were tested here and the first whose were not; as in
pyproject.toml. `make_fx`, `standalone_compile` and `torch.utils._pytree` may change with any."""

LEAST = 2
"""Edges of a batch that a graph of any number of them computes: it takes them for several."""

Named = dict[str, Tensor]
Gradients = Callable[[Tensor, Named, Batch, Target], tuple[Tensor, Tensor]]
"""(P,) parameters, buffers, a batch and its target -> (P,) gradient, `terms`."""


def traceable(config: Config) -> str:
    """Why a training step cannot be one graph; empty where it can."""
    traits = config.network.traits
    if "fused" in traits["forms"]:
        return of_fixed_sizes(config)
    return f"model={config.model.kind} picks edges by values" if traits["masks_edges"] else ""


def of_fixed_sizes(config: Config) -> str:
    """Why the graph of a step is not the same for all whole batches; empty where it is."""
    if config.form == "reference":
        return "form=reference is not traced"
    if "fused" not in config.network.traits["forms"]:
        return f"model={config.model.kind} sees another number of edges in every batch"
    for one in config.variants:
        if one.traits.get("draws_by_edge"):
            return f"gnn={one.name} may draw anew for every edge (as attention dropout does)"
    return ""


def untested() -> str:
    """Why this torch traces and compiles nothing; empty where it does."""
    first, end = TESTED
    if first <= tuple(int(part) for part in torch.__version__.split(".")[:2]) < end:
        return ""
    last = f"{end[0]}.{end[1] - 1}"
    return f"torch {torch.__version__} is not of the versions {first[0]}.{first[1]} to {last}"


def wants_compiling(config: Config) -> bool:
    """Whether to compile: as told, and under `auto` if there are enough steps for it to pay."""
    trainer = config.trainer
    steps = trainer.epochs * config.data.train_size // trainer.batch_size
    pays = not traceable(config) and steps >= WORTHWHILE
    return chosen("compile", config.compile, {"auto": pays, True: True, False: False})


def is_compiled(config: Config, say: Callable[[str], None]) -> bool:
    """Whether the training steps of one run are compiled here; says why not where they should."""
    obstacle = traceable(config) or untested()
    if wants_compiling(config) and obstacle:
        say(f"not compiled: {obstacle}")
        return False
    return wants_compiling(config)


def flatten(potential: Potential) -> Tensor:
    """(P,) all parameters one after another; those of the potential become views of it.

    One vector is one operand for the clipping, the optimiser and a compiled graph's caller.
    """
    flat = torch.cat([p.detach().flatten() for p in potential.parameters()])
    for (_, parameter), view in zip(
        potential.named_parameters(), named(flat, potential).values(), strict=True
    ):
        parameter.data = view
    return flat


def named(flat: Tensor, potential: Potential) -> Named:
    """Views of (P,) parameters by name and in their shapes."""
    parameters = dict(potential.named_parameters())
    parts = flat.split([p.numel() for p in parameters.values()])
    pairs = zip(parameters.items(), parts, strict=True)
    return {name: part.view(p.shape) for (name, p), part in pairs}


def gradients(potential: Potential, loss: Loss, clip: float | None) -> Gradients:
    """The gradient of a training step and what the loss is made of.

    Args:
        potential: in training mode when called.
        loss: its weights.
        clip: largest norm of the gradient, or None.
    """

    objective = loss.objective  # not the loss, whose units are of one seed

    def compute(
        flat: Tensor, buffers: Named, batch: Batch, target: Target
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            flat = flat.detach().requires_grad_()
            known = {**named(flat, potential), **buffers}
            measured = terms(functional_call(potential, known, (batch,)), batch, target)
            (gradient,) = torch.autograd.grad(objective(measured), flat)
        return clipped(gradient, clip), measured.detach()

    return compute


def clipped(gradient: Tensor, clip: float | None) -> Tensor:
    """(P,) a gradient, scaled down to the norm `clip` where it is longer."""
    if clip is None:
        return gradient
    norm = gradient.square().sum().sqrt()
    return gradient * (clip / (norm + 1e-6)).clamp(max=1.0)


def errors(potential: Potential) -> Callable[[Tensor, Named, Batch, Target], Tensor]:
    """`terms` of a potential in evaluation mode, of the same arguments as `gradients`."""

    def compute(flat: Tensor, buffers: Named, batch: Batch, target: Target) -> Tensor:
        known = {**named(flat, potential), **buffers}
        return terms(functional_call(potential, known, (batch,)), batch, target)

    return compute


def of_tensors(compute: Callable[[Tensor, Named, Batch, Target], Any], batch: Batch) -> Graph:
    """`compute` of batches like this one, given as their tensors."""

    like = without_tensors(batch)

    def function(flat: Tensor, buffers: Named, tensors: Named, target: Target) -> Any:
        values: dict[str, Any] = {**tensors}
        return compute(flat, buffers, replace(like, **values), target)

    return function


class CompiledGradients:
    """`gradients`, compiled at the first batch of a kind that is met often.

    Args:
        compute: computes any other batch, and every batch where compiling fails.
        labels: of the training frames. In one table, whole batches alone are compiled; in several,
            dense or compact ones of any size, if there is one in a batch on average.
        batch_size: frames of a whole batch.
        edges: whether `compute` is by edges, of which any number is compiled.
        say: takes the line that explains a failure.
        on_eager: called where compiling fails, before any more is computed.
    """

    def __init__(
        self,
        compute: Gradients,
        labels: Labelled,
        batch_size: int,
        say: Callable[[str], None],
        on_eager: Callable[[], None] = lambda: None,
        *,
        edges: bool = False,
    ) -> None:
        self.compute, self.batch_size, self.edges = compute, batch_size, edges
        self.say, self.on_eager = say, on_eager
        self.any_size = edges or len(labels.counts) > 1
        self.fast: dict[bool, Graph] = {}
        if edges:
            self.often = {False}
            return
        n_batches = math.ceil(len(labels) / batch_size)
        frames = Counter[bool]()
        for shape, count in labels.counts.items():
            frames[shape.dense] += count
        self.often = {dense for dense, count in frames.items() if count >= n_batches}
        rare = [shape.rows for shape in labels.counts if shape.dense not in self.often]
        if self.any_size and rare:
            say(f"not compiled: the few frames of about {rare[0]} atoms or more")

    def __call__(
        self, flat: Tensor, buffers: Named, batch: Batch, target: Target
    ) -> tuple[Tensor, Tensor]:
        """See `gradients`."""
        if self.edges:
            batch = replace(batch.with_edges(), dense=False)
        if not self._is_compiled(batch):
            return self.compute(flat, buffers, batch, target)
        with torch.no_grad():  # every derivative is part of the graph
            if batch.dense not in self.fast:
                try:
                    self.fast[batch.dense] = self._compiled(flat, buffers, batch, target)
                except Exception as error:  # whatever the platform's compiler raises
                    self.say(f"not compiled: {first_line(error)}")
                    self.on_eager()
                    self.often = set()
                    return self.compute(flat, buffers, batch, target)
            given = framewise(batch, target) if self.any_size else (batch.tensors(), target)
            return cast("tuple[Tensor, Tensor]", self.fast[batch.dense](flat, buffers, *given))

    def _is_compiled(self, batch: Batch) -> bool:
        if batch.edges is not None and len(batch.edges) < LEAST:
            return False
        whole = self.any_size or batch.n_frames == self.batch_size
        return whole and batch.dense in self.often

    def _compiled(self, flat: Tensor, buffers: Named, batch: Batch, target: Target) -> Graph:
        if not self.any_size:
            whole = of_tensors(self.compute, batch)
            return compiled(whole, flat, buffers, batch.tensors(), target)
        given = flat, buffers, *framewise(batch, target)
        on_make = self._say_what_takes_long if self.edges else lambda: None
        whole = of_framewise(self.compute, batch)
        return compiled(whole, *given, open_sizes=True, on_make=on_make)

    def _say_what_takes_long(self) -> None:
        self.say("compiling the training step; that may take minutes, and later runs find it")
