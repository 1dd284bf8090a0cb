"""Variants with as many parameters as the baseline."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.model.build import build_model, width_of
from deepset_bench.schema import Config


def count(config: Config) -> int:
    return sum(p.numel() for p in build_model(config).parameters() if p.requires_grad)


def as_wide(config: Config, width: int) -> Config:
    """Without a budget."""
    if config.model.kind == "deepset":
        return dataclasses.replace(config, width=width, width_budget=None)
    model = dataclasses.replace(config.model, width=width)
    return dataclasses.replace(config, model=model, width_budget=None)


@pytest.mark.parametrize(
    ("variant", "width"),
    [
        ("gnn=sage", 128),
        ("gnn=sage3", 128),
        ("gnn=edge", 128),
        ("gnn=gat", 128),
        ("rbf=x2_x4_log", 64),
        ("scalars=all", 64),
        ("gating=single", 64),
        ("model=deepset_x", 64),
        ("model=schnet", 64),
        ("model=visnet", 128),
    ],
)
def test_as_many_parameters_as_the_baseline(variant, width):
    made = experiment([variant, f"width={width}", "width_budget=parameters"])
    assert "width_budget-parameters" in made.variant
    baseline = count(experiment([f"width={width}"]).config)
    chosen = width_of(made.config)
    step = {"gnn=gat": 4, "model=visnet": 8, "model=deepset_x": 1}.get(variant, 2)
    miss = {
        w: abs(count(as_wide(made.config, w)) / baseline - 1)
        for w in (chosen - step, chosen, chosen + step)
    }
    assert abs(count(made.config) / baseline - 1) == miss[chosen] == min(miss.values())
    assert miss[chosen] < 0.03


def test_the_baseline_keeps_its_width():
    config = experiment(["width_budget=parameters", "width=64"]).config
    assert width_of(config) == 64


def test_a_budget_leaves_the_initial_parameters_alone():
    torch.manual_seed(0)
    one = build_model(experiment(["width=16"]).config)
    torch.manual_seed(0)
    other = build_model(experiment(["width=16", "width_budget=parameters"]).config)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
