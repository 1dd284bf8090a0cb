"""A name that no code knows is an error wherever it is looked up: it never gets another's path."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.model.build import build_model
from deepset_bench.model.energy_reference import fit_reference, identified
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.schema import Config
from deepset_bench.training.compiled import wants_compiling
from deepset_bench.training.loss import make_loss
from deepset_bench.training.schedule import LearningRate
from deepset_bench.training.selecting import rank
from deepset_bench.training.setup import build_potential, choose_device, prepare
from deepset_bench.training.step import Measured
from deepset_bench.validation import choices
from tests import toy
from tests.training.tiny import DEEPSET_X, OVERRIDES

SPECIES = torch.tensor([1, 6])


def with_kind(key: str, *overrides: str) -> Config:
    """A configuration with a kind that does not exist, which `validate` has not seen."""
    config = experiment([*OVERRIDES, *overrides]).config
    names = key.split(".")
    owners: list[Any] = [config]
    for name in names[:-1]:
        owners.append(getattr(owners[-1], name))
    value: Any = "gin"
    for owner, name in zip(reversed(owners), reversed(names), strict=True):
        value = dataclasses.replace(owner, **{name: value})
    assert isinstance(value, Config)
    return value


def rate(config: Config) -> float:
    return LearningRate(config.trainer, 100).at(50)


def kept_epoch(config: Config) -> float:
    """The rule of an epoch, as training asks for it."""
    trivial = {ENERGY_MAE: 1.0, FORCES_MAE: 1.0}
    return rank(config.trainer, trivial, 1, Measured(1.0, 1.0, 1.0))


USES: dict[str, tuple[tuple[str, ...], Callable[[Config], object]]] = {
    "model.kind": (DEEPSET_X, build_model),
    "gnn.kind": (("gnn=sage",), build_model),
    "rbf.kind": ((), build_model),
    "gating.kind": ((), build_model),
    "envelope": ((), build_model),
    "readout": ((), build_model),
    "form": ((), lambda config: build_potential(config, SPECIES, 1.0)),
    "condition.units": ((), lambda config: build_potential(config, SPECIES, 1.0)),
    "condition.energy_loss": ((), lambda config: make_loss(config, 1.0, 1.0)),
    "trainer.loss_units": ((), lambda config: make_loss(config, 1.0, 1.0)),
    "energy_error": ((), lambda config: make_loss(config, 1.0, 1.0)),
    "trainer.schedule.kind": ((), rate),
    "condition.edges": (("gnn=sage",), lambda config: config.every_second),
    "condition.labels": ((), prepare),
    "data.split": ((), prepare),
    "reference.kind": ((), prepare),
    "pairs": (DEEPSET_X, prepare),
    "init_reference": ((), prepare),
    "compile": ((), wants_compiling),
    "trainer.select": ((), kept_epoch),
    "device": ((), lambda config: choose_device(config.device)),
}
ELSEWHERE = {
    "aggregation": "of torch_geometric, which raises",
    "logger.wandb": "any other than offline is what wandb makes of it",
    "width_budget": "null or not",
}


def test_every_choice_is_looked_up_somewhere():
    assert {*USES, *ELSEWHERE} == set(choices())


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("key", USES)
def test_an_unknown_kind_is_an_error_where_it_is_used(key):
    overrides, use = USES[key]
    with pytest.raises(UserError, match="gin"):
        use(with_kind(key, *overrides))


def test_an_unknown_reference_is_an_error():
    frames = toy.frames(2, 3)
    with pytest.raises(UserError, match=r"reference\.kind=mean is not known here; choose from"):
        fit_reference("mean", frames)
    with pytest.raises(UserError, match=r"reference\.kind=mean"):
        identified("mean", np.ones((1, 2)), np.ones((1, 2)))
    with pytest.raises(UserError, match=r"condition\.labels=both"):
        frames.labelled_forces("both")


@pytest.mark.usefixtures("tiny")
def test_an_aggregation_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="gin"):
        build_model(with_kind("aggregation", "gnn=sage"))
