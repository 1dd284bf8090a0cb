"""A deployed potential traced into one graph, exported and compiled: no Python in it any more."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepset_bench.deployment.function import Deployed

Given = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""`numbers`, `positions`, `centres`, `neighbours`, `shifts`; see `Deployed.forward`."""

OPTIONS = {
    "cpp.vec_isa_ok": True,  # what the processor says it has, not test programs
    "cpp.min_chunk_size": 4096,  # most arrays are too small to share among threads
    "assert_indirect_indexing": False,  # neighbours are ours
}
"""Of the compiler."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch warns its own developers of, and as if nobody had trained in this process.

    Deterministic algorithms, which training asks for, would add forces up by sorting their atoms.
    """
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_deterministic_debug_mode(before)


def example(deployed: Deployed, species: Tensor, device: torch.device) -> Given:
    """Atoms in general positions; every size another one, as it is to stay open."""
    A, J = 11, 5
    N = A - 2 if deployed.local else A
    place = torch.arange(A, dtype=torch.float64)
    turned = [torch.cos(2.4 * place), torch.sin(2.4 * place), 0.4 * place]  # a helix
    centres = torch.arange(N)
    neighbours = (centres[:, None] + 1 + torch.arange(J)) % A
    return (
        species.cpu()[torch.arange(A) % len(species)].to(device),
        torch.stack(turned, dim=-1).to(device),
        centres.to(device),
        neighbours.to(device),
        torch.zeros(N, J, 3, dtype=torch.float64, device=device),
    )


@_quiet()
def exported(deployed: Deployed, species: Tensor) -> Any:
    """The function as a `torch.export.ExportedProgram` of any number of atoms and neighbours."""
    from torch.export import Dim, export
    from torch.fx.experimental.proxy_tensor import make_fx

    device = deployed.atomic_reference.device
    given = example(deployed, species, device)

    def function(*given: Tensor) -> tuple[Tensor, ...]:
        return tuple(deployed(*given))

    with torch.no_grad():
        deployed(*given)  # what is computed once and kept is not to be computed from stand-ins
        graph = make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*given)
    atoms, slots = Dim("atoms", min=2), Dim("slots", min=2)
    centres = Dim("centres", min=2) if deployed.local else atoms
    sizes = ({0: atoms}, {0: atoms}, {0: centres}, {0: centres, 1: slots}, {0: centres, 1: slots})
    return export(graph, given, dynamic_shapes=sizes)


@_quiet()
def load_exported(content: bytes) -> Any:
    """The program that `torch.export.save` wrote."""
    return torch.export.load(io.BytesIO(content))


@_quiet()
def compiled(program: Any, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Compile an exported program for this machine's processor into a package at `path`.

    Args:
        metadata: what the loader hands out by name.
    """
    from torch._inductor import aoti_compile_and_package

    options = {**OPTIONS, "aot_inductor.metadata": dict(metadata or {})}
    aoti_compile_and_package(program, package_path=str(path), inductor_configs=options)


@_quiet()
def load(path: Path) -> Callable[..., list[Tensor]]:
    """A compiled package: what `Deployed.forward` takes -> tensors of `EnergiesAndForces`."""
    from torch._inductor import aoti_load_package

    # What the package's own call does besides, to find its arguments, takes as long as a molecule.
    package: Any = aoti_load_package(str(path))
    run: Callable[[list[Tensor]], list[Tensor]] = package.loader.boxed_run
    return lambda *given: run(list(given))
