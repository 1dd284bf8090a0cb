"""No variant computes with denormal numbers: not in its tables, its gradients or in between."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deepset_bench.denormals import TAIL, flushed, start_threads
from deepset_bench.evaluation import check, trained
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.model.batches import Batch, Tables
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import Frames
from deepset_bench.schema import Config
from deepset_bench.training import train as training
from tests import toy
from tests.model.physics import configuration, make_potential
from tests.model.test_variants import HALVED, VARIANTS
from tests.training.test_train import folder_of
from tests.training.tiny import run, run_seeds

PEERS = {name: (f"model={name}",) for name in ("deepset_x", "schnet", "visnet")}
ALL = {"baseline": (), **VARIANTS, **HALVED, **PEERS}

UNREAD = {"aten.exp.default", "aten.detach.default", "aten.abs.default", "aten.cat.default"}
"""torch's exp writes a denormal's bits whatever the processor was told, and these copy them; what
is then computed with them is zero."""


def denormal(values: torch.Tensor) -> int:
    """How many numbers are, by their bits: where they are flushed, they compare as zero."""
    if values.dtype != torch.float32 or values.is_meta or values._is_zerotensor():
        return 0
    bits = values.detach().contiguous().view(torch.int32) & 0x7FFFFFFF
    return int(((bits > 0) & (bits < 0x00800000)).sum())


class Counting(TorchDispatchMode):
    """Counts the denormal numbers in what every operation gives, derivatives included."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.found = 0, {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = str(function)
        self.operations += 1
        if name not in UNREAD and "empty" not in name:
            for given in tree_leaves(result):
                if isinstance(given, torch.Tensor) and (count := denormal(given)):
                    self.found[name] = self.found.get(name, 0) + count
        return result


def potential_of(overrides, form) -> tuple[Potential, Config]:
    """An untrained one, with as many Gaussians as by default, in training."""
    config = copy.deepcopy(configuration(*overrides))
    config.rbf.size, config.model.width = 32, 16
    potential = make_potential(config, form=form, move_thresholds=config.model.kind == "deepset")
    return potential.train(), config


def step(potential: Potential, batch: Batch) -> list[torch.Tensor]:
    """The gradients of a loss of energies and forces."""
    energy, forces, *_ = potential(batch)
    loss = energy.square().mean() + forces.square().mean()
    parameters = [p for p in potential.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]


@pytest.mark.parametrize(
    ("variant", "form"),
    [(variant, "fused") for variant in ALL]
    + [(variant, "reference") for variant in ("baseline", *(v for v in ALL if "rbf" in v))],
)
def test_a_training_step_has_no_denormals(variant, form):
    """On distances from 0.9 to 8 angstrom; the gate's thresholds are among them."""
    potential, config = potential_of(ALL[variant], form)
    frames = Frames.concatenate([toy.random_molecule(n, n, box=4.5) for n in (12, 9)])
    tables = Tables.build(frames, config.cutoff, every_second=config.every_second)
    tables = potential.prepare(tables)
    held = [getattr(tables, name) for name in tables._tensor_fields()]
    for table in (table for table in held if table.dtype == torch.float32):
        assert table[table != 0].abs().min() >= TAIL
    with flushed(), Counting() as counted:
        gradients = step(potential, tables.gather(torch.arange(2)))
    assert counted.operations > 100
    assert counted.found == {}
    assert sum(map(denormal, gradients)) == 0


def test_directions_of_a_planar_molecule_have_no_tails():
    frames = toy.geometry(np.array([6, 1, 1]), np.array([[0, 0, 0], [1, 1e-30, 0], [0, 1, 1e-41]]))
    directions = Tables.build(frames, 5.0).directions
    assert directions[directions != 0].abs().min() > 0.1


def made(size: int) -> int:
    """How many denormal numbers torch's threads make of so many products that are denormal."""
    return denormal(torch.full((size,), 1e-30) * 1e-12)


def test_flushed_for_a_while_and_in_the_threads_for_good():
    """In a thread that has two of torch's to itself, and neither computed yet."""
    size = 1 << 18  # two threads share it

    def use() -> tuple[int, int, int]:
        torch.set_num_threads(2)
        start_threads()
        before = made(size)
        with flushed():
            inside = made(size)
        return before, inside, made(size)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(use).result() == (size // 2, 0, size // 2)
    torch.set_num_threads(1)


@pytest.mark.usefixtures("tiny")
def test_whatever_trains_or_predicts_flushes_them(monkeypatch):
    """Each time that frames are gathered for a model; and it starts the threads before."""
    events: list[object] = []
    gather = Tables.gather

    def gather_and_count(self, frames, *rest):
        events.append(made(10))
        return gather(self, frames, *rest)

    monkeypatch.setattr(Tables, "gather", gather_and_count)
    for module in (training, trained):
        started = functools.partial(events.append, "start")
        monkeypatch.setattr(module, "start_threads", started)

    def seen(function: Callable[[], object]) -> tuple[object, set[object]]:
        events.clear()
        function()
        return events[0], set(events[1:])

    path = folder_of("trainer.epochs=1").path
    for use in (
        lambda: run("trainer.epochs=1"),
        lambda: run_seeds("trainer.epochs=1", seeds=[1, 2]),
        lambda: Ensemble([path], "cpu")(toy.frames(3, 1)),
        lambda: check._Model(trained.load_trained(path, "cpu"))(toy.frames(3, 1)),
    ):
        first, then = seen(use)
        assert first == "start"
        assert then - {"start"} == {0}
    assert made(10) == 10
