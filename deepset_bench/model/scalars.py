"""The report's non-linear transforms of a distance (Tables 1, 2 and 7), in its own order."""

from __future__ import annotations

import torch
from torch import Tensor

from deepset_bench.variants import scalar


@scalar("x2")
def square(d: Tensor) -> Tensor:
    """d^2."""
    return d**2


@scalar("x3")
def cube(d: Tensor) -> Tensor:
    """d^3."""
    return d**3


@scalar("x4")
def tesseract(d: Tensor) -> Tensor:
    """d^4."""
    return d**4


@scalar("sqrt")
def square_root(d: Tensor) -> Tensor:
    """The square root of d."""
    return torch.sqrt(d)


@scalar("log")
def logarithm(d: Tensor) -> Tensor:
    """The natural logarithm of d in angstrom."""
    return torch.log(d)
