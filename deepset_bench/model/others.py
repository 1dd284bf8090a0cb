"""What is asked of modules and functions that others wrote, in one line where it does not hold.

Tensors of a wrong shape would often be broadcast, and a network be trained that is not the one that
was meant.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from deepset_bench.definition import Variant
from deepset_bench.errors import UserError


def own_module(variant: Variant, made: nn.Module) -> nn.Module:
    """What a variant made, with parameters that are all to be learned: others are buffers.

    A training step learns every parameter that there is.

    Raises:
        UserError: it cannot be part of a network.
    """
    problem = _problem(made, variant)
    if problem:
        raise UserError(f"{variant.file}: {variant}: {problem}")
    for module in made.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.requires_grad:
                delattr(module, name)
                module.register_buffer(name, parameter.detach())
    return made


def _problem(made: nn.Module, variant: Variant) -> str:
    name, computes = type(made).__name__, "reference" in variant.traits.get("forms", ("reference",))
    if "_parameters" not in vars(made):
        return f"{name} does not call super().__init__() when it is made"
    if computes and getattr(made.forward, "__func__", None) is nn.Module.forward:
        return f"{name} has no method forward"
    for of_made, parameter in made.named_parameters():
        if is_lazy(parameter):
            return f"the size of {of_made} must be known when {name} is made: no Lazy modules"
    if variant.kind == "model" and not any(True for _ in made.parameters()):
        return f"{name} has no parameters, so that there is nothing to train"
    return ""


def of_shape(found: Any, shape: Sequence[int], maker: Callable[..., Any], like: Tensor) -> Tensor:
    """What a module or function of others returned.

    Args:
        found: of `maker`.
        shape: that it must have.
        maker: to be named.
        like: a tensor of the precision that it must have.

    Raises:
        UserError: it is no tensor, or another one.
    """
    # Stand-ins of a traced graph have sizes that are not to be looked at.
    if isinstance(found, Tensor) and (type(found) is not Tensor or torch.jit.is_tracing()):
        return found
    if not isinstance(found, Tensor):
        what = f"returns {type(found).__name__}, not a tensor"
    elif found.shape != tuple(shape):
        what = f"returns a tensor of shape {tuple(found.shape)}; it must be {tuple(shape)}"
    elif found.dtype != like.dtype:
        what = f"returns {found.dtype} where {like.dtype} is computed with"
    else:
        return found
    of = maker if inspect.isfunction(maker) else type(maker)
    try:
        file = f"{inspect.getfile(of)}: "
    except TypeError:  # not written in Python
        file = ""
    raise UserError(f"{file}{of.__qualname__} {what}")
