"""AdamW: a step of n runs' parameters, each at its own learning rate.

Loshchilov and Hutter 2019. The arithmetic is torch's own kernel, and a checkpoint holds what
`torch.optim.AdamW(..., fused=True)` of one vector of parameters would put there. That class is left
out because to make one imports PyTorch's compiler, which a short run does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

EPSILON, BETAS = 1e-8, (0.9, 0.999)  # torch's own


class AdamW:
    """The optimiser of n runs.

    Args:
        parameters: (P,) of each run; they are changed in place.
        rate: the learning rate to begin with.
        weight_decay: of all of them.
    """

    def __init__(self, parameters: Sequence[Tensor], rate: float, weight_decay: float) -> None:
        self.parameters, self.weight_decay = list(parameters), weight_decay
        self.rates = [rate] * len(self.parameters)
        self.first = [torch.zeros_like(one) for one in self.parameters]
        self.second = [torch.zeros_like(one) for one in self.parameters]
        device = self.parameters[0].device
        self.steps = [torch.zeros((), dtype=torch.float32, device=device) for _ in self.parameters]

    def step(self, gradients: Sequence[Tensor], rates: Sequence[float]) -> None:
        """Change the parameters by (P,) gradients, a run at a time."""
        self.rates = list(rates)
        runs = zip(
            *(self.parameters, gradients, self.first, self.second, self.steps, rates), strict=True
        )
        for parameters, gradient, first, second, steps, rate in runs:
            steps.add_(1)
            torch._fused_adamw_(
                [parameters],
                [gradient],
                [first],
                [second],
                [],
                [steps],
                lr=rate,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=self.weight_decay,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )

    def state(self, run: int) -> dict[str, Any]:
        """What a checkpoint of one run holds, in torch's form."""
        moments = {
            "step": self.steps[run].clone(),
            "exp_avg": self.first[run].clone(),
            "exp_avg_sq": self.second[run].clone(),
        }
        group = {
            "lr": self.rates[run],
            "betas": BETAS,
            "eps": EPSILON,
            "weight_decay": self.weight_decay,
            "amsgrad": False,
            "maximize": False,
            "foreach": None,
            "capturable": False,
            "differentiable": False,
            "fused": True,
            "decoupled_weight_decay": True,
            "params": [0],
        }
        return {"state": {0: moments}, "param_groups": [group]}

    def restore(self, run: int, state: dict[str, Any]) -> None:
        """Go on from `state`, whoever wrote it.

        Raises:
            LookupError, TypeError, ValueError, RuntimeError: it is of other parameters.
        """
        (group,) = state["param_groups"]
        if group["params"] != [0]:
            raise ValueError("its optimiser had a state for each parameter")
        moments = state["state"][0]
        self.rates[run] = float(group["lr"])
        self.steps[run].copy_(moments["step"])
        self.first[run].copy_(moments["exp_avg"])
        self.second[run].copy_(moments["exp_avg_sq"])
