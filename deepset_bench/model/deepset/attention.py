"""PyG's GATConv with draws that do not depend on the order of edges, and over padded tables."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu
from torch_geometric.nn import GATConv

from deepset_bench.model.batches import Batch
from deepset_bench.model.drawn import NAME, kept


class Attention(GATConv):
    """Heads side by side of sum_j a_ij W x_j, a = softmax_j LeakyReLU(s . W x_j + t . W x_i).

    i is one of its own neighbours. While it is trained a_ij is dropped with some probability, by
    the rows of i and j in the batch and by `drawn` (`deepset_bench.model.drawn`), so that both ways
    to compute it drop the same. Velickovic 2018.
    """

    drawn: Tensor

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        # PyG's own loops take the place of the edges from an atom to its images.
        super().__init__(width, width // heads, heads=heads, add_self_loops=False)
        self.register_buffer(NAME, torch.zeros((), dtype=torch.int64), persistent=False)
        self.attention_dropout = dropout

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """(N, F) and (2, E) edges [source j, target i], without those to itself -> (N, F)."""
        loops = torch.arange(len(x), device=x.device).expand(2, -1)
        edges = torch.cat([edge_index, loops], dim=1)

        def dropped(_: Any, given: Any, weights: Tensor) -> Tensor:
            return self._dropped(weights, *edges)

        hook = self.register_edge_update_forward_hook(dropped)
        try:
            found: Tensor = super().forward(x, edges)
        finally:
            hook.remove()
        return found

    def in_tables(self, x: Tensor, batch: Batch) -> Tensor:
        """The same over a batch's padded tables, without lists of edges."""
        N, heads = len(x), self.heads
        values = self.lin(x).view(N, heads, -1)
        of_source, of_target = (
            (values * part).sum(-1) for part in (self.att_src, self.att_dst)
        )  # (N, heads)
        rows = torch.arange(N, device=x.device)[:, None]
        pair = batch.pair[..., None]

        logits = leaky_relu(
            batch.of_neighbours(of_source) + of_target[:, None], self.negative_slope
        )
        own = leaky_relu(of_source + of_target, self.negative_slope)[:, None]  # (N, 1, heads)
        logits = torch.cat([torch.where(pair, logits, -torch.inf), own], dim=1)
        sources = torch.cat([batch.neighbours, rows], dim=1)
        weights = self._dropped(logits.softmax(dim=1), sources, rows)  # (N, J + 1, heads)
        of_neighbours, of_own = weights[:, :-1], weights[:, -1]
        if batch.dense:
            J = pair.shape[1]
            a = of_neighbours.unflatten(0, (-1, J)).permute(0, 3, 1, 2)  # (B, heads, J, J)
            v = values.unflatten(0, (-1, J)).transpose(1, 2)  # (B, heads, J, F / heads)
            summed = (a @ v).transpose(1, 2).flatten(0, 1)
        else:
            summed = (of_neighbours[..., None] * batch.of_neighbours(values)).sum(1)
        return (summed + of_own[..., None] * values).flatten(1) + self.bias

    def _dropped(self, weights: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """(..., heads) weights of edges, some of them zero while the layer is trained."""
        if not self.training:
            return weights
        heads = torch.arange(self.heads, device=weights.device)
        places = source[..., None], target[..., None], heads
        return weights * kept(self.attention_dropout, self.drawn, *places).to(weights.dtype)
