"""A traced function as a library of machine code: what PyTorch's compiler is asked for.

`torch.compile` would trace the graph again, twice, and check at every call whether its code still
holds. Here the trace is already what the compiler's last part takes: operations that change nothing
in place, taken apart as the compiler wants them.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

DETERMINISTIC = {"deterministic": True}
"""What the compiler is told on every device, see `computing.deterministic`."""
OPTIONS: dict[str, Any] = {
    **DETERMINISTIC,
    "cpp_wrapper": True,  # one C++ file with all kernels: half the compiler's time
    "compile_threads": 1,  # so no pool of processes for it
    "cpp.vec_isa_ok": True,  # what the processor says it has, not three test programs
    "cpp.min_chunk_size": 4096,  # most arrays are too small to share among threads
    "cpp_cache_precompile_headers": False,  # they take as long to make as they save in five steps
}


def library(
    function: Callable[..., Any], given: Sequence[Tensor], check: Callable[[], None]
) -> tuple[Path, list[Tensor]]:
    """Compile a function for the CPU.

    Args:
        function: of tensors, to tensors.
        given: what it is traced with: tensors, or stand-ins whose sizes may be open.
        check: called between trace and compilation; raises where the trace is not as hoped for.

    Returns:
        The library, and what its function takes behind its own arguments.
    """
    keep_apart()
    from torch._guards import TracingContext, tracing
    from torch._inductor import compile_fx, config
    from torch._inductor.virtualized import V

    with _quickly(), torch.no_grad(), config.patch(OPTIONS):
        graph = _traced(function, given)
        check()
        arguments = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
        mode = arguments[0].fake_mode
        with tracing(TracingContext(mode)), V.set_fake_mode(mode):
            compile_fx._recursive_joint_graph_passes(graph)
            made: Any = compile_fx.compile_fx_inner(
                graph, arguments, is_inference=True, cpp_wrapper=True
            )
    held = [cell.cell_contents for cell in made.current_callable.__closure__ or ()]
    (entry,) = [one for one in held if isinstance(one, BuiltinFunctionType)]
    module: Any = entry.__self__
    return Path(module.__file__), list((made.constants or {}).values())


def _traced(function: Callable[..., Any], given: Sequence[Tensor]) -> Any:
    from torch._inductor.decomposition import select_decomp_table
    from torch.fx.experimental.proxy_tensor import make_fx

    def trace(of: Callable[..., Any], *arguments: Any) -> Any:
        made = make_fx(of, select_decomp_table(), "fake", _allow_non_fake_inputs=True)
        return made(*arguments)

    graph = trace(function, *given)
    if any(_changes(node) for node in graph.graph.nodes):
        stand_ins = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
        graph = trace(torch.func.functionalize(graph, remove="mutations"), *stand_ins)
    return graph


def _changes(node: Any) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and bool(schema.is_mutable)


@contextmanager
def _quickly() -> Iterator[None]:
    """Without what takes a third of the compiler's time and changes nothing of what it makes."""
    import sympy  # type: ignore[import-untyped]

    def simplify(expression: Any) -> Any:
        """Of sums of products, as indices are; sympy's own would try all that algebra knows."""
        return sympy.expand(sympy.sympify(expression))

    collecting = gc.isenabled()
    gc.disable()  # cycles of a million objects, most of which stay
    # Test programs for instructions of half precision, which nothing here uses.
    halves = ("torch.cpu._is_avx512_bf16_supported", "torch.cpu._is_amx_tile_supported")
    try:
        with patch.object(sympy, "simplify", simplify), ExitStack() as stack:
            for name in halves:
                stack.enter_context(patch(name, return_value=False))
            yield
    finally:
        if collecting:
            gc.enable()


def keep_apart() -> None:
    """A cache of compiled code for each instruction set that torch uses.

    Inductor finds what it keeps by its text; what was built for other vectors computes other
    numbers, and says nothing.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    capability = torch.backends.cpu.get_cpu_capability().lower()
    folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or default_cache_dir()
    if Path(folder).name != capability:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(folder) / capability)
