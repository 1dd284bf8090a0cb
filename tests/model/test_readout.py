"""The gated equivariant blocks against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepset_bench.model.readout import EquivariantReadout, GatedEquivariantBlock, safe_norm
from deepset_bench.testing import orthogonal

pytestmark = pytest.mark.usefixtures("float64")


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


def block(X: np.ndarray, V: np.ndarray, w: dict, width: int, last: bool) -> tuple:
    """(X', V') of one block by hand, atom by atom."""
    new_X, new_V = [], []
    for x, v in zip(X, V, strict=True):
        v1 = np.sqrt(((v @ w["vector_norm.weight"].T) ** 2).sum(0))
        v2 = v @ w["vector_out.weight"].T
        hidden = silu(w["mlp.0.weight"] @ np.concatenate([x, v1]) + w["mlp.0.bias"])
        y_q = w["mlp.2.weight"] @ hidden + w["mlp.2.bias"]
        new_X.append(y_q[:width] if last else silu(y_q[:width]))
        new_V.append(y_q[width:] * v2)
    return np.array(new_X), np.array(new_V)


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(4, 8, generator=generator),
        torch.randn(4, 3, 8, generator=generator),
    )


def randomise(module: torch.nn.Module) -> None:
    """Biases start at zero; give them values that would show if left out."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)


@pytest.mark.parametrize("last", [False, True])
def test_a_block_is_its_equations(features, last):
    made = GatedEquivariantBlock(8, 4, last=last)
    randomise(made)
    X, V = (x.detach().numpy() for x in made(*features))
    expected_X, expected_V = block(*map(np.asarray, features), weights(made), 4, last)
    # Sums of up to 16 products.
    np.testing.assert_allclose(X, expected_X, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(V, expected_V, rtol=1e-13, atol=1e-13)


def test_the_readout_is_two_blocks(features):
    readout = EquivariantReadout(8)
    randomise(readout)
    X, V = map(np.asarray, features)
    X, V = block(X, V, weights(readout.first), 4, last=False)
    X, _ = block(X, V, weights(readout.second), 1, last=True)
    np.testing.assert_allclose(readout(*features).detach(), X[:, 0], rtol=1e-12, atol=1e-12)


def test_a_block_turns_with_its_vectors(features):
    made = GatedEquivariantBlock(8, 4, last=False)
    randomise(made)
    X, V = features
    Q = torch.tensor(orthogonal(0, -1))
    new_X, new_V = made(X, torch.einsum("ab,nbf->naf", Q, V))
    old_X, old_V = made(X, V)
    torch.testing.assert_close(new_X, old_X, rtol=0, atol=1e-12)
    torch.testing.assert_close(new_V, torch.einsum("ab,nbf->naf", Q, old_V), rtol=0, atol=1e-12)


def test_initialisation():
    readout = EquivariantReadout(64)
    for name, value in weights(readout).items():
        if name.endswith("bias"):
            np.testing.assert_array_equal(value, 0.0)
        else:  # Xavier: uniform within sqrt(6 / (in + out))
            bound = np.sqrt(6 / sum(value.shape))
            assert np.abs(value).max() <= bound
            if value.size > 1000:  # all in the inner 90 %: probability below 0.9^1000
                assert np.abs(value).max() > 0.9 * bound
    assert readout.first.vector_norm.bias is None
    assert readout.first.vector_out.bias is None


def test_safe_norm():
    v = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [1e-150, 0.0, 0.0]], requires_grad=True)
    norm = safe_norm(v, dim=-1)
    torch.testing.assert_close(norm, torch.tensor([5.0, 0.0, 1e-150]), rtol=1e-15, atol=0)
    (gradient,) = torch.autograd.grad(norm.sum(), v, create_graph=True)
    expected = torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(gradient, expected, rtol=1e-15, atol=0)


def test_safe_norm_twice_differentiated_at_zero_is_finite():
    """Forces enter the loss, so training differentiates the norm twice."""
    v = torch.zeros(2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(safe_norm(v, dim=-1).sum(), v, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), v)
    np.testing.assert_array_equal(second, 0.0)


def test_the_gradient_and_its_derivatives_are_autograds():
    """Of a random projection of energies and gradients; one atom has vectors of length zero."""
    torch.manual_seed(0)
    readout = EquivariantReadout(8)
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter.normal_()
    X, V = torch.randn(5, 8, requires_grad=True), torch.randn(5, 3, 8)
    V[2] = 0.0
    V.requires_grad_()
    e_, X_, V_ = torch.randn(5), torch.randn(5, 8), torch.randn(5, 3, 8)

    def derivatives(fast: bool) -> list[torch.Tensor]:
        if fast:
            of_V, of_X = readout.first_maps()
            energies, dV, dX = readout.with_gradient(V @ of_V.T, X @ of_X.T)
            dV, dX = dV @ of_V, dX @ of_X
        else:
            energies = readout(X, V)
            dV, dX = torch.autograd.grad(energies.sum(), (V, X), create_graph=True)
        projection = (energies * e_).sum() + (dV * V_).sum() + (dX * X_).sum()
        wanted = [X, V, *readout.parameters()]
        found = torch.autograd.grad(projection, wanted, materialize_grads=True, allow_unused=True)
        return [energies, dV, dX, *found]

    for found, expected in zip(derivatives(True), derivatives(False), strict=True):
        bound = 1e-11 * expected.abs().max() + 1e-13
        assert (found - expected).abs().max() <= bound
