"""A run of a second: a narrow model on a few frames of the set `tiny`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.model.batches import Tables
from deepset_bench.model.labelled import LabelledTables
from deepset_bench.runs import RunFolder
from deepset_bench.schema import Config
from deepset_bench.training.loop import Epoch
from deepset_bench.training.setup import Setup, prepare
from deepset_bench.training.step import Measured, SingleOptimisation
from deepset_bench.training.train import Outcome, train

OVERRIDES = (
    "data=tiny",
    "data.train_size=20",
    "data.val_size=8",
    "data.test_size=7",
    "width=8",
    "rbf.size=8",
    "gating.experts=2",
    "trainer.epochs=4",
    "trainer.batch_size=6",  # the last of an epoch's four batches is smaller
    "trainer.energy_weight=0.2",
    "trainer.forces_weight=0.8",
    "trainer.schedule.warmup_steps=3",
    "device=cpu",
    "threads=1",
    "compile=false",
)
EVEN = "data.train_size=18"
"""Three whole batches: of stacked runs a smaller one is traced as a graph of its own, a second."""
UNMOVED = ("trainer.learning_rate=1e-6", "trainer.schedule.minimum=0")
"""Parameters stay the first ones to the rate times the steps: tests of what is made of a run do not
depend on how its training turned out, which rounding decides. DeepSet X has a fair potential all
the same, its pairs', which linear equations give."""
AS_THEY_COME = ("width=128", "rbf.size=32", "gating.experts=10")  # a published network has others
DEEPSET_X = (
    *AS_THEY_COME,
    *("model=deepset_x", "model.width=8", "model.layers=2", "model.basis_size=8"),
)
DEEPSET_X_2 = (*DEEPSET_X, "model=deepset_x_2")
SCHNET = (*AS_THEY_COME, "model=schnet", "model.width=8", "model.layers=2", "model.basis_size=8")
VISNET = (*AS_THEY_COME, "model=visnet", "model.width=8", "model.layers=2", "model.basis_size=8")
_LESS = {"nequip": ("model.degree=1",), "mace": ("model.degree=2", "model.correlation=2")}
_SMALL = ("model.width=8", "model.layers=2", "model.basis_size=6")
FOREIGN = {
    kind: (*AS_THEY_COME, f"model={kind}_small", *_SMALL, *_LESS.get(kind, ()))
    for kind in ("tmd_et", "tmd_tensornet", "painn", "tensornet", "nequip", "mace")
}
"""Kind -> a network of another package, smaller than its small one so that tests are quick."""


def run(
    *overrides: str, on_epoch: Callable[[Epoch], object] = lambda _: None, **options: Any
) -> Outcome:
    """Train it; later overrides win."""
    (outcome,) = run_seeds(*overrides, seeds=None, on_epoch=on_epoch, **options)
    return outcome


def run_seeds(
    *overrides: str,
    seeds: Sequence[int] | None,
    on_epoch: Callable[[Epoch], object] = lambda _: None,
    **options: Any,
) -> list[Outcome]:
    """Train it with several seeds at once."""
    lines = [[]] if seeds is None else [[f"seed={seed}"] for seed in seeds]
    wanted = [experiment([*OVERRIDES, *overrides, *line]) for line in lines]
    return train(wanted, on_epoch=lambda _, row: on_epoch(row), **options)


def prepared(*overrides: str) -> tuple[Setup, Config]:
    """It before its first step, its tables and labels in torch's default type.

    In float64 two ways to compute the same agree to 1e-10 after a step or two. In float32 they part
    after a few: Adam divides each gradient by its own size, so one that is rounding alone moves a
    parameter as far as any other.
    """
    config = experiment([*OVERRIDES, *overrides]).config
    setup = prepare(config)
    dtype = torch.get_default_dtype()

    def converted(tables: Tables) -> Tables:
        tensors = {key: getattr(tables, key) for key in tables._tensor_fields()}
        values: dict[str, Any] = {
            key: value.to(dtype) for key, value in tensors.items() if value.is_floating_point()
        }
        return replace(tables, **values)

    for name, part in setup.parts.items():
        forces = tuple(of_table.to(dtype) for of_table in part.forces)
        tables = part.tables.change(converted)
        setup.parts[name] = LabelledTables(tables, part.energy.to(dtype), forces)
    return setup, config


def script_validation(monkeypatch: pytest.MonkeyPatch, losses: Sequence[float]) -> None:
    """Let the validation loss of each epoch be the next of these, also in a run that goes on."""
    validate = SingleOptimisation.validate

    def scripted(self: SingleOptimisation) -> list[Measured]:
        steps = int(self.optimizer.steps[0])
        epoch = steps // math.ceil(len(self.setup.parts["train"]) / self.config.trainer.batch_size)
        return [measured._replace(loss=losses[epoch - 1]) for measured in validate(self)]

    monkeypatch.setattr(SingleOptimisation, "validate", scripted)


def metrics(folder: RunFolder) -> pd.DataFrame:
    """metrics.csv as text, so that equal means every digit, without the time it took."""
    return pd.read_csv(folder.metrics, dtype=str).drop(columns="seconds")


def last(folder: RunFolder) -> dict[str, Any]:
    """The last checkpoint without the time it took."""
    content = torch.load(folder.last, weights_only=True)
    del content["seconds"], content["share"], content["started"]
    return content


def assert_identical(a: Any, b: Any) -> None:
    """Bit for bit, through dictionaries and lists."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_identical(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_identical(x, y)
    else:
        assert a == b


def assert_same_run(a: RunFolder, b: RunFolder) -> None:
    """Everything but the time: metrics, parameters, the optimiser's state, the final numbers."""
    pd.testing.assert_frame_equal(metrics(a), metrics(b))
    assert_identical(last(a), last(b))
    assert untimed(a.result()) == untimed(b.result())


def untimed(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the time it took."""
    times = ("wall_seconds", "started")
    return {key: v for key, v in result.items() if key not in times}


def asked(*overrides: str) -> list[str]:
    """OVERRIDES and these in their place: what a person types, each key once."""
    last = dict(line.lstrip("+").split("=", 1) for line in (*OVERRIDES, *overrides))
    return [f"{key}={value}" for key, value in last.items()]
