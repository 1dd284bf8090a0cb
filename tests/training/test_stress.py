"""Training on stress where frames are labelled with it, and no other number where none is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.model.buckets import Buckets, table_shapes
from deepset_bench.model.energy_reference import fit_reference
from deepset_bench.model.labelled import LabelledTables
from deepset_bench.model.potential import Prediction
from deepset_bench.molecules.frames import Frames
from deepset_bench.testing import random_crystal
from deepset_bench.training.any_size import framewise, of_framewise
from deepset_bench.training.compiled import flatten, gradients
from deepset_bench.training.loss import make_loss
from deepset_bench.training.loss import terms as loss_terms
from deepset_bench.training.setup import build_potential, label
from deepset_bench.training.step import with_targets
from tests import toy

RMS = 0.3
SMALL = ("width=8", "rbf.size=6", "gating.experts=3")


def labelled() -> Frames:
    """A small crystal and a larger one, both with stress, a crystal without, and a molecule."""
    rng = np.random.default_rng(0)
    crystals = [random_crystal((6, 1), n, seed) for n, seed in ((3, 1), (6, 2), (3, 3))]
    frames = Frames.concatenate([*crystals, toy.random_molecule(9, 1)])
    stress = rng.normal(size=(4, 3, 3))
    stress[2:] = np.nan
    return replace(
        frames,
        energy=rng.normal(size=4),
        forces=rng.normal(size=frames.forces.shape),
        stress=stress,
    )


class Case:
    """A potential, in float64, and labelled frames in one table or several."""

    def __init__(self, *overrides: str, one: bool) -> None:
        torch.manual_seed(0)
        config = experiment([*overrides, "cutoff=4.0"]).config
        frames = labelled()
        self.potential = build_potential(config, torch.tensor(frames.species), 0.7)
        self.potential.double().train()
        shapes = table_shapes(frames, config.cutoff, 4)
        if not one:
            few, many = (table_shapes(frames.select([m]), config.cutoff, 4)[0] for m in (0, 1))
            slots = shapes[0].slots
            shapes = (few._replace(slots=slots), many._replace(rows=9, slots=slots))
        energy = frames.energy - fit_reference("composition", frames, {})(frames)
        labels = label(frames, energy, shapes, config, self.potential, stress=True)
        tables = Buckets.build(frames, config.cutoff, shapes, dtype=torch.float64)
        tables = tables.change(self.potential.prepare)
        self.labels = LabelledTables(
            tables,
            labels.energy.double(),
            tables.by_row(torch.tensor(frames.forces)),
            torch.tensor(frames.stress),
        )
        torch.testing.assert_close(labels.stress.double(), self.labels.stress, equal_nan=True)
        self.loss = make_loss(config, 1.0, 1.0, stress_rms=RMS)
        self.flat = flatten(self.potential)
        self.buffers = dict(self.potential.named_buffers())
        self.compute = gradients(self.potential, self.loss, None)

    def step(self, wrap=None) -> tuple[torch.Tensor, torch.Tensor]:
        parts = []
        for batch, target in with_targets(self.labels, self.loss, torch.arange(4)):
            if wrap:
                parts.append(
                    wrap(self.compute, batch)(self.flat, self.buffers, *framewise(batch, target))
                )
            else:
                parts.append(self.compute(self.flat, self.buffers, batch, target))
        gradient, measured = (torch.stack(values).sum(0) for values in zip(*parts, strict=True))
        return gradient, measured


def test_the_fifth_term_is_the_mean_square_of_stress():
    """What is not labelled counts as right, so that a batch with more labels counts for more."""
    stress = torch.tensor(np.random.default_rng(1).normal(size=(2, 3, 3)))
    wanted = stress.clone()
    wanted[0] += 0.5
    wanted[1] = torch.nan
    stress.requires_grad_()
    zero = torch.zeros(2)
    prediction = Prediction(zero, torch.zeros(2, 3), zero, stress)
    target = {
        **{"energy": zero, "forces": torch.zeros(2, 3), "stress": wanted},
        **dict.fromkeys(("energy_unit", "forces_unit"), torch.tensor(1.0)),
        "stress_unit": torch.tensor(RMS),
    }

    class Batch:
        numbers = torch.tensor([6, 6])

    measured = loss_terms(prediction, Batch(), target)
    assert measured[4].item() == pytest.approx((0.5 / RMS) ** 2 / 2)
    shared = loss_terms(prediction, Batch(), target | {"share": torch.tensor([0.25, 0.5])})
    assert shared[4].item() == pytest.approx(measured[4].item() / 4)
    loss = make_loss(experiment(["trainer.stress_weight=3"]).config, 1.0, 1.0, stress_rms=RMS)
    assert loss.value("train", measured.detach()).item() == pytest.approx(3 * measured[4].item())
    loss.objective(measured).backward()
    expected = np.zeros((2, 3, 3))
    expected[0] = 3 * 2 * -0.5 / RMS**2 / 18
    np.testing.assert_allclose(stress.grad.numpy(), expected, rtol=1e-6)


@pytest.mark.usefixtures("float64")
def test_stress_moves_the_gradient():
    with_it, without = (
        Case(*SMALL, f"trainer.stress_weight={w}", one=True).step() for w in (0.5, 0.0)
    )
    torch.testing.assert_close(with_it[1], without[1])
    assert (with_it[0] - without[0]).abs().max() > 1e-3 * without[0].abs().max()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "overrides", [SMALL, (*SMALL, "form=reference"), ("model=deepset_x", "model.width=8")]
)
def test_several_tables_and_open_sizes_say_the_same(overrides):
    one, several = (Case(*overrides, one=one) for one in (True, False))
    assert len(several.labels.tables.tables) > len(one.labels.tables.tables)
    expected = one.step()
    for found in (several.step(), several.step(of_framewise)):
        for value, wanted in zip(found, expected, strict=True):
            assert (value - wanted).abs().max() < 1e-11 * wanted.abs().max()
