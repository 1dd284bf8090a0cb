"""The optimiser is torch's fused AdamW, in numbers and in what a checkpoint holds."""

from __future__ import annotations

import pytest
import torch

from deepset_bench.training.adamw import AdamW

from .tiny import assert_identical

DECAY = 0.02


def parameters(n: int) -> torch.Tensor:
    return torch.randn(n, 50, generator=torch.Generator().manual_seed(n))


def gradients(number: int) -> torch.Tensor:
    return torch.randn(3, 50, generator=torch.Generator().manual_seed(100 + number))


def torch_s(values: torch.Tensor) -> torch.optim.AdamW:
    values.grad = torch.zeros_like(values)
    return torch.optim.AdamW([values], lr=1e-3, weight_decay=DECAY, fused=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_torch_s_bit_for_bit(dtype):
    """Several runs, each at a rate of its own; each goes on from a checkpoint of the other."""
    stacked = parameters(3).to(dtype)
    alone = [one.clone() for one in stacked]
    ours = AdamW(list(stacked), 1e-3, DECAY)
    theirs = [torch_s(one) for one in alone]
    for number in range(6):
        if number == 3:  # from checkpoints, each by the other
            theirs = [torch_s(one) for one in alone]
            before = AdamW(list(stacked), 1e-3, DECAY)
            for run, one in enumerate(theirs):
                one.load_state_dict(ours.state(run))
                before.restore(run, one.state_dict())
            ours = before
        rates = [1e-3 * (run + 1) / (number + 1) for run in range(3)]
        found = gradients(number).to(dtype)
        ours.step(list(found), rates)
        for one, optimiser, gradient, rate in zip(alone, theirs, found, rates, strict=True):
            one.grad = gradient.clone()
            optimiser.param_groups[0]["lr"] = rate
            optimiser.step()
        for run in range(3):
            assert torch.equal(stacked[run], alone[run])
            assert_identical(ours.state(run), theirs[run].state_dict())


def test_what_is_of_other_parameters_is_refused():
    ours = AdamW([parameters(1)[0]], 1e-3, DECAY)
    state = ours.state(0)
    state["param_groups"][0]["params"] = [0, 1]
    with pytest.raises(ValueError, match="for each parameter"):
        ours.restore(0, state)
