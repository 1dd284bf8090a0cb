"""A traced function, compiled once for a machine and kept for the runs after."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from deepset_bench import processor
from deepset_bench.training import any_size
from deepset_bench.training.any_size import check_open, left_open
from deepset_bench.training.fingerprint import fingerprint, layout
from deepset_bench.training.kept import kept, load
from deepset_bench.training.lowering import DETERMINISTIC, library

Graph = Callable[..., Any]
"""(P,) parameters, buffers, tensors of a batch by name and its target -> several tensors."""


def trace(function: Graph, *given: Any, mode: Literal["real", "fake"] = "real") -> Any:
    """What a function does to tensors of these shapes, as one graph free of Python.

    `mode` is `fake` for stand-ins of tensors.
    """
    # Here, because it imports a compiler's worth of modules that an eager run does without.
    from torch.fx.experimental.proxy_tensor import make_fx

    return make_fx(function, tracing_mode=mode, _allow_non_fake_inputs=True)(*given)


def compiled(
    function: Graph,
    *given: Any,
    prepared: Callable[[], Graph] | None = None,
    open_sizes: bool = False,
    on_make: Callable[[], None] = lambda: None,
) -> Graph:
    """A function, traced, compiled and run once, which is where a failure would show.

    It is to be called with tensors of these layouts alone: nothing looks whether they are. On the
    CPU what was compiled is kept, and found by what `function` holds, without a trace.

    Args:
        function: what to compile.
        given: what to run it with.
        prepared: makes what is traced in place of `function`, where that is work of its own.
        open_sizes: whether it is for any number of frames and atoms, `given` as `framewise` has it.
        on_make: called before the work, where nothing was kept.
    """
    leaves, structure = tree_flatten(given)

    def of_leaves() -> Graph:
        whole = prepared() if prepared else function
        return lambda *leaves: whole(*tree_unflatten(leaves, structure))

    def stand_ins() -> tuple[Any, ...]:
        return any_size.stand_ins(*given) if open_sizes else given

    def compute_what_is_kept() -> None:
        """What a model computes once and keeps is not to be computed from stand-ins."""
        if prepared is None:
            with torch.random.fork_rng(devices=[]):  # a step whose code is found draws no more
                function(*given)

    def make() -> tuple[Path, list[Tensor]]:
        on_make()
        compute_what_is_kept()
        wide = stand_ins()
        check = partial(check_open, wide) if open_sizes else lambda: None
        return library(of_leaves(), tree_leaves(wide), check)

    if given[0].device.type != "cpu":
        on_make()
        compute_what_is_kept()
        fast = _by_torch(of_leaves(), leaves, stand_ins() if open_sizes else None)
    else:
        opened = tree_leaves(left_open(*given)) if open_sizes else [""] * len(leaves)
        layouts = [layout(leaf, len(sizes)) for leaf, sizes in zip(leaves, opened, strict=True)]
        try:
            key = fingerprint(
                function, prepared is None, open_sizes, str(structure), layouts, _surroundings()
            )
        except (TypeError, RecursionError):  # a variant holds what cannot be described
            fast = load("step", *make())
        else:
            fast = kept(key, make)
    fast(leaves)
    return lambda *given: fast(tree_leaves(given))


def _by_torch(
    function: Graph, leaves: list[Tensor], wide: tuple[Any, ...] | None
) -> Callable[[list[Tensor]], Any]:
    """For another device than the CPU; what was compiled is kept as torch keeps it."""
    from torch._inductor import standalone_compile

    if wide is None:
        graph = trace(function, *leaves)
    else:
        graph = trace(function, *tree_leaves(wide), mode="fake")
        check_open(wide)
    # The compiler alone: torch.compile would trace the graph again, and keep it.
    fast: Any = standalone_compile(
        graph,
        [*leaves],
        dynamic_shapes="from_example_inputs" if wide is None else "from_graph",
        options={"config_patches": DETERMINISTIC},
        donate_graph_module=True,
    )
    return lambda leaves: fast(*leaves)


def _surroundings() -> list[str]:
    """What else decides what the compiler makes: the machine, and how torch was set up."""
    asked = {
        name: value
        for name, value in os.environ.items()
        if name == "CXX" or (name.startswith(("TORCH", "ATEN_")) and "CACHE_DIR" not in name)
    }
    return [
        str(processor.here()),
        str(torch.version.git_version),
        str(torch.get_num_threads()),
        str(torch.are_deterministic_algorithms_enabled()),
        str(torch.get_default_dtype()),
        str(sorted(asked.items())),
    ]


def first_line(error: Exception) -> str:
    """What a platform's compiler said, as one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
