"""Several seeds trained as one model are the runs that each would be alone."""

from __future__ import annotations

import pandas as pd
import pytest

from deepset_bench.training import stacked
from deepset_bench.training import train as training
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import DEEPSET_X, SCHNET, assert_same_run, run, run_seeds

pytestmark = pytest.mark.usefixtures("tiny")

SEEDS = [0, 1, 2]


@pytest.fixture
def stacks(monkeypatch) -> list[int]:
    """How many runs each stack that was made had."""
    made: list[int] = []

    class Counted(stacked.StackedOptimisation):
        def __init__(self, setups, *args, **options):
            made.append(len(setups))
            super().__init__(setups, *args, **options)

    monkeypatch.setattr(training, "StackedOptimisation", Counted)
    return made


@pytest.mark.usefixtures("two_molecules")
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("data=two", "energy_error=atom"),
        ("scalars=cub_sqrt",),
        ("condition=report",),
        ("gnn=sage", "trainer.epochs=2"),
        DEEPSET_X,
    ],
)
def test_stacked_seeds_are_each_what_it_would_be_alone(overrides, stacks, tmp_path):
    """To float32's rounding, which steps amplify: by ten where nothing cuts messages off smoothly.

    (Not with top-k gating: its weights jump, and rounding decides on which side a pair falls.)
    """
    together = run_seeds(*overrides, f"runs_dir={tmp_path}/together", seeds=SEEDS)
    assert stacks == [3]
    for seed, outcome in zip(SEEDS, together, strict=True):
        alone = run(*overrides, f"seed={seed}", f"runs_dir={tmp_path}/alone")
        assert outcome.result["run"] == alone.result["run"]
        assert outcome.result["baselines"] == alone.result["baselines"]
        a, b = (pd.read_csv(o.folder.metrics).drop(columns="seconds") for o in (outcome, alone))
        pd.testing.assert_frame_equal(a[:2], b[:2], rtol=1e-5)
        pd.testing.assert_frame_equal(a, b, rtol=1e-4)
        assert outcome.result["metrics"]["test"] == pytest.approx(
            alone.result["metrics"]["test"], rel=1e-4
        )


def test_a_stack_goes_on_bit_for_bit(stacks, tmp_path):
    """Killed at the first run's row of epoch 2: no run has a checkpoint of it yet."""
    whole = run_seeds(f"runs_dir={tmp_path}/whole", seeds=SEEDS)
    with pytest.raises(Killed):
        run_seeds(f"runs_dir={tmp_path}/cut", seeds=SEEDS, on_epoch=stop_at(2))
    cut = run_seeds(f"runs_dir={tmp_path}/cut", seeds=SEEDS)
    assert stacks == [3, 3, 3]
    for a, b in zip(whole, cut, strict=True):
        assert_same_run(a.folder, b.folder)
        for outcome in (a, b):
            seconds = pd.read_csv(outcome.folder.metrics)["seconds"].iloc[-1]
            assert outcome.result["stack"] == 3
            assert outcome.result["wall_seconds"] == pytest.approx(seconds / 3, abs=2e-3)


def test_what_is_done_is_not_trained_with_the_rest(stacks):
    first = run("seed=1")
    outcomes = run_seeds(seeds=SEEDS)
    assert [outcome.already_done for outcome in outcomes] == [False, True, False]
    assert outcomes[1].result == first.result
    assert stacks == [2]
    assert [outcome.result["stack"] for outcome in outcomes] == [2, 1, 2]


@pytest.mark.parametrize("overrides", [("gnn=gat",), ("condition.edges=every_second",), SCHNET])
def test_what_cannot_be_stacked_is_trained_one_after_another(overrides, stacks, tmp_path):
    together = run_seeds(*overrides, seeds=SEEDS[:2])
    assert stacks == []
    alone = run(*overrides, "seed=1", f"runs_dir={tmp_path}/alone")
    assert_same_run(together[1].folder, alone.folder)
    assert "not stacked: " in together[1].folder.log.read_text()


@pytest.mark.parametrize("epoch", [2, 3])
def test_killed_between_two_runs_checkpoints_of_an_epoch(epoch, stacks, tmp_path):
    """The runs then stand at different epochs and go on one after another, to the same end."""
    whole = run_seeds(f"runs_dir={tmp_path}/whole", seeds=SEEDS[:2])
    rows: list[int] = []

    def stop_in_the_second(row):
        rows.append(row.epoch)
        if rows.count(epoch) == 2:
            raise Killed

    with pytest.raises(Killed):
        run_seeds(f"runs_dir={tmp_path}/cut", seeds=SEEDS[:2], on_epoch=stop_in_the_second)
    cut = run_seeds(f"runs_dir={tmp_path}/cut", seeds=SEEDS[:2])
    assert stacks == [2, 2]
    for a, b in zip(whole, cut, strict=True):
        x, y = (pd.read_csv(o.folder.metrics).drop(columns="seconds") for o in (a, b))
        pd.testing.assert_frame_equal(x, y, rtol=1e-3)


def test_a_run_that_diverges_leaves_the_others_alone(stacks, monkeypatch, tmp_path):
    """A NaN in one run's labels never reaches another's parameters."""
    whole = run_seeds(f"runs_dir={tmp_path}/whole", seeds=SEEDS)
    prepare = training.prepare

    def spoil(config):
        setup = prepare(config)
        if config.seed == 1:
            setup.parts["train"].energy.fill_(float("nan"))
        return setup

    monkeypatch.setattr(training, "prepare", spoil)
    spoilt = run_seeds(f"runs_dir={tmp_path}/spoilt", seeds=SEEDS)
    assert stacks == [3, 3]
    assert [o.result["status"] for o in spoilt] == ["done", "diverged", "done"]
    assert "training loss of epoch 1 is nan" in spoilt[1].result["reason"]
    for number in (0, 2):
        assert_same_run(whole[number].folder, spoilt[number].folder)
