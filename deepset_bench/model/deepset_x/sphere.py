"""Functions of a direction: real spherical harmonics and products of what they expand."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

DEGREE = 2
"""The highest l of `harmonics`."""

SIZE = (DEGREE + 1) ** 2
"""M, how many there are; those of one l stand together, l = 0 first."""


def harmonics(u: Tensor) -> Tensor:
    """Real spherical harmonics Y_lm(u) with mean square 1, (..., 3) unit vectors -> (..., M).

    Polynomials, finite and differentiable where u is zero, as in padding.
    """
    x, y, z = u.unbind(-1)
    root_3, root_5, root_15 = math.sqrt(3), math.sqrt(5), math.sqrt(15)
    return torch.stack(
        [
            torch.ones_like(x),
            root_3 * x,
            root_3 * y,
            root_3 * z,
            root_15 * x * y,
            root_15 * y * z,
            root_15 * x * z,
            root_15 / 2 * (x * x - y * y),
            root_5 / 2 * (3 * z * z - 1),
        ],
        dim=-1,
    )


def by_degree(B: Tensor) -> list[Tensor]:
    """(M, ...) -> the (2 l + 1, ...) of each l."""
    return list(B.split([2 * degree + 1 for degree in range(DEGREE + 1)]))


@cache
def quadrature(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Values of the harmonics on the sphere, and back from values by integration.

    Exact for a product of three functions of degree DEGREE, so that what is computed on the points
    turns with the molecule to rounding (Lebedev and Laikov 1999).

    Returns:
        (Q, M) values at the points, (M, Q) the same times the points' weights.
    """
    from scipy.integrate import lebedev_rule  # takes longer than the rest of this package's model

    points, weights = lebedev_rule(3 * DEGREE + 1)
    values = harmonics(torch.from_numpy(points.T.copy()))
    back = (values * torch.from_numpy(weights / weights.sum())[:, None]).T
    return values.to(device, dtype), back.to(device, dtype).contiguous()


def product(a: Tensor, b: Tensor) -> Tensor:
    """The expansion of a(n) b(n) up to DEGREE, of those of a and b, each (M, ...).

    The same as contracting with Gaunt's coefficients, here by multiplying values at points.
    """
    values, back = quadrature(a.dtype, a.device)
    at_points = (values @ a.flatten(1)) * (values @ b.flatten(1))  # (Q, ...)
    return (back @ at_points).view(a.shape)
