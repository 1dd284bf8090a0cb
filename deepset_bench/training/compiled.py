"""The training step's gradients as one traced, and where it pays compiled, graph.

Energies, forces, loss and the gradient by every parameter, with the derivatives inside them, are
traced into a single graph of tensor operations (torch.fx's `make_fx`); PyTorch's compiler fuses
what is element-wise in it. The idea is NequIP's. The function stays the same to rounding.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.func import functional_call

from deepset_bench.errors import chosen
from deepset_bench.model.batches import Batch
from deepset_bench.model.labelled import Labelled
from deepset_bench.model.potential import Potential
from deepset_bench.schema import Config
from deepset_bench.training.any_size import check_open, framewise, of_framewise, stand_ins
from deepset_bench.training.loss import Loss, Target, terms

WORTHWHILE = 4000
"""Training steps above which `compile=auto` compiles: below, the compiler takes what it saves."""

TESTED = ((2, 13), (2, 15))
"""The first torch whose private interfaces were tested here and the first whose were not; as in
pyproject.toml. `make_fx`, `standalone_compile` and `torch.utils._pytree` may change with any."""

Named = dict[str, Tensor]
Gradients = Callable[[Tensor, Named, Batch, Target], tuple[Tensor, Tensor]]
"""(P,) parameters, buffers, a batch and its target -> (P,) gradient, `terms`."""

Graph = Callable[[Tensor, Named, Named, Target], Any]
"""The same of the batch's tensors by name."""


def traceable(config: Config) -> str:
    """Why a configuration cannot be one fixed graph; empty where it can."""
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

    def compute(
        flat: Tensor, buffers: Named, batch: Batch, target: Target
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            flat = flat.detach().requires_grad_()
            known = {**named(flat, potential), **buffers}
            measured = terms(functional_call(potential, known, (batch,)), batch, target)
            (gradient,) = torch.autograd.grad(loss.objective(measured), flat)
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

    def function(flat: Tensor, buffers: Named, tensors: Named, target: Target) -> Any:
        values: dict[str, Any] = {**tensors}
        return compute(flat, buffers, replace(batch, **values), target)

    return function


def trace(function: Callable[..., Any], *given: Any, mode: Literal["real", "fake"] = "real") -> Any:
    """What a function does to tensors of these shapes, as one graph free of Python.

    `mode` is `fake` for stand-ins of tensors.
    """
    # Here, because it imports a compiler's worth of modules that an eager run does without.
    from torch.fx.experimental.proxy_tensor import make_fx

    return make_fx(function, tracing_mode=mode, _allow_non_fake_inputs=True)(*given)


def compiled(function: Graph, *given: Any, traced_with: tuple[Any, ...] | None = None) -> Graph:
    """A function, traced, compiled and run once, which is where a failure would show.

    It is to be called with tensors of these shapes alone: nothing looks whether they are.

    Args:
        function: what to compile.
        given: what to run it with.
        traced_with: stand-ins of `given` whose open sizes stay open.
    """
    _keep_apart()
    from torch._inductor import standalone_compile
    from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

    options: dict[str, Any] = {}
    if given[0].device.type == "cpu":
        options = {
            "cpp_wrapper": True,  # one C++ file with all kernels: half the compiler's time
            "compile_threads": 1,  # so no pool of processes for it
            "cpp.vec_isa_ok": True,  # what the processor says it has, not three test programs
            "cpp.min_chunk_size": 4096,  # most arrays are too small to share among threads
        }
    leaves, structure = tree_flatten(given)

    def of_leaves(*leaves: Any) -> Any:
        return function(*tree_unflatten(leaves, structure))

    if traced_with is None:
        graph = trace(of_leaves, *leaves)
    else:
        graph = trace(of_leaves, *tree_leaves(traced_with), mode="fake")
        check_open(traced_with)
    # The compiler alone: torch.compile would trace the graph again, and keep it.
    fast: Any = standalone_compile(
        graph,
        leaves,
        dynamic_shapes="from_example_inputs" if traced_with is None else "from_graph",
        options={"config_patches": options},
        donate_graph_module=True,
    )
    fast(*leaves)
    return lambda *given: fast(*tree_leaves(given))


def _keep_apart() -> None:
    """A cache of compiled code for each instruction set that torch uses.

    Inductor finds what it keeps by its text; what was built for other vectors computes other
    numbers, and says nothing.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    capability = torch.backends.cpu.get_cpu_capability().lower()
    folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or default_cache_dir()
    if Path(folder).name != capability:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(folder) / capability)


def first_line(error: Exception) -> str:
    """What a platform's compiler said, as one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class CompiledGradients:
    """`gradients`, compiled at the first batch of a kind that is met often.

    Args:
        compute: computes any other batch, and every batch where compiling fails.
        labels: of the training frames. In one table, whole batches alone are compiled; in several,
            dense or compact ones of any size, if there is one in a batch on average.
        batch_size: frames of a whole batch.
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
    ) -> None:
        self.compute, self.batch_size = compute, batch_size
        self.say, self.on_eager = say, on_eager
        self.any_size = len(labels.counts) > 1
        n_batches = math.ceil(len(labels) / batch_size)
        frames = Counter[bool]()
        for shape, count in labels.counts.items():
            frames[shape.dense] += count
        self.often = {dense for dense, count in frames.items() if count >= n_batches}
        self.fast: dict[bool, Graph] = {}
        rare = [shape.rows for shape in labels.counts if shape.dense not in self.often]
        if self.any_size and rare:
            say(f"not compiled: the few frames of about {rare[0]} atoms or more")

    def __call__(
        self, flat: Tensor, buffers: Named, batch: Batch, target: Target
    ) -> tuple[Tensor, Tensor]:
        """See `gradients`."""
        whole = self.any_size or batch.n_frames == self.batch_size
        if not whole or batch.dense not in self.often:
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

    def _compiled(self, flat: Tensor, buffers: Named, batch: Batch, target: Target) -> Graph:
        if not self.any_size:
            whole = of_tensors(self.compute, batch)
            return compiled(whole, flat, buffers, batch.tensors(), target)
        # What the model computes once and keeps is not to be computed from stand-ins.
        self.compute(flat, buffers, batch, target)
        given = flat, buffers, *framewise(batch, target)
        return compiled(of_framewise(self.compute, batch), *given, traced_with=stand_ins(*given))
