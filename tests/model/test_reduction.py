"""Fewer functions for an extended basis: that they say the same, and nothing else changes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from deepset_bench.model.batches import Tables, with_slope
from deepset_bench.model.deepset.fused import pair_features
from deepset_bench.model.deepset.reduction import ERROR, expansion
from deepset_bench.testing import close
from tests.model.physics import (
    configuration,
    make_potential,
    smooth_molecule,
    stack,
    training_step,
)

EXTENDED = [("rbf=x2_x4_log",), ("rbf=x3_sqrt", "scalars=cub_sqrt"), ("rbf=expnorm",)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("overrides", EXTENDED)
def test_all_functions_come_back(overrides, dtype):
    """On distances between those that chose them, too."""
    config = configuration(*overrides)
    function = partial(pair_features, make_potential(config).model)
    d = 0.9 + 4.0 * torch.rand(500, dtype=dtype, generator=torch.Generator().manual_seed(0))
    U = expansion(function, d, config.cutoff, torch.float32).double()
    assert 5 < len(U) < 0.86 * U.shape[1]
    others = torch.linspace(float(d.min()), config.cutoff, 7001, dtype=torch.float64)
    values, slopes = with_slope(function, others)
    error, of_slopes = ERROR[torch.float32]
    assert (values @ U.T @ U - values).abs().max() < 2 * error * (1 + values.abs().max())
    steepest = slopes.abs().max(0).values.clamp_min(1.0)
    assert ((slopes @ U.T @ U - slopes).abs() / steepest).max() < 2 * of_slopes


def test_independent_functions_stay():
    config = configuration("scalars=cub_sqrt")
    function = partial(pair_features, make_potential(config).model)
    d = torch.linspace(0.9, 5.0, 300)
    assert expansion(function, d, config.cutoff, torch.float32) is None
    assert expansion(function, d[:0], config.cutoff, torch.float32) is None


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("overrides", [*EXTENDED, ("rbf=x2_x4", "gnn=sage", "envelope=none")])
def test_a_step_is_the_same(overrides, dense, monkeypatch):
    """Energies, forces and gradients, against the reference; bounds as without a reduction."""
    monkeypatch.setattr("deepset_bench.model.batches.DENSE", float("inf") if dense else 0.0)
    monkeypatch.setattr("deepset_bench.model.deepset.reduction.WORTHWHILE", 1.0)
    config = configuration(*overrides)
    frames = [smooth_molecule(n, config.cutoff, config.gating.experts) for n in (5, 7)]
    tables = make_potential(config).prepare(Tables.build(stack(frames), config.cutoff), again=True)
    assert tables.slopes.shape[-1] == len(tables.expansion)
    (predicted, gradients), (right, gradients_0) = (
        training_step(config, form, frames, again=True) for form in ("fused", "reference")
    )
    for found, expected in zip(predicted, right, strict=True):
        close(found, expected, 1e-9)
    assert gradients.keys() == gradients_0.keys()
    for name, gradient in gradients_0.items():
        scale = max(np.abs(gradient).max(), 1e-3)
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-9 * scale)


def test_selections_are_put_together_and_reduced_again():
    config = configuration("rbf=x2_x4_log")
    potential = make_potential(config)
    parts = [Tables.build(smooth_molecule(7, config.cutoff, 10), config.cutoff) for _ in range(2)]
    prepared = [potential.prepare(part, again=True) for part in parts]
    assert prepared[0].expansion is not None
    whole = Tables.concatenate(prepared)
    assert whole.expansion is None
    assert whole.features is None
    again, direct = (potential.prepare(t, again=True) for t in (whole, Tables.concatenate(parts)))
    assert torch.equal(again.features, direct.features)
    assert torch.equal(again.expansion, direct.expansion)
