"""Functions of a direction: real spherical harmonics and products of what they expand."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

HIGHEST = 3
"""The highest degree l there are `harmonics` of."""


def size(degree: int) -> int:
    """M, how many harmonics there are up to a degree; one l after the other, l = 0 first."""
    return (degree + 1) ** 2


def harmonics(u: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics Y_lm(u) with mean square 1, (..., 3) unit vectors -> (..., M).

    Polynomials, finite and differentiable where u is zero, as in padding.

    Args:
        u: the vectors.
        degree: the highest l, at most `HIGHEST`.

    Raises:
        ValueError: a higher one.
    """
    if degree > HIGHEST:
        raise ValueError(f"there are harmonics up to degree {HIGHEST}, not {degree}")
    x, y, z = u.unbind(-1)
    root_3, root_5, root_15 = math.sqrt(3), math.sqrt(5), math.sqrt(15)
    values = [
        torch.ones_like(x),
        root_3 * x,
        root_3 * y,
        root_3 * z,
        root_15 * x * y,
        root_15 * y * z,
        root_15 * x * z,
        root_15 / 2 * (x * x - y * y),
        root_5 / 2 * (3 * z * z - 1),
    ]
    if degree > 2:
        root_7, root_21, root_35, root_105 = (math.sqrt(n) for n in (7, 21 / 8, 35 / 8, 105))
        values += [
            root_35 * y * (3 * x * x - y * y),
            root_105 * x * y * z,
            root_21 * y * (5 * z * z - 1),
            root_7 / 2 * z * (5 * z * z - 3),
            root_21 * x * (5 * z * z - 1),
            root_105 / 2 * z * (x * x - y * y),
            root_35 * x * (x * x - 3 * y * y),
        ]
    return torch.stack(values[: size(degree)], dim=-1)


def by_degree(B: Tensor) -> list[Tensor]:
    """(M, ...) -> the (2 l + 1, ...) of each l, up to the degree that there are M harmonics of."""
    return list(B.split([2 * degree + 1 for degree in range(math.isqrt(len(B)))]))


def summed(Y: Tensor, r: Tensor) -> Tensor:
    """sum_j Y_lm r_lf of (N, J, M) and (N, J, L + 1, F) -> (M, N, F)."""
    parts = zip(by_degree(Y.movedim(-1, 0)), r.unbind(-2), strict=True)
    # A product, so that r is computed once for all m.
    return torch.cat([(Y_l.movedim(0, 1) @ r_l).movedim(1, 0) for Y_l, r_l in parts])


@cache
def quadrature(degree: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Values of the harmonics on the sphere, and back from values by integration.

    Exact for a product of three functions of this degree, so that what is computed on the points
    turns with the molecule to rounding (Lebedev and Laikov 1999).

    Returns:
        (Q, M) values at the points, (M, Q) the same times the points' weights.
    """
    from scipy.integrate import lebedev_rule  # takes longer than the rest of this package's model

    points, weights = lebedev_rule((3 * degree) | 1)  # there are rules of odd degrees alone
    values = harmonics(torch.from_numpy(points.T.copy()), degree)
    back = (values * torch.from_numpy(weights / weights.sum())[:, None]).T
    return values.to(device, dtype), back.to(device, dtype).contiguous()


def product(a: Tensor, b: Tensor) -> Tensor:
    """The expansion of a(n) b(n) up to the degree of those of a and b, each (M, ...).

    The same as contracting with Gaunt's coefficients, here by multiplying values at points.
    """
    values, back = quadrature(math.isqrt(len(a)) - 1, a.dtype, a.device)
    at_points = (values @ a.flatten(1)) * (values @ b.flatten(1))  # (Q, ...)
    return (back @ at_points).view(a.shape)
