"""The traced and the compiled training step are the same function, gradients included."""

from __future__ import annotations

import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.model.compiled import CompiledForward, trace, traceable, wants_compiling
from deepset_bench.training.setup import prepare

from ..training.tiny import OVERRIDES

VARIANTS = {
    "baseline": [],
    "cub_sqrt": ["scalars=cub_sqrt"],
    "report": ["condition=report", "rbf=x2_x4_log", "condition.edges=all"],
    "top_k": ["gating.top_k=1"],
    "single": ["gating=single"],
    "halved": ["condition.edges=every_second"],
}


def gradients(potential, forward, batch):
    """Energies, forces and the gradients of a sum of squares of both."""
    potential.zero_grad()
    prediction = forward(batch)
    (prediction.energy.square().sum() + prediction.forces.square().sum()).backward()
    trained = {n: p.grad.clone() for n, p in potential.named_parameters() if p.grad is not None}
    return prediction.energy.detach(), prediction.forces.detach(), trained


def assert_same(one, other):
    """To float32 rounding of sums over a few hundred terms, of the largest element."""
    for a, b in zip(one[:2], other[:2], strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
    assert one[2].keys() == other[2].keys()
    for name, expected in other[2].items():
        assert (one[2][name] - expected).abs().max() <= 1e-4 * expected.abs().max() + 1e-12, name


def ready(*overrides):
    config = experiment([*OVERRIDES, *overrides]).config
    setup = prepare(config)
    setup.potential.train()
    return config, setup.potential, setup.parts["train"].tables


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("variant", VARIANTS)
def test_traced(variant):
    """On another batch than the one it was traced on."""
    _, potential, tables = ready(*VARIANTS[variant])
    known = dict(potential.named_parameters()) | dict(potential.named_buffers())
    graph = trace(potential, tables.gather(torch.arange(6)), known)

    def forward(batch):
        return type(potential(batch))(*graph(known, batch.tensors()))

    batch = tables.gather(torch.arange(8, 14))
    assert_same(gradients(potential, forward, batch), gradients(potential, potential, batch))


@pytest.mark.usefixtures("tiny")
def test_compiled():
    said: list[str] = []
    config, potential, tables = ready("scalars=cub_sqrt")
    forward = CompiledForward(potential, config.trainer.batch_size, said.append)
    batch = tables.gather(torch.arange(8, 14))
    assert_same(gradients(potential, forward, batch), gradients(potential, potential, batch))
    assert not said
    smaller = tables.gather(torch.arange(3))  # the last batch of an epoch: not compiled
    assert_same(gradients(potential, forward, smaller), gradients(potential, potential, smaller))


@pytest.mark.usefixtures("tiny")
def test_without_a_compiler_it_says_so_and_goes_on(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no compiler found\nat all")

    monkeypatch.setattr(torch, "compile", broken)
    said: list[str] = []
    config, potential, tables = ready()
    forward = CompiledForward(potential, config.trainer.batch_size, said.append)
    batch = tables.gather(torch.arange(6))
    assert_same(gradients(potential, forward, batch), gradients(potential, potential, batch))
    forward(batch)
    assert said == ["not compiled: no compiler found"]


def test_when_it_compiles():
    assert wants_compiling(experiment(["trainer.epochs=150"]).config)
    assert not wants_compiling(experiment(["trainer.epochs=2"]).config)
    assert wants_compiling(experiment(["trainer.epochs=2", "compile=true"]).config)
    assert not wants_compiling(experiment(["compile=false"]).config)
    assert not wants_compiling(experiment(["gnn=sage"]).config)
    assert "graph layers" in traceable(experiment(["gnn=sage"]).config)
