"""SAGEConv (Table 3)."""

from __future__ import annotations

from torch import nn

from deepset_bench.variants import graph_layer


@graph_layer("sage", draws_by_edge=False, of_neighbours=True)
def sage(width: int, aggregation: str) -> nn.Module:
    """PyG's; `aggregation` over neighbours is mean, max or sum."""
    # Here, because it takes longer than everything else that a run without graph layers imports.
    from torch_geometric.nn import SAGEConv

    return SAGEConv(width, width, aggr=aggregation)
