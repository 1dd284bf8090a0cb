"""GATConv (Table 6)."""

from __future__ import annotations

from torch import nn

from deepset_bench.variants import graph_layer


@graph_layer("gat", divisible_by=4, draws_by_edge=False)
def gat(width: int) -> nn.Module:
    """PyG's, 4 heads, concatenated, attention dropout 0.1; attention sums over neighbours."""
    from deepset_bench.model.deepset.attention import Attention

    return Attention(width, heads=4, dropout=0.1)
