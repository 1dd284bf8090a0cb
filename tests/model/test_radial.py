"""Functions of one distance against independent numpy expressions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepset_bench import registry
from deepset_bench.model.radial import (
    RadialBasis,
    cosine_cutoff,
    quintic_cutoff,
    scalar_features,
)

CUTOFF = 5.0
d = np.linspace(0.3, 6.0, 58)
TRANSFORMS = {"x2": d * d, "x3": d * d * d, "x4": (d * d) ** 2, "sqrt": d**0.5, "log": np.log(d)}
# A few operations in float64 on numbers up to 6^4: ten roundings of relative size 1e-16.
EXACT = {"rtol": 1e-14, "atol": 1e-15}

pytestmark = pytest.mark.usefixtures("float64")


def function(name: str):
    return registry.find("scalar", name).load()


def basis_of(kind: str, size: int, names: list[str]) -> RadialBasis:
    made = registry.find("radial_basis", kind).call(size=size, cutoff=CUTOFF)
    return RadialBasis(made, size, [function(name) for name in names])


def gaussian(x: np.ndarray, size: int, cutoff: float) -> np.ndarray:
    spacing = cutoff / (size - 1)
    centres = spacing * np.arange(size)
    return np.exp(-0.5 * ((x[:, None] - centres) / spacing) ** 2)


def expnorm(x: np.ndarray, size: int, cutoff: float) -> np.ndarray:
    """exp(-beta (exp(-alpha x) - mu)^2); TorchMD-Net's alpha = 5 / (upper - lower cutoff)."""
    low = np.exp(-cutoff)
    mu = low + (1 - low) * np.arange(size) / (size - 1)
    beta = (2 / size * (1 - low)) ** -2
    return np.exp(-beta * (np.exp(-5 / cutoff * x)[:, None] - mu) ** 2)


FORMULAS = {"gaussian": gaussian, "expnorm": expnorm}


def test_cosine_cutoff():
    expected = np.where(d < CUTOFF, np.cos(np.pi * d / (2 * CUTOFF)) ** 2, 0.0)  # half-angle
    found = cosine_cutoff(torch.tensor(d), CUTOFF)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    assert cosine_cutoff(torch.tensor(0.0), CUTOFF) == 1.0
    assert (cosine_cutoff(torch.tensor([CUTOFF, CUTOFF + 1e-9, 2 * CUTOFF]), CUTOFF) == 0.0).all()


def test_quintic_cutoff():
    """Its derivative by x is -30 x^2 (1 - x)^2: slope and curvature vanish at both ends."""
    x = np.clip(d / CUTOFF, 0, 1)
    inside = torch.tensor(d, requires_grad=True)
    found = quintic_cutoff(inside, CUTOFF)
    (slope,) = torch.autograd.grad(found.sum(), inside)
    expected = -30 * x**2 * (1 - x) ** 2 / CUTOFF
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-13)
    assert quintic_cutoff(torch.tensor(0.0), CUTOFF) == 1.0
    assert (found[d >= CUTOFF] == 0.0).all()
    assert quintic_cutoff(torch.tensor(CUTOFF - 1e-4), CUTOFF) == pytest.approx(0.0, abs=1e-13)


@pytest.mark.parametrize("names", [["x2"], ["log", "x4"], ["x3", "sqrt"], list(TRANSFORMS)])
def test_scalars_are_the_named_transforms_followed_by_the_distance(names):
    expected = np.stack([TRANSFORMS[name] for name in names] + [d], axis=1)
    np.testing.assert_allclose(
        scalar_features(torch.tensor(d), [function(n) for n in names]), expected, **EXACT
    )


def test_without_names_there_are_no_scalars_not_even_the_distance():
    assert scalar_features(torch.tensor(d), []).shape == (len(d), 0)


def test_every_basis_is_tested():
    assert set(FORMULAS) == set(registry.names("radial_basis"))


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("size", [2, 32])
def test_bases(kind, size):
    found = basis_of(kind, size, [])(torch.tensor(d))
    # beta = 256 multiplies the rounding of the exponent's square.
    np.testing.assert_allclose(found, FORMULAS[kind](d, size, CUTOFF), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("names", [[], ["x2", "x3"], ["x2", "x4", "log"], ["x3", "sqrt"]])
def test_an_extended_basis_applies_the_same_functions_to_every_transform(kind, names):
    basis = basis_of(kind, 8, names)
    inputs = [d] + [TRANSFORMS[name] for name in names]
    expected = np.concatenate([FORMULAS[kind](x, 8, CUTOFF) for x in inputs], axis=1)
    assert basis.size == expected.shape[1]
    np.testing.assert_allclose(basis(torch.tensor(d)), expected, rtol=1e-11, atol=1e-15)


def test_as_in_the_report_the_cube_leaves_the_range_of_the_gaussians_early():
    """Finding 18: d^3 > 5 beyond 1.71 angstrom; a spacing (1/6 angstrom) further all are dim."""
    features = basis_of("gaussian", 32, ["x3"])(torch.tensor([1.5, 2.0, 4.0]))[:, 32:]
    assert features[0].max() > 0.8
    assert features[1:].max() < 1e-12


def test_bases_hold_no_parameters_and_nothing_in_the_state():
    basis = basis_of("gaussian", 32, ["x2"])
    assert not list(basis.parameters())
    assert not basis.state_dict()
