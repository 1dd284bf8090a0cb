"""GATConv (Table 6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepset_bench.variants import graph_layer


# Attention dropout: padded edges would change what is drawn.
@graph_layer("gat", divisible_by=4)
def gat(width: int) -> nn.Module:
    """PyG's, 4 heads, concatenated, attention dropout 0.1; attention sums over neighbours."""
    from torch_geometric.nn import GATConv

    # PyG's own loops take the place of the edges from an atom to its images.
    layer = GATConv(width, width // 4, heads=4, dropout=0.1, add_self_loops=False)
    layer.register_forward_pre_hook(_with_loops)
    return layer


def _with_loops(layer: nn.Module, given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """An edge from each atom to itself behind all others."""
    x, edge_index = given
    loops = torch.arange(len(x), device=x.device).expand(2, -1)
    return x, torch.cat([edge_index, loops], dim=1)
