"""Draws that are a hash of the step and the place."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import chisquare, pearsonr

from deepset_bench.model.drawn import kept, of_step, set_drawn, uniform

I, J = torch.arange(200)[:, None], torch.arange(150)  # noqa: E741


def drawn(seed: int, step: int, part: int = 0) -> torch.Tensor:
    return torch.tensor(of_step(seed, step, part))


def test_they_are_uniform():
    """Always the same numbers, so this cannot fail by chance."""
    found = uniform(drawn(0, 0), I, J).flatten().numpy()
    counts, _ = np.histogram(found, bins=100, range=(0, 1))
    assert counts.sum() == len(found)
    assert chisquare(counts).pvalue > 1e-3


def test_neighbouring_places_steps_and_seeds_have_nothing_in_common():
    first = uniform(drawn(0, 0), I, J)
    others = [uniform(drawn(*of), I, J) for of in ((0, 1), (1, 0), (0, 0, 1))]
    others += [first.roll(1, 0), first.roll(1, 1), uniform(drawn(0, 0), J[:150], I)]
    for other in others:
        assert abs(pearsonr(first.flatten(), other.flatten()).statistic) < 4 / first.numel() ** 0.5


def test_a_place_has_its_number_in_any_order():
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    whole = uniform(drawn(3, 7), I, J)
    assert torch.equal(uniform(drawn(3, 7), I[order], J), whole[order])
    assert torch.equal(uniform(drawn(3, 7), I[5, 0], J[9]), whole[5, 9])


def test_what_is_kept_is_so_on_average():
    factors = kept(0.1, drawn(0, 0), I, J)
    assert set(factors.unique().tolist()) == {0.0, factors.max().item()}
    assert factors.max().item() == np.float32(1 / 0.9)
    error = (0.1 / 0.9 / factors.numel()) ** 0.5
    assert abs(factors.mean().item() - 1.0) < 4 * error


def test_buffers_are_told_apart_by_name():
    buffers = {"a.drawn": torch.tensor(0), "a.other": torch.tensor(0), "drawn": torch.tensor(0)}
    set_drawn(buffers, 5)
    assert [int(b) for b in buffers.values()] == [5, 0, 5]
