"""Sets too large for their tables, or for memory, are trained on as any other: the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.model import labelled
from deepset_bench.model.labelled import LabelledFrames
from deepset_bench.molecules import mapped, selected
from deepset_bench.training.setup import Setup, prepare
from deepset_bench.training.step import with_targets

from .test_sizes import MANY, many
from .tiny import DEEPSET_X, OVERRIDES, metrics, run, run_seeds

__all__ = ["many"]


@pytest.fixture
def large(monkeypatch):
    """Makes every set a large one."""

    def begin() -> None:
        monkeypatch.setattr(labelled, "KEPT", {"cpu": 0})
        monkeypatch.setattr(selected, "LARGE", 0)

    return begin


def assert_same(one: Setup, other: Setup) -> None:
    """Whether batches of every part, and what stands beside them, are equal to the last bit."""
    assert one.baselines == other.baselines
    for name, part in one.parts.items():
        assert isinstance(other.parts[name], LabelledFrames)
        assert other.parts[name].counts == part.counts
        chosen = torch.randperm(len(part), generator=torch.Generator().manual_seed(1))[:5]
        batches = (with_targets(s.parts[name], s.loss, chosen) for s in (one, other))
        for (batch, target), (made, its_target) in zip(*batches, strict=True):
            wanted, found = batch.tensors() | target, made.tensors() | its_target
            assert wanted.keys() == found.keys()
            for key, value in wanted.items():
                assert torch.equal(value, found[key]), key


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "overrides",
    [(), DEEPSET_X, ("condition=report", "gnn=sage"), ("form=reference",)],
    ids=["baseline", "deepset_x", "every_second", "reference"],
)
def test_batches_of_a_large_set_are_those_of_tables_that_are_kept(large, overrides):
    config = experiment([*OVERRIDES, *overrides]).config
    kept = prepare(config)
    large()
    assert_same(kept, prepare(config))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("variant", ["gnn=sage", "rbf=x2_x4_log"])
def test_what_kept_tables_save_changes_rounding_alone(large, variant):
    """Kinds of atoms and fewer functions are found in tables that are kept."""
    config = experiment([*OVERRIDES, variant]).config
    kept = prepare(config)
    large()
    made = prepare(config)
    predicted = []
    for setup in (kept, made):
        ((batch, _),) = with_targets(setup.parts["train"], setup.loss, torch.arange(6))
        predicted.append(setup.potential.eval()(batch))
    for one, other in zip(*(p[:2] for p in predicted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_so_are_those_of_frames_of_many_sizes(large, many):
    config = experiment([*OVERRIDES, *MANY]).config
    kept = prepare(config)
    large()
    assert_same(kept, prepare(config))


@pytest.mark.usefixtures("tiny")
def test_a_run_on_a_mapped_set_is_that_on_the_set_in_memory(large, tmp_path, monkeypatch):
    frames = catalogue.load("tiny")
    before = run("trainer.epochs=2", f"runs_dir={tmp_path}/before")
    large()
    monkeypatch.setattr(mapped, "LARGE", 0)
    catalogue.register("tiny", frames, {"method": "toy"}, force=True)
    assert isinstance(catalogue.load("tiny").positions, np.memmap)
    after = run("trainer.epochs=2", f"runs_dir={tmp_path}/after")
    assert metrics(after.folder).equals(metrics(before.folder))
    for key in ("metrics", "baselines", "best_epoch", "data_verdict"):
        assert after.result[key] == before.result[key]


@pytest.mark.usefixtures("tiny")
def test_seeds_on_a_large_set_are_trained_one_after_another(large, tmp_path):
    large()
    outcomes = run_seeds("trainer.epochs=1", f"runs_dir={tmp_path}", seeds=[0, 1])
    assert "not stacked: tables of a set this large" in outcomes[0].folder.log.read_text()
