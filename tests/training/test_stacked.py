"""Several seeds trained as one model are the runs that each would be alone."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.molecules.frames import Frames
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.training import checkpoint, compiled, stacked
from deepset_bench.training import train as training
from deepset_bench.training.stacked import StackedOptimisation
from deepset_bench.training.step import SingleOptimisation
from deepset_bench.training.train import Outcome
from tests import toy
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import (
    DEEPSET_X,
    DEEPSET_X_2,
    EVEN,
    OVERRIDES,
    SCHNET,
    assert_same_run,
    prepared,
    run,
    run_seeds,
    untimed,
)

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


@pytest.mark.usefixtures("two_molecules", "float64")
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("data=two", "energy_error=atom"),
        ("scalars=cub_sqrt", "gating.top_k=1"),
        ("condition=report",),
        ("gnn=sage",),
        ("gnn=gat",),
        DEEPSET_X,
        DEEPSET_X_2,
    ],
)
def test_stacked_seeds_are_each_what_it_would_be_alone(overrides):
    """Losses, errors, parameters, and the optimiser's state; at rates of their own.

    A run that leaves the stack and goes on alone takes the step that it would have taken in it.
    """
    lines = [(*overrides, f"seed={seed}") for seed in SEEDS]
    setups, configs = zip(*(prepared(*line) for line in lines), strict=True)
    together = StackedOptimisation(setups, configs, compile_steps=False, say=pytest.fail)
    alone = [single(*line) for line in lines]
    rates = [1e-3, 2e-3, 3e-3]

    def step(runs: list[SingleOptimisation], number: int) -> None:
        frames = [torch.arange(number + seed, number + seed + 6) for seed in SEEDS]
        found = together.train(frames, rates)
        for one, chosen, rate, measured in zip(runs, frames, rates, found, strict=True):
            assert_close(measured, one.train([chosen], [rate])[0])

    for number in (0, 5):
        step(alone, number)
    assert_close(together.validate(), [one.validate()[0] for one in alone])
    departed = [single(*line) for line in lines]
    for number, (one, other) in enumerate(zip(alone, departed, strict=True)):
        state, expected = together.state(number), one.state(0)
        assert_close(state["potential"], expected["potential"])
        assert_close(state["optimizer"]["state"], expected["optimizer"]["state"])
        assert_close(state["averages"], expected["averages"])
        other.restore(0, state)
    step(departed, 10)


@pytest.mark.usefixtures("float64")
def test_without_a_compiler_a_stack_goes_on_uncompiled(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no compiler found\nat all")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx_inner", broken)
    said: list[str] = []
    setup, config = prepared()
    stack = StackedOptimisation([setup], [config], compile_steps=True, say=said.append)
    alone = single()
    for frames in torch.arange(12).split(6):
        assert_close(stack.train([frames], [1e-3])[0], alone.train([frames], [1e-3])[0])
    assert said == ["not compiled: no compiler found"]


@pytest.mark.parametrize("version", ["2.12.1", "2.15.0+cpu", "3.0.0a0+git1"])
def test_another_torch_traces_nothing(version, stacks, monkeypatch):
    """Its private interfaces may be others."""
    monkeypatch.setattr(torch, "__version__", version)
    together = run_seeds("trainer.epochs=1", "compile=true", seeds=[0, 1])
    assert stacks == []
    log = together[0].folder.log.read_text()
    reason = f"torch {version} is not of the versions 2.13 to 2.14"
    assert f"not stacked: {reason}" in log
    assert f"not compiled: {reason}" in log


def test_the_versions_are_those_that_are_installed():
    content = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (first, end) = (".".join(map(str, version)) for version in compiled.TESTED)
    assert f"torch>={first},<{end}" in content["project"]["dependencies"]


def single(*overrides: str) -> SingleOptimisation:
    return SingleOptimisation(*prepared(*overrides), compile_steps=False, say=pytest.fail)


def assert_close(a: Any, b: Any) -> None:
    """To the rounding of float64 and what Adam makes of it in three steps."""
    torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10, check_dtype=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[Outcome]:
    """Three seeds that nothing interrupted."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(home / "data"))
        patch.setenv("BENCH_RUNS", str(home / "runs"))
        catalogue.register("tiny", toy.frames(3, 60, bias=0.5), {"method": "analytic"})
        return run_seeds(EVEN, seeds=SEEDS)


def test_results_are_those_of_runs_alone(whole):
    """But for the numbers that rounding has a part in, of which the test above speaks."""
    alone = run(EVEN, "seed=1").result
    assert alone.keys() == whole[1].result.keys()
    for key in ("run", "baselines", "variant", "epochs", "parameters"):
        assert alone[key] == whole[1].result[key]


def test_a_stack_goes_on_bit_for_bit(whole, stacks):
    """Killed at the first run's row of epoch 2: no run has a checkpoint of it yet."""
    with pytest.raises(Killed):
        run_seeds(EVEN, seeds=SEEDS, on_epoch=stop_at(2))
    cut = run_seeds(EVEN, seeds=SEEDS)
    assert stacks == [3, 3]
    for a, b in zip(whole, cut, strict=True):
        assert_same_run(a.folder, b.folder)
        for outcome in (a, b):
            seconds = pd.read_csv(outcome.folder.metrics)["seconds"].iloc[-1]
            assert outcome.result["stack"] == 3
            assert outcome.result["wall_seconds"] == pytest.approx(seconds / 3, abs=2e-3)


def test_what_is_done_is_not_trained_with_the_rest(stacks):
    first = run(EVEN, "seed=1")
    outcomes = run_seeds(EVEN, seeds=SEEDS)
    assert [outcome.already_done for outcome in outcomes] == [False, True, False]
    assert outcomes[1].result == first.result
    assert stacks == [2]
    assert [outcome.result["stack"] for outcome in outcomes] == [2, 1, 2]


@pytest.mark.parametrize("overrides", [("condition.edges=every_second",), SCHNET])
def test_what_cannot_be_stacked_is_trained_one_after_another(overrides, stacks, tmp_path):
    together = run_seeds(*overrides, seeds=SEEDS[:2])
    assert stacks == []
    alone = run(*overrides, "seed=1", f"runs_dir={tmp_path}/alone")
    assert_same_run(together[1].folder, alone.folder)
    assert "not stacked: " in together[1].folder.log.read_text()


def test_seeds_whose_parts_differ_in_size_are_not_stacked(stacks, tmp_path):
    """Whole molecules are drawn for each part: one seed's validation part is smaller."""
    sizes = enumerate((10, 14, 18, 40, 40))
    molecules = [replace(toy.frames(3, n, k), molecule=np.full(n, f"m{k}")) for k, n in sizes]
    catalogue.register("isomers", Frames.concatenate(molecules), {"method": "analytic"})
    drawn = ("data.split=molecule", "data.train_size=30", "data.val_size=30", "data.test_size=10")
    words = ("data=isomers", *drawn, "trainer.batch_size=30", "trainer.epochs=1")
    together = run_seeds(*words, seeds=SEEDS[:2])
    divisions = [Split.load(outcome.folder.split) for outcome in together]
    assert len({len(division.val) for division in divisions}) == 2
    assert stacks == []
    assert "not stacked: their parts differ in" in together[1].folder.log.read_text()
    assert_same_run(together[1].folder, run(*words, "seed=1", f"runs_dir={tmp_path}/alone").folder)


def killed_between_checkpoints(does: str, times: int, *overrides: str) -> None:
    """Train and be killed once so many of three runs' checkpoints of epoch 2 are there."""
    do, done = getattr(checkpoint, does), []

    def die(path, *content):
        if path.name.startswith("last"):
            done.append(path)
            if len(done) == 3 + times:  # three are of epoch 1
                raise Killed
        do(path, *content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, does, die)
        with pytest.raises(Killed):
            run_seeds(EVEN, *overrides, seeds=SEEDS)


BETWEEN = [("save", 2), ("_come_in", 1), ("_come_in", 2)]


@pytest.mark.parametrize(("does", "times"), BETWEEN)
def test_killed_between_two_runs_checkpoints_of_an_epoch(does, times, whole, stacks):
    """Then all runs have the checkpoint, or none: they go on as the stack, bit for bit."""
    killed_between_checkpoints(does, times)
    cut = run_seeds(EVEN, seeds=SEEDS)
    assert stacks == [3, 3]
    for a, b in zip(whole, cut, strict=True):
        assert_same_run(a.folder, b.folder)
        assert not checkpoint.waiting(b.folder.last).exists()


def test_a_checkpoint_that_waits_is_taken_by_a_run_that_goes_on_alone():
    with pytest.raises(Killed):
        run_seeds(EVEN, seeds=SEEDS, on_epoch=stop_at(2))
    first = run_folder(experiment([*OVERRIDES, EVEN, "seed=0"]))
    first.last.rename(checkpoint.waiting(first.last))
    epochs: list[int] = []
    run(EVEN, "seed=0", on_epoch=lambda row: epochs.append(row.epoch))
    assert epochs == [2, 3, 4]
    assert not checkpoint.waiting(first.last).exists()


def test_killed_while_results_are_written(whole, monkeypatch):
    """What is left was of a stack of three."""
    write = RunFolder.write_result

    def die(folder, result):
        if folder.path.name == "seed-1":
            raise Killed
        write(folder, result)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_result", die)
        with pytest.raises(Killed):
            run_seeds(EVEN, seeds=SEEDS)
    cut = run_seeds(EVEN, seeds=SEEDS)
    assert [outcome.already_done for outcome in cut] == [True, False, False]
    for a, b in zip(whole, cut, strict=True):
        assert_same_run(a.folder, b.folder)


@pytest.fixture
def second_diverges(monkeypatch) -> None:
    """A NaN in the labels of the run of seed 1."""
    prepare = training.prepare

    def spoil(config, start=None):
        setup = prepare(config, start)
        if config.seed == 1:
            setup.parts["train"].energy.fill_(float("nan"))
        return setup

    monkeypatch.setattr(training, "prepare", spoil)


@pytest.mark.usefixtures("second_diverges")
def test_a_run_that_diverges_leaves_the_others_alone(whole, stacks, tmp_path):
    """A NaN in one run's labels never reaches another's parameters, nor does it after a kill."""
    spoilt = run_seeds(EVEN, seeds=SEEDS)
    assert stacks == [3]
    assert [o.result["status"] for o in spoilt] == ["done", "diverged", "done"]
    assert "training loss of epoch 1 is nan" in spoilt[1].result["reason"]
    for number in (0, 2):
        assert_same_run(whole[number].folder, spoilt[number].folder)

    with pytest.raises(Killed):
        run_seeds(EVEN, f"runs_dir={tmp_path}/cut", seeds=SEEDS, on_epoch=stop_at(3))
    cut = run_seeds(EVEN, f"runs_dir={tmp_path}/cut", seeds=SEEDS)
    assert stacks == [3, 3, 3]
    for a, b in zip(spoilt, cut, strict=True):
        assert untimed(a.result) == untimed(b.result)


@pytest.mark.usefixtures("second_diverges")
@pytest.mark.parametrize(("does", "times"), BETWEEN)
def test_killed_between_checkpoints_with_a_run_that_has_diverged(does, times, whole, stacks):
    """Its epochs stay behind, and the others go on as the stack all the same."""
    killed_between_checkpoints(does, times)
    cut = run_seeds(EVEN, seeds=SEEDS)
    assert stacks == [3, 3]
    assert [outcome.result["status"] for outcome in cut] == ["done", "diverged", "done"]
    for number in (0, 2):
        assert_same_run(whole[number].folder, cut[number].folder)
