"""What the fused form computes once: functions of each distance and their derivatives.

That it equals the reference form is tested with every variant's physics.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from deepset_bench.denormals import TAIL
from deepset_bench.model import potential
from deepset_bench.model.batches import Tables
from deepset_bench.model.deepset.fused import pair_features
from tests import toy
from tests.model.physics import configuration, make_potential, stack

CHOICES = [
    ("scalars=all",),
    ("rbf=x2_x4_log", "envelope=none"),
    ("rbf=expnorm", "scalars=cub_sqrt"),
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("overrides", CHOICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_slopes_are_the_derivatives_of_the_features(overrides, dtype):
    config = configuration(*overrides)
    made = make_potential(config)
    frames = stack([toy.random_molecule(n, seed=n, box=7.0) for n in (8, 3)])
    tables = Tables.build(frames, config.cutoff, dtype=dtype)
    batch = made.prepare(tables).gather(torch.tensor([0, 1]))

    d = batch.distances.double().requires_grad_()
    features = pair_features(made.model, d)
    slopes = torch.stack(
        [torch.autograd.grad(f.sum(), d, retain_graph=True)[0] for f in features.unbind(-1)], dim=-1
    )
    P = features.shape[-1]
    assert batch.slopes.shape[-1] == P
    # Forward and backward differentiation group the same few factors differently, then rounding,
    # and numbers below TAIL are set to zero.
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    for found, expected in ((batch.features[..., :P], features), (batch.slopes, slopes)):
        right = expected.detach().numpy()
        bound = tolerance * np.abs(right).max(axis=(0, 1)) + TAIL
        assert (np.abs(found.double().numpy() - right) <= bound).all()


@pytest.mark.parametrize("overrides", [(), ("gnn=sage",), ("rbf=x2_x4_log",)])
def test_a_device_without_float64_gets_what_the_cpu_computed(monkeypatch, overrides):
    """Such a device is here one where tensors have shapes alone, so that the copy is handed in."""
    config = configuration(*overrides)
    here = make_potential(config)
    there = copy.deepcopy(here).to("meta")
    monkeypatch.setattr(potential, "INEXACT", ("meta",))
    monkeypatch.setattr(potential, "on_the_cpu", {there: here}.get)
    tables = Tables.build(toy.frames(2, 3), config.cutoff)
    expected, found = (of.prepare(tables, again=True) for of in (here, there))
    for name in expected._tensor_fields():
        one, other = getattr(expected, name), getattr(found, name)
        assert (other.device.type, other.dtype, other.shape) == ("meta", one.dtype, one.shape)


@pytest.mark.usefixtures("float64")
def test_the_radial_part_vanishes_at_the_cutoff_and_the_scalars_do_not():
    config = configuration("scalars=cub_sqrt")
    model = make_potential(config).model
    features = pair_features(model, torch.tensor([config.cutoff, config.cutoff - 1e-9]))
    K = config.rbf.size
    assert (features[:, : K + 1].abs() < 1e-15).all()  # (pi 1e-9 / 2 r_c)^2
    expected = [config.cutoff**3, config.cutoff**0.5, config.cutoff]
    np.testing.assert_allclose(features[0, K + 1 :], expected, rtol=1e-14)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("overrides", [(), ("gnn=sage",)])
def test_a_large_system_is_computed_in_pieces(overrides, dense, monkeypatch):
    monkeypatch.setattr("deepset_bench.model.batches.DENSE", float("inf") if dense else 0.0)
    config = configuration(*overrides)
    potential = make_potential(config)
    frames = toy.random_molecule(11, seed=0, box=7.0)
    tables = potential.prepare(Tables.build(frames, config.cutoff, dtype=torch.float64))
    whole = potential(tables.gather(torch.tensor([0])))
    monkeypatch.setattr("deepset_bench.model.deepset.fused.PAIRS", 40)  # of 4 atoms or so
    pieces = potential(tables.gather(torch.tensor([0])))
    for a, b in zip(pieces, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
