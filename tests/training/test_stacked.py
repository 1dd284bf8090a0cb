"""Several seeds trained as one model are the runs that each would be alone."""

from __future__ import annotations

import pandas as pd
import pytest

from deepset_bench.training import stacked
from deepset_bench.training import train as training
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import assert_same_run, run, run_seeds

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


@pytest.mark.parametrize(
    "overrides", [(), ("scalars=cub_sqrt", "gating=top_k"), ("condition=report",)]
)
def test_stacked_seeds_are_each_what_it_would_be_alone(overrides, stacks, tmp_path):
    """To float32's rounding, which 16 steps hardly amplify."""
    together = run_seeds(*overrides, f"runs_dir={tmp_path}/together", seeds=SEEDS)
    assert stacks == [3]
    for seed, outcome in zip(SEEDS, together, strict=True):
        alone = run(*overrides, f"seed={seed}", f"runs_dir={tmp_path}/alone")
        assert outcome.result["run"] == alone.result["run"]
        assert outcome.result["baselines"] == alone.result["baselines"]
        a, b = (pd.read_csv(o.folder.metrics).drop(columns="seconds") for o in (outcome, alone))
        pd.testing.assert_frame_equal(a, b, rtol=1e-4)
        assert outcome.result["metrics"]["test"] == pytest.approx(
            alone.result["metrics"]["test"], rel=1e-3
        )


def test_a_stack_goes_on_bit_for_bit(stacks, tmp_path):
    """Killed in the first epoch's last record: no run has a checkpoint of epoch 2 yet."""
    whole = run_seeds(f"runs_dir={tmp_path}/whole", seeds=SEEDS)
    with pytest.raises(Killed):
        run_seeds(f"runs_dir={tmp_path}/cut", seeds=SEEDS, on_epoch=stop_at(2))
    cut = run_seeds(f"runs_dir={tmp_path}/cut", seeds=SEEDS)
    assert stacks == [3, 3, 3]
    for a, b in zip(whole, cut, strict=True):
        assert_same_run(a.folder, b.folder)


def test_what_is_done_is_not_trained_with_the_rest(stacks):
    first = run("seed=1")
    outcomes = run_seeds(seeds=SEEDS)
    assert [outcome.already_done for outcome in outcomes] == [False, True, False]
    assert outcomes[1].result == first.result
    assert stacks == [2]


@pytest.mark.parametrize("overrides", [("gnn=sage",), ("condition.edges=every_second",)])
def test_what_cannot_be_stacked_is_trained_one_after_another(overrides, stacks, tmp_path):
    together = run_seeds(*overrides, seeds=SEEDS[:2])
    assert stacks == []
    alone = run(*overrides, "seed=1", f"runs_dir={tmp_path}/alone")
    assert_same_run(together[1].folder, alone.folder)
    assert "not stacked: " in together[1].folder.log.read_text()
