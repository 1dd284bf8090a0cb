"""The gate of the mixture of experts: which expert serves which distance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepset_bench.variants import gate


@gate("distance")
class DistanceGate(nn.Module):
    """w_g(d) = softmax_g(1 / max(|d - t_g|, 1e-8)) with one learned distance t_g per expert.

    With `top_k` the softmax is over the k largest logits and the other weights are zero; the
    weights then jump where an expert enters or leaves the kept ones. The logits have a pole at
    d = t_g, so the weights have a cusp there. One expert gives w = 1.
    """

    def __init__(self, experts: int, top_k: int | None = None) -> None:
        super().__init__()
        self.thresholds = nn.Parameter(0.01 * torch.randn(experts))
        self.top_k = top_k

    def forward(self, d: Tensor) -> Tensor:
        """(...) distances in angstrom -> (..., G) weights that sum to 1."""
        return self._weights(1.0 / (d[..., None] - self.thresholds).abs().clamp_min(1e-8))

    def _weights(self, logits: Tensor) -> Tensor:
        if self.top_k is not None:
            smallest_kept = logits.topk(self.top_k, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < smallest_kept, -torch.inf)
        return logits.softmax(dim=-1)

    def with_slope(self, d: Tensor) -> tuple[Tensor, Tensor]:
        """The weights and their derivative by d, per angstrom, each (..., G).

        dw_g/dd = w_g (l'_g - sum_h w_h l'_h) with l'_g = -sign(d - t_g) l_g^2 of the logits l.
        """
        difference = d[..., None] - self.thresholds
        distance = difference.abs()
        logits = 1.0 / distance.clamp_min(1e-8)
        slopes = torch.where(distance < 1e-8, 0.0, -difference.sign() * logits * logits)
        w = self._weights(logits)
        return w, w * (slopes - (w * slopes).sum(-1, keepdim=True))
