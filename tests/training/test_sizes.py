"""Frames of many sizes: a batch in parts is the batch, and each frame what it is alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.model.batches import Batch, Shape, Tables
from deepset_bench.model.buckets import Buckets, table_shapes
from deepset_bench.model.labelled import LabelledTables
from deepset_bench.molecules.frames import Frames
from deepset_bench.scoring.metrics import differences, predict
from deepset_bench.training.any_size import (
    check_open,
    framewise,
    left_open,
    of_framewise,
    stand_ins,
)
from deepset_bench.training.compilation import trace
from deepset_bench.training.compiled import (
    CompiledGradients,
    flatten,
    gradients,
)
from deepset_bench.training.loss import make_loss
from deepset_bench.training.setup import build_potential, prepare
from deepset_bench.training.step import SingleOptimisation, with_targets
from tests import toy

from .test_train import Killed, stop_at
from .tiny import DEEPSET_X, DEEPSET_X_2, OVERRIDES, SCHNET, assert_same_run, run, run_seeds

ROUNDING = 1e-11
"""Of sums of some hundred terms in float64 that cancel by three digits at most."""

VARIANTS = {
    "baseline": (),
    "cub_sqrt": ("scalars=cub_sqrt",),
    "report": ("condition=report", "condition.edges=all"),
    "by_atom": ("energy_error=atom",),
    "sage": ("gnn=sage",),
    "edge": ("gnn=edge",),
    "reference": ("form=reference",),
    "deepset_x": DEEPSET_X,
    "deepset_x_2": DEEPSET_X_2,
    "schnet": SCHNET,
}
SPECIES = torch.tensor([1, 6])


def many_sizes() -> Frames:
    """Chains of 3, 6, 27 and 60 atoms, shuffled; of the last, most atoms are no neighbours."""
    sizes = {1: 20, 2: 4, 9: 3, 20: 2}
    frames = Frames.concatenate([toy.frames(n, count, seed=n) for n, count in sizes.items()])
    return frames.select(np.random.default_rng(0).permutation(len(frames)))


class Case:
    """An untrained potential in float64 and the frames in several tables, or in `one`."""

    def __init__(self, *overrides: str, one: bool = False) -> None:
        torch.manual_seed(0)
        self.config = experiment([*OVERRIDES[1:], *overrides]).config
        self.frames = many_sizes()
        self.potential = build_potential(self.config, SPECIES, 0.7).double().train()
        self.loss = make_loss(self.config, 0.7, 1.3, float(self.frames.n_atoms.mean()))
        shapes = table_shapes(self.frames, self.config.cutoff, 6)
        assert len(shapes) == 3
        assert {shape.dense for shape in shapes} == {True, False}
        if one:
            shapes = [Shape.of(60, max(shape.slots for shape in shapes))]
        tables = Buckets.build(
            self.frames,
            self.config.cutoff,
            shapes,
            dtype=torch.float64,
            every_second=self.config.every_second,
        ).change(self.potential.prepare)
        energy = torch.tensor(self.frames.energy) / 100
        self.labels = LabelledTables(
            tables, energy, tables.by_row(torch.tensor(self.frames.forces))
        )
        self.flat = flatten(self.potential)
        self.buffers = dict(self.potential.named_buffers())
        self.compute = gradients(self.potential, self.loss, None)

    def step(self, frames: torch.Tensor, compute=None) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradient and `terms` of a batch, summed over its parts."""
        parts = [
            (compute or self.compute)(self.flat, self.buffers, batch, target)
            for batch, target in with_targets(self.labels, self.loss, frames)
        ]
        gradient, measured = (torch.stack(values).sum(0) for values in zip(*parts, strict=True))
        return gradient, measured


def assert_close(found: torch.Tensor, expected: torch.Tensor, bound: float) -> None:
    assert (found - expected).abs().max() <= bound * expected.abs().max()


BATCHES = [torch.tensor([3, 0, 7, 11, 28, 19]), torch.arange(29), torch.tensor([5])]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_of_many_sizes_is_its_frames_alone(variant):
    """Energies and forces of each, the loss as a mean over all of them, and its gradient."""
    case = Case(*VARIANTS[variant])
    for frames in BATCHES:
        case.potential.zero_grad()
        energies, forces, counted = [], [], []
        for m in frames.tolist():
            alone = Tables.build(case.frames.select([m]), case.config.cutoff, dtype=torch.float64)
            energy, of_atoms, *_ = case.potential(
                case.potential.prepare(alone).gather(torch.tensor([0]))
            )
            atoms = case.frames.atoms_of(m)
            n = int(case.frames.n_atoms[m])
            unit = case.loss.energy_unit
            if case.loss.mean_atoms is not None:
                unit = unit * n / case.loss.mean_atoms
            energies.append((energy - case.labels.energy[m]) / unit)
            wrong = of_atoms - torch.tensor(case.frames.forces[atoms])
            forces.append(wrong / case.loss.forces_unit)
            counted.append((energy.detach(), of_atoms.detach()))
        of_energy = torch.cat(energies).square().mean()
        of_forces = torch.cat(forces).square().mean()
        case.loss.objective(torch.stack([of_energy, of_forces])).backward()
        expected = torch.cat(
            [
                (torch.zeros_like(p) if p.grad is None else p.grad).flatten()
                for p in case.potential.parameters()
            ]
        )
        gradient, measured = case.step(frames)
        assert_close(gradient, expected, ROUNDING)
        assert_close(measured[:2], torch.stack([of_energy, of_forces]).detach(), ROUNDING)
        energy, forces, *_ = predict(case.potential, case.labels.tables, 6)
        case.potential.train()
        for m, (alone, of_atoms) in zip(frames.tolist(), counted, strict=True):
            assert_close(energy[m], alone[0], ROUNDING)
            assert_close(forces[case.frames.atoms_of(m)], of_atoms, ROUNDING)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("edges", ["all", "every_second"])
def test_one_table_and_several_say_the_same(edges):
    """Of every second edge, too, which depends on everything in a batch."""
    given = (f"condition.edges={edges}", "gnn=sage")
    several, one = Case(*given), Case(*given, one=True)
    for frames in BATCHES:
        for found, expected in zip(several.step(frames), one.step(frames), strict=True):
            assert_close(found, expected, ROUNDING)
    of_both = [predict(case.potential, case.labels.tables, 6) for case in (several, one)]
    for found, expected in zip(*(both[:3] for both in of_both), strict=True):
        assert_close(found, expected, ROUNDING)
    wrong = [differences(case.potential, case.labels, 6) for case in (several, one)]
    for found, expected in zip(*map(list, wrong), strict=True):
        assert_close(torch.tensor(found), torch.tensor(expected), ROUNDING)


def check_one_graph(case: Case, wanted: Callable[[Batch], Batch | None]) -> None:
    """Traced on one part, it is called with others: one frame, and another number of atoms.

    `wanted` gives a part as it is computed, or None where it is not.
    """
    sizes = [3, 6, 27, 60]
    given = [
        (batch, target)
        for frames in [*BATCHES, *(torch.arange(29)[case.frames.n_atoms == n] for n in sizes)]
        for part, target in with_targets(case.labels, case.loss, frames)
        if (batch := wanted(part)) is not None
    ]
    assert len({batch.pair.shape[1] for batch, _ in given}) > 1
    assert 1 in {batch.n_frames for batch, _ in given}
    expected = [case.compute(case.flat, case.buffers, *both) for both in given]
    first = case.flat, case.buffers, *framewise(*given[0])
    openly = stand_ins(*first)
    opened = tree_leaves(left_open(*first))
    for stand_in, real, sizes in zip(*map(tree_leaves, (openly, first)), opened, strict=True):
        assert sizes or stand_in.stride() == real.stride()  # the compiler counts on them
    graph = trace(of_framewise(case.compute, given[0][0]), *openly, mode="fake")
    check_open(openly)
    for both, found_eagerly in zip(given, expected, strict=True):
        with torch.no_grad():
            found = graph(case.flat, case.buffers, *framewise(*both))
        for one, other in zip(tree_leaves(found), tree_leaves(found_eagerly), strict=True):
            assert_close(one, other, ROUNDING)


def check_one_graph_of_edges(*overrides: str) -> None:
    """The same of a network that is computed edge by edge."""
    check_one_graph(Case(*overrides), lambda part: replace(part.with_edges(), dense=False))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("variant", "dense"), [("baseline", True), ("deepset_x", False), ("deepset_x_2", False)]
)
def test_one_graph_for_any_size(variant, dense):
    """A variant that could not be traced so would be computed as it is: see below."""
    check_one_graph(Case(*VARIANTS[variant]), lambda part: part if part.dense == dense else None)


@pytest.mark.usefixtures("float64")
def test_one_graph_for_any_number_of_edges():
    check_one_graph_of_edges(*SCHNET)


def test_what_is_of_a_fixed_size_lies_in_memory_as_it_does():
    """The compiler counts on it: tables of coefficients may be turned."""
    case = Case()
    ((batch, target),) = with_targets(case.labels, case.loss, torch.tensor([0]))
    turned = {"coefficients": torch.zeros(2, 3).mT}
    _, buffers, *_ = stand_ins(case.flat, turned, *framewise(batch, target))
    assert buffers["coefficients"].stride() == (1, 3)


@pytest.mark.usefixtures("float64")
def test_edges_that_are_known_change_no_bit():
    """Nor do values that go from slots to edges and back."""
    case = Case(*SCHNET)
    for batch, target in with_targets(case.labels, case.loss, BATCHES[0]):
        known = batch.with_edges()
        assert known.with_edges() is known
        i, slot = batch.pair.nonzero(as_tuple=True)
        assert torch.equal(batch.edge_index(), torch.stack([batch.neighbours[i, slot], i]))
        assert torch.equal(batch.of_slots(batch.of_edges(batch.directions)), batch.directions)
        of_both = (case.compute(case.flat, case.buffers, one, target) for one in (batch, known))
        for one, other in zip(*of_both, strict=True):
            assert torch.equal(one, other)


def simple(flat, buffers, batch, target):
    """A gradient that takes a second to compile: of sums over pairs, by frame."""
    with torch.enable_grad():
        flat = flat.detach().requires_grad_()
        by_vector = batch.directions * (flat[0] * batch.distances.sin())[..., None]
        pull = batch.forces(torch.where(batch.pair[..., None], by_vector, 0.0))
        energy = batch.per_frame(flat[1] * pull.square().sum(-1))
        wrong = (energy - target["energy"]).square().mean() * target["share"][0]
        (gradient,) = torch.autograd.grad(wrong, flat)
    return gradient, wrong.detach()[None]


def test_compiled_once_for_dense_tables_of_any_size():
    case, said = Case(), []
    fast = CompiledGradients(simple, case.labels, 6, said.append)
    assert fast.often == {True}  # there are two frames in compact tables, fewer than batches
    case.flat = torch.tensor([0.3, 0.2])
    for frames in BATCHES:
        found, expected = case.step(frames, fast), case.step(frames, simple)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, 1e-5)  # float32
    assert fast.fast.keys() == {True}
    assert said == ["not compiled: the few frames of about 60 atoms or more"]


def test_what_holds_for_one_size_alone_is_not_compiled():
    def for_one_size(flat, buffers, batch, target):
        gradient, measured = simple(flat, buffers, batch, target)
        return gradient * len(batch.numbers), measured  # len() makes it a constant of the graph

    case, said = Case(), []
    case.flat = torch.tensor([0.3, 0.2])
    fast = CompiledGradients(for_one_size, case.labels, 6, said.append)
    for frames in BATCHES:
        found, expected = case.step(frames, fast), case.step(frames, for_one_size)
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)
    assert said[1:] == ["not compiled: the traced step holds for one size of frames alone"]


@pytest.fixture
def many(tiny) -> Frames:
    """The set `many`, registered: small frames and a few large ones."""
    frames = Frames.concatenate([toy.frames(1, 40), toy.frames(20, 3, seed=1)])
    frames = frames.select(np.random.default_rng(1).permutation(len(frames)))
    catalogue.register("many", frames, {"method": "analytic"})
    return frames


MANY = ("data=many", "trainer.epochs=2")


@pytest.mark.usefixtures("many")
def test_a_run_goes_on_bit_for_bit(tmp_path):
    whole = run(*MANY, f"runs_dir={tmp_path}/whole")
    with pytest.raises(Killed):
        run(*MANY, f"runs_dir={tmp_path}/cut", on_epoch=stop_at(2))
    cut = run(*MANY, f"runs_dir={tmp_path}/cut")
    assert_same_run(whole.folder, cut.folder)


@pytest.mark.usefixtures("many")
def test_seeds_are_trained_one_after_another(tmp_path):
    together = run_seeds(*MANY, f"runs_dir={tmp_path}/together", seeds=[0, 1])
    assert "not stacked: " in together[1].folder.log.read_text()
    alone = run(*MANY, "seed=1", f"runs_dir={tmp_path}/alone")
    assert_same_run(together[1].folder, alone.folder)


def test_the_gradient_is_clipped_as_a_whole(many):
    """The norm of the sum over the parts, not of each."""
    config = experiment([*OVERRIDES, *MANY, "trainer.gradient_clip=1e-3"]).config
    setup = prepare(config)
    step = SingleOptimisation(setup, config, compile_steps=False, say=lambda _: None)
    counts = setup.parts["train"].tables.n_atoms
    frames = torch.stack([counts.argmin(), counts.argmax()])
    step.train([frames], [1e-3])
    (moment,) = step.optimizer.first  # a tenth of the only gradient there was
    assert 10 * float(moment.norm()) == pytest.approx(1e-3, rel=1e-3)


def test_a_trained_run_predicts_each_frame_as_alone(many):
    """Through the calculator's path, in float64."""
    ensemble = Ensemble([run(*MANY).folder.path], "cpu", "float64")
    together = ensemble(many)
    for m in (0, int(many.n_atoms.argmax())):
        alone, atoms = ensemble(many.select([m])), many.atoms_of(m)
        assert together.energy[m] == pytest.approx(alone.energy[0], rel=ROUNDING)
        bound = ROUNDING * np.abs(alone.forces).max()
        np.testing.assert_allclose(together.forces[atoms], alone.forces, rtol=0, atol=bound)
        np.testing.assert_allclose(
            together.atomic_energies[atoms], alone.atomic_energies, rtol=ROUNDING
        )
