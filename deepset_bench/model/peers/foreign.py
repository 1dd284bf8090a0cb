"""Networks of other packages made such as ours are, and nothing else changed by importing them.

Importing graph-pes changes how this process starts others, which is no affair of a network.
"""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

from torch import nn

from deepset_bench.definition import PEERS
from deepset_bench.surroundings import require

N = TypeVar("N", bound=nn.Module)


def imported(module: str, without: Mapping[str, ModuleType | None] = MappingProxyType({})) -> Any:
    """A module of an optional package, and nothing else changed in this process.

    Args:
        module: its dotted name.
        without: modules that it is not to import, and what it finds instead; None for none.

    Raises:
        NotInstalled: names the extra.
    """
    stand_ins: Any = {name: one for name, one in without.items() if name not in sys.modules}
    sys.modules |= stand_ins
    try:
        with _kept(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs are for their developers
            return require(module, PEERS)
    finally:
        for name in stand_ins:
            del sys.modules[name]


@contextmanager
def _kept() -> Iterator[None]:
    start = multiprocessing.get_start_method(allow_none=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(start, force=True)


def ordinary(network: N) -> N:
    """The network with parameters of torch's own kind, all of which are learned.

    graph-pes has some that count only the elements that they have met as their numbers, and some
    that are not to be learned, which are buffers here.
    """
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            value = parameter.detach().clone()
            if not parameter.requires_grad:
                delattr(module, name)
                module.register_buffer(name, value)
            elif type(parameter) is not nn.Parameter:
                setattr(module, name, nn.Parameter(value))
    return network
