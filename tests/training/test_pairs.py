"""The pair potential under DeepSet X: the one that its equations ask for."""

from __future__ import annotations

import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.model.buckets import Buckets, table_shapes
from deepset_bench.model.deepset_x import pairs
from deepset_bench.model.deepset_x.network import DeepSetX
from deepset_bench.model.labelled import LabelledTables
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import Frames
from deepset_bench.scoring.metrics import predict
from deepset_bench.training.setup import build_model, prepare
from tests import toy
from tests.training.tiny import DEEPSET_X, OVERRIDES

CUTOFF = 3.5


@pytest.fixture
def silent() -> Potential:
    """A potential whose network says nothing: energies are the pairs' alone."""
    torch.manual_seed(0)
    model = build_model(experiment(["model=deepset_x", f"cutoff={CUTOFF}"]).config)
    assert isinstance(model, DeepSetX)
    for parameter in model.readout[-1].parameters():
        torch.nn.init.zeros_(parameter)
    return Potential(model, torch.tensor([1, 6]), 0.7).double().eval()


def labelled(potential: Potential, frames) -> LabelledTables:
    shapes = table_shapes(frames, CUTOFF, len(frames))
    tables = Buckets.build(frames, CUTOFF, shapes, dtype=torch.float64).change(potential.prepare)
    energy, forces = predicted(potential, tables)
    return LabelledTables(tables, energy, tables.by_row(forces))


def predicted(potential: Potential, tables: Buckets) -> tuple[torch.Tensor, torch.Tensor]:
    energy, forces, *_ = predict(potential, tables, len(tables))
    return energy, forces


def symmetric(model: DeepSetX) -> torch.Tensor:
    of = torch.randn(2, 2, len(model.centres))
    return (of + of.transpose(0, 1)).flatten(1).double()


@pytest.mark.usefixtures("float64")
def test_it_finds_the_pair_potential_that_made_the_labels(silent, monkeypatch):
    monkeypatch.setattr(pairs, "RIDGE", 1e-12)
    model = silent.model
    model.pairs.copy_(symmetric(model))
    seen = labelled(silent, Frames.concatenate([toy.frames(3, 80), toy.frames(4, 10)]))
    other = labelled(silent, toy.frames(5, 5, seed=1))
    model.pairs.zero_()
    pairs.fit_pairs(silent, model, seen)
    # The frames of the larger molecule have no distance that the smaller ones have not.
    for labels in (seen, other):
        energy, forces = predicted(silent, labels.tables)
        torch.testing.assert_close(energy, labels.energy, rtol=0, atol=1e-3)
        torch.testing.assert_close(labels.tables.by_row(forces), labels.forces, rtol=0, atol=1e-3)


@pytest.mark.usefixtures("float64")
def test_no_coefficient_can_be_changed_for_the_better(silent):
    """Written from predictions, not from the equations that were solved."""
    frames = toy.frames(3, 40)
    labels = labelled(silent, frames)
    energy = torch.tensor(frames.energy - frames.energy.mean())
    forces = torch.tensor(frames.forces)
    labels = LabelledTables(labels.tables, energy, labels.tables.by_row(forces))
    pairs.fit_pairs(silent, silent.model, labels)
    unit = energy.square().mean().sqrt()

    def objective() -> float:
        E, F = predicted(silent, labels.tables)
        found = (E - energy).square().mean() / energy.square().mean()
        found += (F - forces).square().mean() / forces.square().mean()
        upper = silent.model.pairs.view(2, 2, -1)[[0, 0, 1], [0, 1, 1]] * silent.scale / unit
        return float(found + pairs.RIDGE * upper.square().sum())

    lowest = objective()
    assert lowest < 1.9  # 2 is zero's
    E, _ = predicted(silent, labels.tables)
    assert float(silent.scale) == pytest.approx(float((E - energy).square().mean().sqrt()))
    fitted = silent.model.pairs.clone()
    for _ in range(20):
        silent.model.pairs.copy_(fitted + 1e-3 * symmetric(silent.model))
        assert objective() > lowest


@pytest.mark.parametrize(("overrides", "fitted"), [((), True), (("pairs=none",), False)])
def test_configuration_leaves_it_out(tiny, overrides, fitted):
    config = experiment([*OVERRIDES, *DEEPSET_X, *overrides]).config
    setup = prepare(config)
    assert bool(setup.potential.model.pairs.any()) == fitted
    spread = float(setup.parts["train"].energy.std(correction=0))
    assert (float(setup.potential.scale) == pytest.approx(spread)) != fitted


def test_other_networks_have_none_to_leave_out():
    with pytest.raises(UserError, match="pair potential to leave out: deepset_x, deepset_x_2"):
        experiment(["pairs=none"])
