"""The gate of the mixture of experts: which expert serves which distance."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DistanceGate(nn.Module):
    """w_g(d) = softmax_g(1 / max(|d - t_g|, 1e-8)) with one learned distance t_g per expert.

    With `top_k` the softmax is over the k largest logits and the other weights are zero; the
    weights then jump where an expert enters or leaves the kept ones. The logits have a pole at
    d = t_g, so the weights have a cusp there. One expert gives w = 1.
    """

    def __init__(self, n_experts: int, top_k: int | None = None) -> None:
        super().__init__()
        self.thresholds = nn.Parameter(0.01 * torch.randn(n_experts))
        self.top_k = top_k

    def forward(self, d: Tensor) -> Tensor:
        """(...) distances in angstrom -> (..., G) weights that sum to 1."""
        logits = 1.0 / (d[..., None] - self.thresholds).abs().clamp_min(1e-8)
        if self.top_k is not None:
            smallest_kept = logits.topk(self.top_k, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < smallest_kept, -torch.inf)
        return logits.softmax(dim=-1)
