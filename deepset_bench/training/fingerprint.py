"""What decides the machine code of a traced function, as text that needs no trace.

A function is what it holds (its closure, and whatever that holds in turn) and the files that its
code is from. Parameters and buffers of modules count by shape, because a compiled step gets them as
arguments; any other tensor would be a constant in it and counts by value. Nothing has to be listed,
so nothing can be forgotten; what is too much costs a compilation and no more.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from deepset_bench.files import PACKAGE
from deepset_bench.surroundings import versions
from deepset_bench.syntax import with_siblings

_ROOMS = ("model", "training")
"""Of the package, that hold the code of a step."""

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size)
_BY_VERSION = {*sys.stdlib_module_names, "torch", "torch_geometric", "numpy", "deepset_bench"}


def fingerprint(*values: Any) -> str:
    """A SHA-256, the same in every process for what holds the same.

    Raises:
        TypeError: something cannot be described.
        RecursionError: it is nested too deeply.
    """
    walk = _Walk()
    text = walk.describe(values)
    files = [*_files_of_rooms(), *walk.files()]
    whole = hashlib.sha256(f"{text}\n{versions()}\n{sys.implementation.cache_tag}".encode())
    for file in files:
        whole.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return whole.hexdigest()


def layout(tensor: Tensor, n_open: int = 0) -> str:
    """A tensor but for its values and the first `n_open` of its sizes."""
    steps = tensor.stride() if n_open == 0 else "packed"
    return f"{tensor.dtype} {n_open} {tuple(tensor.shape[n_open:])} {steps} {tensor.device}"


@cache
def _files_of_rooms() -> list[Path]:
    return [path for room in _ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]


class _Walk:
    """Describes values one after another and remembers whose code they run."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.open: list[int] = []

    def files(self) -> list[Path]:
        """Of the code that has no version: a person's own variants, and what they import."""
        found: set[Path] = set()
        for name in self.modules:
            source = getattr(sys.modules.get(name), "__file__", None)
            if source and source.endswith(".py") and name.partition(".")[0] not in _BY_VERSION:
                found.update(with_siblings(Path(source)))
        return sorted(found)

    def describe(self, value: Any) -> str:
        """See `fingerprint`."""
        if isinstance(value, _PLAIN):
            return f"{type(value).__name__} {value!r}"
        if id(value) in self.open:  # it holds itself
            return f"again {len(self.open) - self.open.index(id(value))}"
        self.open.append(id(value))
        try:
            return self._whole(value)
        finally:
            self.open.pop()

    def _whole(self, value: Any) -> str:
        if isinstance(value, Tensor):
            return f"{layout(value)} {_values(value)}"
        if isinstance(value, tuple | list):
            return f"{self._name(type(value))}[{self._all(value)}]"
        if isinstance(value, dict):
            return f"{self._name(type(value))}{{{self._all(pair for pair in value.items())}}}"
        if isinstance(value, set | frozenset):
            return f"{self._name(type(value))} {sorted(map(self.describe, value))}"
        if isinstance(value, MethodType):
            return f"{self.describe(value.__func__)} of {self.describe(value.__self__)}"
        if isinstance(value, FunctionType):
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            held = self._all([*cells, value.__defaults__, value.__kwdefaults__])
            return f"{self._name(value)}({held})"
        if isinstance(value, type | BuiltinFunctionType):
            return self._name(value)
        if isinstance(value, ModuleType):
            self.modules.add(value.__name__)
            return value.__name__
        if isinstance(value, nn.Module):
            return self._module(value)
        return self._all(value.__reduce_ex__(4))

    def _module(self, module: nn.Module) -> str:
        given = {**module._parameters, **module._buffers}
        shapes = {name: None if t is None else layout(t) for name, t in given.items()}
        rest = {k: v for k, v in vars(module).items() if k not in ("_parameters", "_buffers")}
        if isinstance(module, GraphModule):
            rest["_graph"] = module.code  # of the graph itself, every node knows its neighbours
        return f"{self._name(type(module))}({self.describe(shapes)}, {self.describe(rest)})"

    def _all(self, values: Iterable[Any]) -> str:
        return ", ".join(map(self.describe, values))

    def _name(self, value: Any) -> str:
        module = getattr(value, "__module__", None) or ""
        self.modules.add(module)
        return f"{module}.{value.__qualname__}"


def _values(tensor: Tensor) -> str:
    held = tensor.detach().cpu().contiguous()
    return hashlib.sha256(held.view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
