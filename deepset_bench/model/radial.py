"""Functions of one interatomic distance: cutoff, scalar features, radial bases.

Each is analytic, and written so that it takes complex distances too: see `with_slope`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from deepset_bench.model.others import of_shape
from deepset_bench.variants import radial_basis

Function = Callable[[Tensor], Tensor]
"""(...) distances in angstrom -> (...)."""


def cosine_cutoff(d: Tensor, cutoff: float) -> Tensor:
    """C(d) = (cos(pi d / r_c) + 1) / 2 inside the cutoff, 0 outside (Behler and Parrinello 2007).

    `d` in angstrom, any shape; continuous with its first derivative at r_c.
    """
    return torch.where(d.real < cutoff, 0.5 * (torch.cos(math.pi / cutoff * d) + 1.0), 0.0)


def cosine_cutoff_slope(d: Tensor, cutoff: float) -> Tensor:
    """dC/dd per angstrom."""
    k = math.pi / cutoff
    return torch.where(d < cutoff, -0.5 * k * torch.sin(k * d), 0.0)


def quintic_cutoff(d: Tensor, cutoff: float) -> Tensor:
    """1 - 10 x^3 + 15 x^4 - 6 x^5 of x = d / r_c inside the cutoff, 0 outside.

    `d` in angstrom, any shape; continuous with its first two derivatives at r_c.
    """
    x = d / cutoff
    return torch.where(d.real < cutoff, 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2), 0.0)


def scalar_features(d: Tensor, functions: Sequence[Function]) -> Tensor:
    """s(d), (..., S): the functions of d followed by d itself; empty without any.

    Report, Fig. 6. They are raw: neither scaled nor cut off.
    """
    if not functions:
        return d.new_zeros((*d.shape, 0))
    found = [of_shape(function(d), d.shape, function, d) for function in functions]
    return torch.stack([*found, d], dim=-1)


@radial_basis("gaussian")
class GaussianBasis(nn.Module):
    """exp(-(d - mu_k)^2 / (2 w^2)) with K centres mu_k evenly on [0, r_c] and w their spacing.

    What ran in the report: its code passed no basis type and fell back to this one (SchNet 2017).
    """

    centres: Tensor

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(0.0, cutoff, size), persistent=False)
        self.coefficient = -0.5 / (cutoff / (size - 1)) ** 2

    def forward(self, d: Tensor) -> Tensor:
        """(...) in angstrom -> (..., K)."""
        return torch.exp(self.coefficient * (d[..., None] - self.centres) ** 2)


@radial_basis("expnorm")
class ExpNormBasis(nn.Module):
    """exp(-beta (exp(-alpha d) - mu_k)^2), alpha = 5 / r_c (PhysNet 2019, TorchMD-Net 2022).

    mu_k lie evenly on [exp(-r_c), 1]; beta = (2 / K (1 - exp(-r_c)))^-2.
    """

    centres: Tensor

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        start = math.exp(-cutoff)
        self.register_buffer("centres", torch.linspace(start, 1.0, size), persistent=False)
        self.alpha = 5.0 / cutoff
        self.beta = (2.0 / size * (1.0 - start)) ** -2

    def forward(self, d: Tensor) -> Tensor:
        """(...) in angstrom -> (..., K)."""
        return torch.exp(-self.beta * (torch.exp(-self.alpha * d)[..., None] - self.centres) ** 2)


class RadialBasis(nn.Module):
    """A basis applied to d and, when extended, to transforms of d, concatenated (Fig. 14, Table 7).

    The same functions on [0, r_c] see d and its transforms, as in the report: d^3 leaves their
    range beyond 1.75 angstrom and ln d is negative below 1 angstrom.
    """

    def __init__(self, basis: nn.Module, size: int, transforms: Sequence[Function] = ()) -> None:
        super().__init__()
        self.basis = basis
        self.transforms = tuple(transforms)
        self.each, self.size = size, size * (1 + len(self.transforms))

    def forward(self, d: Tensor) -> Tensor:
        """(...) in angstrom -> (..., K (1 + T))."""
        shape = (*d.shape, self.each)
        inputs = [d, *(of_shape(f(d), d.shape, f, d) for f in self.transforms)]
        return torch.cat([of_shape(self.basis(x), shape, self.basis, d) for x in inputs], dim=-1)
