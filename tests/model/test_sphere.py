"""Harmonics and products of functions on the sphere, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import lebedev_rule
from scipy.special import eval_legendre

from deepset_bench.model.deepset_x.sphere import (
    HIGHEST,
    by_degree,
    harmonics,
    product,
    quadrature,
    size,
)
from deepset_bench.testing import orthogonal


@pytest.fixture(autouse=True)
def _float64(float64):
    pass


@pytest.fixture(params=range(1, HIGHEST + 1))
def degree(request):
    return request.param


def directions(n: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.nn.functional.normalize(torch.randn(n, 3), dim=-1)


def test_the_addition_theorem(degree):
    """sum_m Y_lm(u) Y_lm(v) = (2 l + 1) P_l(u . v), which only harmonics of degree l fulfil."""
    u, v = directions(20).split(10)
    of_u, of_v = (by_degree(harmonics(x, degree).T) for x in (u, v))
    assert len(of_u) == degree + 1
    for one, (a, b) in enumerate(zip(of_u, of_v, strict=True)):
        found = (a[:, :, None] * b[:, None, :]).sum(0)
        expected = (2 * one + 1) * eval_legendre(one, (u @ v.T).numpy())
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-13)


def test_integration_takes_values_back_to_what_they_came_from(degree):
    values, back = quadrature(degree, torch.float64, torch.device("cpu"))
    torch.testing.assert_close(back @ values, torch.eye(size(degree)), atol=1e-13, rtol=0)


def test_a_product_is_that_of_the_functions(degree):
    """Integrated with points enough for degree 31."""
    torch.manual_seed(0)
    a, b = torch.randn(2, size(degree), 5, 3)
    points, weights = (torch.from_numpy(x) for x in lebedev_rule(31))
    Y = harmonics(points.T, degree)
    f, g = (torch.einsum("qm,m...->q...", Y, x) for x in (a, b))
    expected = torch.einsum("q,qm,q...->m...", weights / weights.sum(), Y, f * g)
    torch.testing.assert_close(product(a, b), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("determinant", [1, -1])
def test_a_product_turns_with_its_factors(determinant, degree):
    Q = torch.from_numpy(orthogonal(3, determinant))
    points = directions(size(degree) + 3)
    # D with Y(Q u) = Y(u) D, from more directions than there are harmonics
    D = torch.linalg.lstsq(harmonics(points, degree), harmonics(points @ Q, degree)).solution
    a, b = torch.randn(2, size(degree), 4)
    torch.testing.assert_close(product(D @ a, D @ b), D @ product(a, b), atol=1e-12, rtol=0)


def test_a_degree_that_is_too_high():
    with pytest.raises(ValueError, match="up to degree 3, not 4"):
        harmonics(torch.ones(1, 3), HIGHEST + 1)
