"""The reference form against a sum over pairs written out by hand, and what the report counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.model.batches import Tables
from deepset_bench.model.potential import Potential
from deepset_bench.testing import evaluate
from deepset_bench.training.setup import build_model
from tests import toy
from tests.model.physics import configuration, make_potential, stack

DEAD = 52_224
"""Parameters of the report's model that enter no output, left out here."""


def count(*overrides: str) -> int:
    return sum(p.numel() for p in build_model(experiment(overrides).config).parameters())


def test_parameters_of_the_report():
    assert count("scalars=cub_sqrt") == 420_108 - DEAD == 367_884


def test_parameters_that_a_choice_adds():
    none = count()
    F, S, K, G, H = 128, 3, 32, 10, 128
    assert count("scalars=cub_sqrt") - none == F * S
    assert count("rbf=x2_x3") - none == 2 * K * F
    assert count("rbf=expnorm") == none
    assert count("gating=top_k") == none
    assert none - count("gating=single") == (G - 1) * (F * F + F + 1)
    assert count("gnn=sage") - none == 2 * H * F + (2 * F * H + H)  # gamma's [h_i ; h_j], the layer
    assert count("gnn=sage3") - count("gnn=sage") == 2 * (2 * F * H + H)


def by_hand(model: torch.nn.Module, numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Atomic energies by the equations, one pair at a time, without the modules' forwards."""
    w = {name: p.detach().numpy() for name, p in model.named_parameters()}

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    n, F, cutoff = len(numbers), model.gamma.out_features, model.cutoff
    size = model.basis.size
    spacing = cutoff / (size - 1)
    X, V = np.zeros((n, F)), np.zeros((n, 3, F))
    x = w["embedding.weight"][numbers]
    for i in range(n):
        for j in range(n):
            r = positions[i] - positions[j]
            d = np.sqrt(r @ r)
            if i == j or d >= cutoff:
                continue
            C = (np.cos(np.pi * d / cutoff) + 1) / 2
            rbf = np.exp(-0.5 * ((d - spacing * np.arange(size)) / spacing) ** 2)
            p = C * linear("distance_projection", rbf)
            e = linear("edge_projection", np.concatenate([p, [d**3, d**0.5, d]]))
            x_i, x_j = linear("target_projection", x[i]), linear("source_projection", x[j])
            g = linear("gamma", np.concatenate([x_i, x_j, e]))
            logits = 1 / np.abs(d - w["gate.thresholds"])
            share = np.exp(logits - logits.max())
            share /= share.sum()
            m = sum(
                s * (E @ g + b)
                for s, E, b in zip(share, w["experts.weight"], w["experts.bias"], strict=True)
            )
            m = m * C if model.envelope == "message" else m
            X[i] += m
            V[i] += np.outer(r / d, m)
    energies = model.readout(torch.tensor(X), torch.tensor(V))  # tested by itself
    return energies.detach().numpy()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("envelope", ["message", "none"])
@pytest.mark.parametrize("form", ["reference", "fused"])
def test_the_equations(envelope, form):
    config = configuration("scalars=cub_sqrt", f"envelope={envelope}")
    potential = make_potential(config, form=form)
    molecule = toy.random_molecule(6, seed=5, box=6.0)
    energy, _ = evaluate(potential, config, molecule)
    expected = by_hand(potential.model, molecule.numbers, molecule.positions).sum() * 0.7
    assert energy[0] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("overrides", [(), ("scalars=all",), ("rbf=x3_sqrt",), ("gnn=gat",)])
def test_fused_rounds_no_worse_than_the_reference_in_float32(overrides):
    """Against the reference in float64 at the product's width.

    Sums of K + S or F terms, in another order: an order cannot be better than another by much. So
    the bound is four times the reference's own rounding, and never below 16 roundings of the
    largest number.
    """
    config = experiment(overrides).config
    torch.manual_seed(0)
    model = build_model(config).eval()
    frames = stack([toy.random_molecule(n, seed=n) for n in (12, 9, 12)])
    state = model.state_dict()
    exact_model = build_model(config).double().eval()
    exact_model.load_state_dict(state)

    def run(model: torch.nn.Module, form: str, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
        potential = Potential(model, torch.tensor([1, 6]), 1.0, form=form).eval()
        tables = potential.prepare(Tables.build(frames, config.cutoff, dtype=dtype), again=True)
        batch = tables.gather(torch.arange(3))
        energy, forces, *_ = potential(batch)
        return energy.detach().double().numpy(), forces.detach().double().numpy()

    exact = run(exact_model, "reference", torch.float64)
    reference = run(model, "reference", torch.float32)
    fused = run(model, "fused", torch.float32)
    for right, by_definition, fast in zip(exact, reference, fused, strict=True):
        floor = 16 * np.finfo(np.float32).eps * np.abs(right).max()
        allowed = max(4 * np.abs(by_definition - right).max(), floor)
        assert np.abs(fast - right).max() < allowed


@pytest.mark.parametrize(("gating", "every"), [("dense", 10), ("single", 1), ("top_k", 10)])
def test_number_of_experts(gating, every):
    model = build_model(configuration(f"gating={gating}"))
    assert len(model.experts.weight) == len(model.gate.thresholds) == every
