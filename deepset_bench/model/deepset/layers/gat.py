"""GATConv (Table 6)."""

from __future__ import annotations

from torch import nn

from deepset_bench.variants import graph_layer


# Attention dropout: padded edges would change what is drawn.
@graph_layer("gat", divisible_by=4)
def gat(width: int) -> nn.Module:
    """PyG's, 4 heads, concatenated, attention dropout 0.1; attention sums over neighbours."""
    from torch_geometric.nn import GATConv

    return GATConv(width, width // 4, heads=4, dropout=0.1)
