"""Variants with as many parameters as the baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
import torch

from deepset_bench import config
from deepset_bench.config import experiment
from deepset_bench.config_file import determinants, load_config
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.model.build import build_model, width_of
from deepset_bench.runs import run_folder
from deepset_bench.schema import Baseline, Config, Gating
from tests.study.folders import write


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
    assert width_of(experiment(["width_budget=parameters", "width=64"]).config) == 64


@pytest.fixture
def other_default(monkeypatch) -> Iterator[Callable[[], None]]:
    """Call it, and the default has 40 experts, as a later version's may."""

    def change() -> None:
        monkeypatch.setattr(config, "_baseline", lambda: Baseline(gating=Gating(40, None)))
        config._experiment.cache_clear()

    yield change
    config._experiment.cache_clear()


UNDER_A_BUDGET = ("gnn=sage", "width_budget=parameters")


def test_a_run_under_a_budget_is_one_of_the_defaults_of_its_day(other_default, tmp_path):
    lines = [*UNDER_A_BUDGET, f"runs_dir={tmp_path}", "condition=corrected"]
    before, free = experiment(lines), experiment(["gnn=sage"])
    folder = write(tmp_path, lines, 0, 0.02)
    other_default()
    now = experiment(lines)
    assert width_of(now.config) > width_of(before.config)
    assert now.identity("data") != before.identity("data")
    assert experiment(["gnn=sage"]).identity("data") == free.identity("data")
    # One folder's name, and nobody takes the earlier run in it for the later one.
    assert run_folder(now).path == folder.path
    reason = folder.another(now, catalogue.checksums(now.config.sets))
    assert reason == "budget_of.gating.experts was 10, is now 40"
    # The earlier one is still built as it was trained.
    assert width_of(load_config(folder.config)) == width_of(before.config)
    later = write(tmp_path, lines, 1, 0.02)
    assert width_of(load_config(later.config)) == width_of(now.config)
    assert load_config(later.config).budget_of.gating.experts == 40
    reason = later.another(before, catalogue.checksums(now.config.sets))
    assert reason == "budget_of.gating.experts was 40, is now 10"


def test_runs_under_a_budget_of_the_first_versions_are_what_they_were():
    """Neither config.yaml nor the identity of theirs says what the defaults were."""
    made = experiment(UNDER_A_BUDGET).config
    first = dataclasses.replace(made, budget_of=Baseline())
    assert not any(key.startswith("budget_of") for key in determinants(first))
    assert width_of(first) == 118


def test_the_budget_is_of_the_defaults_and_nobody_sets_it():
    usual = experiment([]).config
    made = experiment(["model=schnet", "width_budget=parameters"]).config
    for key in dataclasses.fields(Baseline):
        assert getattr(made.budget_of, key.name) == getattr(usual, key.name)
    with pytest.raises(UserError, match=r"unknown group or key 'budget_of\.rbf\.size'"):
        experiment([*UNDER_A_BUDGET, "budget_of.rbf.size=64"])


def test_a_budget_leaves_the_initial_parameters_alone():
    torch.manual_seed(0)
    one = build_model(experiment(["width=16"]).config)
    torch.manual_seed(0)
    other = build_model(experiment(["width=16", "width_budget=parameters"]).config)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
