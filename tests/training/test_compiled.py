"""The traced and the compiled training step are the same function, gradients included."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from deepset_bench.config import experiment
from deepset_bench.model.deepset_x.sphere import quadrature
from deepset_bench.training.compilation import trace
from deepset_bench.training.compiled import (
    CompiledGradients,
    flatten,
    gradients,
    named,
    of_fixed_sizes,
    of_tensors,
    traceable,
    wants_compiling,
)
from deepset_bench.training.lowering import keep_apart
from deepset_bench.training.step import with_targets

from .tiny import DEEPSET_X, DEEPSET_X_2, SCHNET, prepared

VARIANTS = {
    "baseline": [],
    "cub_sqrt": ["scalars=cub_sqrt"],
    "report": ["condition=report", "rbf=x2_x4_log", "condition.edges=all"],
    "top_k": ["gating.top_k=1"],
    "single": ["gating=single"],
    "halved": ["condition.edges=every_second"],
    "sage": ["gnn=sage", "aggregation=max"],
    "sage3": ["gnn=sage3"],
    "edge": ["gnn=edge"],
    "gat": ["gnn=gat"],
    "deepset_x": DEEPSET_X,
    "deepset_x_2": DEEPSET_X_2,
}


class Case:
    """A tiny run before its first step; `given` is what the gradients of some frames are of."""

    def __init__(self, *overrides):
        self.setup, self.config = prepared(*overrides)
        self.setup.potential.train()
        self.flat = flatten(self.setup.potential)
        clip = self.config.trainer.gradient_clip
        self.eager = gradients(self.setup.potential, self.setup.loss, clip)

    def given(self, frames):
        potential, labels = self.setup.potential, self.setup.parts["train"]
        ((batch, wanted),) = with_targets(labels, self.setup.loss, frames)
        return self.flat, dict(potential.named_buffers()), batch, wanted

    def assert_same(self, one, other):
        """To rounding of sums over a few hundred terms, of the largest element."""
        torch.testing.assert_close(one[1], other[1], rtol=1e-11, atol=0)
        found, wanted = (named(flat, self.setup.potential) for flat, _ in (one, other))
        for name, expected in wanted.items():
            bound = 1e-10 * expected.abs().max() + 1e-14
            assert (found[name] - expected).abs().max() <= bound, name


pytestmark = pytest.mark.usefixtures("tiny", "float64")


@pytest.mark.parametrize("clip", ["null", "1e-3"])
def test_eager_gradients_are_those_of_the_loss(clip):
    """Against backward() of the printed loss and torch's own clipping."""
    case = Case(f"trainer.gradient_clip={clip}")
    potential, loss = case.setup.potential, case.setup.loss
    flat, buffers, batch, wanted = case.given(torch.arange(6))
    found, measured = case.eager(flat, buffers, batch, wanted)
    prediction = potential(batch)
    energy = (prediction.energy - wanted["energy"]) / loss.energy_unit
    forces = (prediction.forces - wanted["forces"]) / loss.forces_unit
    total = loss.energy_weight * energy.square().mean()
    total = total + loss.forces_weight * forces.square().mean()  # the toy has no padding
    assert loss.value("train", measured).item() == pytest.approx(total.item(), rel=1e-12)
    total.backward()
    if case.config.trainer.gradient_clip is not None:
        torch.nn.utils.clip_grad_norm_(potential.parameters(), case.config.trainer.gradient_clip)
    expected = [torch.zeros_like(p) if p.grad is None else p.grad for p in potential.parameters()]
    case.assert_same((found, measured), (torch.cat([g.flatten() for g in expected]), measured))


@pytest.mark.parametrize("variant", VARIANTS)
def test_traced(variant):
    """On another batch than the one it was traced on."""
    case = Case(*VARIANTS[variant])
    flat, buffers, batch, wanted = case.given(torch.arange(6))
    graph = trace(of_tensors(case.eager, batch), flat, buffers, batch.tensors(), wanted)
    flat, buffers, batch, wanted = case.given(torch.arange(8, 14))
    with torch.no_grad():
        found = graph(flat, buffers, batch.tensors(), wanted)
    case.assert_same(found, case.eager(flat, buffers, batch, wanted))


def test_compiled():
    said: list[str] = []
    case = Case("scalars=cub_sqrt")
    fast = CompiledGradients(case.eager, case.setup.parts["train"], 6, said.append)
    for _ in range(2):
        given = case.given(torch.arange(8, 14))
        case.assert_same(fast(*given), case.eager(*given))
    assert fast.fast
    assert not said
    given = case.given(torch.arange(3))  # the last batch of an epoch: not compiled
    case.assert_same(fast(*given), case.eager(*given))


def test_compiled_for_any_number_of_edges():
    """Of one graph; two atoms that are no neighbours have none, and are computed as they are."""
    case = Case(*SCHNET)
    labels = case.setup.parts["train"]
    said: list[str] = []
    fast = CompiledGradients(case.eager, labels, 6, said.append, edges=True)
    edges = set()
    for frames in (torch.arange(6), torch.arange(8, 14), torch.arange(3)):
        given = case.given(frames)
        edges.add(len(given[2].with_edges().edges))
        case.assert_same(fast(*given), case.eager(*given))
    assert len(edges) == 2
    assert len(fast.fast) == 1
    assert len(said) == 1
    assert said[0].startswith("compiling the training step")
    again = CompiledGradients(case.eager, labels, 6, pytest.fail, edges=True)
    case.assert_same(again(*given), fast(*given))
    flat, buffers, batch, wanted = case.given(torch.arange(2))
    apart = replace(batch, pair=torch.zeros_like(batch.pair))
    fast.fast = {False: lambda *_: pytest.fail("a graph of several edges was given none")}
    case.assert_same(*(f(flat, buffers, apart, wanted) for f in (fast, case.eager)))


def test_what_a_model_keeps_is_not_computed_from_stand_ins(monkeypatch):
    """DeepSet X keeps the points of its quadrature from its first step on, a trace here."""
    monkeypatch.setattr("deepset_bench.training.kept.folder", lambda: None)
    quadrature.cache_clear()
    case = Case(*DEEPSET_X)
    fast = CompiledGradients(case.eager, case.setup.parts["train"], 6, pytest.fail)
    given = case.given(torch.arange(8, 14))
    found = fast(*given)
    assert fast.fast
    assert {type(kept) for kept in quadrature(2, torch.float64, torch.device("cpu"))} == {Tensor}
    case.assert_same(found, case.eager(*given))


def test_without_a_compiler_it_says_so_and_goes_on(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no compiler found\nat all")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx_inner", broken)
    said: list[str] = []
    case = Case()
    fast = CompiledGradients(case.eager, case.setup.parts["train"], 6, said.append)
    for _ in range(2):
        given = case.given(torch.arange(6))
        case.assert_same(fast(*given), case.eager(*given))
    assert said == ["not compiled: no compiler found"]


def test_when_it_compiles():
    assert wants_compiling(experiment(["trainer.epochs=150"]).config)
    assert not wants_compiling(experiment(["trainer.epochs=2"]).config)
    assert wants_compiling(experiment(["trainer.epochs=2", "compile=true"]).config)
    assert not wants_compiling(experiment(["compile=false"]).config)
    assert wants_compiling(experiment(["gnn=gat"]).config)
    assert wants_compiling(experiment(["model=deepset_x"]).config)
    assert wants_compiling(experiment(["model=schnet"]).config)
    assert "number of edges" in of_fixed_sizes(experiment(["model=schnet"]).config)
    assert not wants_compiling(experiment(["model=visnet"]).config)
    assert "picks edges" in traceable(experiment(["model=visnet"]).config)
    assert "reference" in traceable(experiment(["form=reference"]).config)


def test_what_was_compiled_for_other_vectors_is_not_taken(monkeypatch, tmp_path):
    """Inductor keeps code by its text, and code for other vectors computes other numbers."""
    for before, after in (("", "torchinductor"), (str(tmp_path), str(tmp_path))):
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", before)
        for capability in ("AVX2", "AVX512"):
            monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
            monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", before)
            for _ in range(2):
                keep_apart()
                folder = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
                assert folder.name == capability.lower()
                assert after in str(folder.parent)
