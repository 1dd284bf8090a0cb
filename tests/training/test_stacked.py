"""Seeds trained as one model are the runs they would have been alone, to rounding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepset_bench.config import experiment
from deepset_bench.training.train import train

from .tiny import OVERRIDES, last

pytestmark = pytest.mark.usefixtures("tiny")
SHORT = ("trainer.epochs=2", "trainer.schedule.warmup_steps=2", "trainer.learning_rate=1e-4")


def runs(tmp_path, *overrides: str, stacked: bool, n: int = 3, **options):
    where = f"runs_dir={tmp_path}/{'stacked' if stacked else 'alone'}"
    wanted = experiment([*OVERRIDES, *SHORT, *overrides, where, f"stack={n}"]).seeds()
    if stacked:
        return train(wanted, **options)
    return [train([one], **options)[0] for one in wanted]


def assert_close(a, b, rtol: float = 2e-4) -> None:
    """Parameters, moments and metrics after eight small steps.

    Rounding of 1e-7 grows where Adam divides small gradients by small moments; a step of another
    run's data, rate or order would show in the first digits.
    """
    one, other = last(a.folder), last(b.folder)
    assert one.keys() == other.keys()
    for name, expected in other["potential"].items():
        np.testing.assert_allclose(one["potential"][name], expected, rtol=rtol, atol=2e-6)
    assert one["optimizer"]["state"].keys() == other["optimizer"]["state"].keys()
    for index, expected in other["optimizer"]["state"].items():
        assert one["optimizer"]["state"][index]["step"] == expected["step"]
        scale = float(expected["exp_avg"].abs().max())
        difference = one["optimizer"]["state"][index]["exp_avg"] - expected["exp_avg"]
        assert float(difference.abs().max()) <= 1e-3 * scale + 1e-9
    rows = [pd.read_csv(run.folder.metrics).drop(columns="seconds") for run in (a, b)]
    np.testing.assert_allclose(*rows, rtol=rtol)


@pytest.mark.parametrize(
    "variant",
    [[], ["condition=report", "scalars=cub_sqrt"], ["trainer.weight_decay=0.1", "gating.top_k=1"]],
    ids=["corrected", "report", "decay"],
)
def test_each_is_the_run_alone(tmp_path, variant):
    together, apart = (runs(tmp_path, *variant, stacked=s) for s in (True, False))
    for one, other in zip(together, apart, strict=True):
        assert_close(one, other)
        assert one.result["run"] == other.result["run"]
        assert one.result["metrics"].keys() == other.result["metrics"].keys()
    assert len({str(one.result["metrics"]) for one in together}) == 3


def test_a_stacked_run_goes_on_stacked_or_alone(tmp_path):
    def stop(folder, row):
        if row.epoch == 1 and folder.path.name == "seed-2":
            raise KeyboardInterrupt

    whole = runs(tmp_path / "whole", stacked=True)
    for name, stacked in (("stacked", True), ("alone", False)):
        # One member short of a checkpoint: they go on apart, each from where it stands.
        with pytest.raises(KeyboardInterrupt):
            runs(tmp_path / name, stacked=True, on_epoch=stop)
        (tmp_path / name / "alone").mkdir(exist_ok=True)
        if not stacked:
            (tmp_path / name / "alone").rmdir()
            (tmp_path / name / "stacked").rename(tmp_path / name / "alone")
        resumed = runs(tmp_path / name, stacked=stacked)
        for one, other in zip(resumed, whole, strict=True):
            assert_close(one, other)


def test_one_that_diverges_leaves_the_others_alone(tmp_path, monkeypatch):
    """Seed 1 gets an infinite label; seeds 0 and 2 train as if it were not there."""
    from deepset_bench.training import train as module

    real = module.prepare

    def prepare(config):
        setup = real(config)
        if config.seed == 1:
            setup.parts["train"].energy[0] = float("inf")
        return setup

    apart = runs(tmp_path, stacked=False)
    monkeypatch.setattr(module, "prepare", prepare)
    together = runs(tmp_path, stacked=True)
    assert [one.result["status"] for one in together] == ["done", "diverged", "done"]
    for number in (0, 2):
        assert_close(together[number], apart[number])


def test_graph_layers_are_trained_one_after_another(tmp_path):
    outcomes = runs(tmp_path, "gnn=sage", stacked=True, n=2)
    assert all(one.result["status"] == "done" for one in outcomes)
    assert "not stacked: the number of edges" in outcomes[0].folder.log.read_text()
