"""Functions of a distance as cubic polynomials between knots: what a trained pair function costs.

Training needs the functions of a distance by their parameters; a trained potential only their
values. Between evenly spaced knots they are cubic polynomials with the right value and slope at
both ends (Hermite interpolation), continuous with their first derivative, so that forces are the
exact gradient of the energy. Their error falls with the fourth power of the spacing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from deepset_bench.model.radial import Function
from deepset_bench.schema import MAX_ATOMIC_NUMBER

NEAREST = 0.4
"""Angstrom; nearer, functions go on as straight lines. The shortest bond, of H2, is 0.74."""

CLOSEST = 0.6
"""Angstrom, from where on splines are held to their tolerance: nuclei of molecules come no nearer,
and a gate of a trained network may have thresholds there, at which it is as good as broken."""

FEWEST, MOST = 512, 8192
"""Intervals to begin with, and never more."""

LENIENCE = 4
"""How many times the tolerance is still taken, where the error falls less than it should."""

PROBE = 0.382
"""Where in each piece splines are held against what they stand for; their error is not least."""


class Splines(nn.Module):
    """C functions of a distance for each of so many kinds of pairs.

    Args:
        functions: of each kind, (n,) float64 distances in angstrom -> (n, C), differentiable.
        cutoff: in angstrom; what is asked for beyond it has no meaning.
        tolerance: largest error of a slope, relative to the largest slope there is.

    Raises:
        ValueError: the functions are not smooth enough for this tolerance.
    """

    coefficients: Tensor

    def __init__(
        self, functions: Sequence[Function], cutoff: float, tolerance: float, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.first, self.last = min(NEAREST, cutoff / 2), cutoff
        self.intervals = FEWEST
        error = self._make(functions)
        if error > tolerance:
            # The error of a slope falls with the third power of the spacing.
            wanted = math.ceil(math.log2((error / tolerance) ** (1 / 3)))
            self.intervals = min(FEWEST * 2**wanted, MOST)
            error = self._make(functions)
        if error > tolerance * LENIENCE:
            raise ValueError(f"splines of {self.intervals} pieces miss slopes by {error:.1g}")
        self.coefficients = self.coefficients.to(dtype)

    def forward(self, kinds: Tensor, d: Tensor) -> Tensor:
        """(...) int64 kinds of pairs and (...) distances in angstrom -> (..., C)."""
        x = (d - self.first) * (self.intervals / (self.last - self.first))
        piece = x.detach().floor().clamp(0, self.intervals - 1)
        t = (x - piece)[..., None]
        # Nearer than the first knot the first piece goes on as its tangent.
        within = t.clamp_min(0.0)
        c = self.coefficients[kinds * self.intervals + piece.long()]
        c0, c1, c2, c3 = c.unbind(-2)
        return c0 + c1 * t + within * within * (c2 + within * c3)

    def _make(self, functions: Sequence[Function]) -> float:
        """Make the polynomials; `_error` of them."""
        table = torch.stack([self._tabulate(function) for function in functions])
        self.register_buffer("coefficients", table.flatten(0, 1), persistent=False)
        return self._error(functions)

    def _tabulate(self, function: Function) -> Tensor:
        """(n, 4, C) polynomials of one kind in float64, each of a variable from 0 to 1."""
        n = self.intervals
        knots = torch.linspace(self.first, self.last, n + 1, dtype=torch.float64)
        values, slopes = value_and_slope(function, knots)
        slopes = slopes * ((self.last - self.first) / n)
        v0, v1, s0, s1 = values[:-1], values[1:], slopes[:-1], slopes[1:]
        rise = v1 - v0
        return torch.stack([v0, s0, 3 * rise - 2 * s0 - s1, s0 + s1 - 2 * rise], dim=1)

    def _error(self, functions: Sequence[Function]) -> float:
        """Largest error of a slope, relative to the largest slope."""
        width = self.last - self.first
        n = self.intervals
        d = self.first + width / n * (torch.arange(n, dtype=torch.float64) + PROBE)
        d = d[d >= CLOSEST]
        errors, sizes = [], []
        for kind, function in enumerate(functions):
            _, slopes = value_and_slope(function, d)
            kinds = torch.full((len(d),), kind)
            _, found = value_and_slope(partial(self, kinds), d)
            errors.append((found - slopes).abs().max())
            sizes.append(slopes.abs().max())
        size = float(torch.stack(sizes).max())
        error = float(torch.stack(errors).max())
        return 0.0 if error == 0 else error / size


def value_and_slope(function: Callable[[Tensor], Tensor], d: Tensor) -> tuple[Tensor, Tensor]:
    """f(d) and df/dd, (n,) -> (n, C) each, of functions of each distance by itself.

    Two reverse passes: the second one by the weights of the first gives all C slopes at once.
    """
    with torch.enable_grad():
        d = d.detach().requires_grad_()
        values = function(d)
        weights = torch.ones_like(values).requires_grad_()
        (by_d,) = torch.autograd.grad((values * weights).sum(), d, create_graph=True)
        (slopes,) = torch.autograd.grad(by_d.sum(), weights)
    return values.detach(), slopes


def kinds_of(species: Tensor) -> Tensor:
    """(100,) int64 place of each atomic number among the (s,) that occur, more of heavier ones; 0
    for others."""
    kind = torch.zeros(max(MAX_ATOMIC_NUMBER, int(species.max())) + 1, dtype=torch.int64)
    kind[species.cpu()] = torch.arange(len(species))
    return kind


def tolerance_of(dtype: torch.dtype) -> float:
    """What splines may be off in a precision: about what it rounds a force by."""
    return 1e-6 if dtype == torch.float32 else 1e-8
