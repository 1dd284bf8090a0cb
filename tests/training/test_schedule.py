"""Learning rates: end points, warm-up, and torch's own plateau."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.schema import Schedule, Trainer
from deepset_bench.training.schedule import LearningRate


def rate(kind: str, *, warmup: int = 10, minimum: float = 1e-5, total: int = 100, **plateau):
    schedule = Schedule(kind, warmup, minimum, plateau.get("factor"), plateau.get("patience"))
    trainer = Trainer(5, 20, 1e-3, 0.0, None, 0.2, 0.8, "atomic", schedule)
    return LearningRate(trainer, total)


@pytest.mark.parametrize("kind", ["cosine", "plateau"])
def test_warm_up_rises_linearly_to_the_peak(kind):
    made = rate(kind, factor=0.2, patience=3)
    rates = [made.at(step) for step in range(10)]
    np.testing.assert_allclose(rates, 1e-3 * np.arange(1, 11) / 10, rtol=1e-14)
    assert made.at(10) == 1e-3


def test_without_warm_up_the_first_step_is_at_the_peak():
    assert rate("cosine", warmup=0).at(0) == 1e-3


def test_cosine_ends_at_the_minimum():
    made = rate("cosine")
    assert made.at(100) == pytest.approx(1e-5, rel=1e-12)
    assert made.at(55) == pytest.approx((1e-3 + 1e-5) / 2, rel=1e-12)  # half way
    after = [made.at(step) for step in range(10, 101)]
    assert (np.diff(after) < 0).all()
    expected = 1e-5 + (1e-3 - 1e-5) * np.cos(np.pi * np.arange(91) / 180) ** 2
    np.testing.assert_allclose(after, expected, rtol=1e-10)
    assert made.at(1000) == made.at(100)


def test_a_run_shorter_than_its_warm_up():
    made = rate("cosine", warmup=200, total=8)
    assert [made.at(s) for s in range(8)] == pytest.approx([1e-3 * s / 200 for s in range(1, 9)])


def test_cosine_ignores_losses():
    made = rate("cosine")
    before = made.at(50)
    for _ in range(50):
        made.epoch_ended(1.0)
    assert made.at(50) == before


@settings(max_examples=100, deadline=None)
@given(
    losses=st.lists(st.sampled_from([1.0, 0.9999, 0.99995, 0.5, 0.49999, 2.0, 1e-3]), max_size=60),
    noise=st.integers(0, 2**32 - 1),
    factor=st.sampled_from([0.1, 0.2, 0.5]),
    patience=st.integers(0, 4),
    cut=st.integers(0, 60),
)
def test_plateau_is_torchs_own(losses, noise, factor, patience, cut):
    """ReduceLROnPlateau on the same losses, also when the state went through a checkpoint."""
    smallest = 1e-7
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience, min_lr=smallest, eps=0.0
    )
    ours = rate("plateau", warmup=0, minimum=smallest, factor=factor, patience=patience)
    jitter = np.random.default_rng(noise).uniform(0.9, 1.1, len(losses))
    for number, loss in enumerate(np.array(losses) * jitter):
        if number == cut:
            state, ours = (
                ours.state(),
                rate("plateau", warmup=0, minimum=smallest, factor=factor, patience=patience),
            )
            ours.restore(state)
        assert ours.at(number) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        theirs.step(loss)
        ours.epoch_ended(loss)
    assert ours.at(0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
