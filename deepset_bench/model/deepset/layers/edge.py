"""EdgeConv (Tables 4 and 5)."""

from __future__ import annotations

from torch import nn

from deepset_bench.variants import graph_layer


@graph_layer("edge", draws_by_edge=False, of_neighbours=True)
def edge(width: int, aggregation: str) -> nn.Module:
    """PyG's, with a perceptron of one hidden layer; `aggregation` is mean, max or sum."""
    from torch_geometric.nn import EdgeConv

    mlp = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
    return EdgeConv(mlp, aggr=aggregation)
