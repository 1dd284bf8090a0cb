"""Graph layers over species embeddings, as in Section 4.2 of the report; the layers are PyG's.

They see which atoms lie within the cutoff, but no distances: h_i changes only when the set of
edges changes, so it contributes nothing to the forces and jumps where a pair crosses the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from deepset_bench.errors import chosen
from deepset_bench.schema import GAT_HEADS


def _layer(kind: str, width_in: int, width: int, aggregation: str) -> nn.Module:
    # Here, because it takes longer than everything else that a run without graph layers imports.
    from torch_geometric.nn import EdgeConv, GATConv, SAGEConv

    def edge() -> nn.Module:
        mlp = nn.Sequential(nn.Linear(2 * width_in, width), nn.SiLU(), nn.Linear(width, width))
        return EdgeConv(mlp, aggr=aggregation)

    makers: dict[str, Callable[[], nn.Module]] = {
        "sage": lambda: SAGEConv(width_in, width, aggr=aggregation),
        "edge": edge,
        "gat": lambda: GATConv(width_in, width // GAT_HEADS, heads=GAT_HEADS, dropout=0.1),
    }
    return chosen("gnn.kind", kind, makers)()


class GraphLayers(nn.Module):
    """h = SiLU(Conv(x, edges)), repeated `n_layers` times.

    Args:
        kind: `sage`, `edge` or `gat` (4 heads, concatenated, attention dropout 0.1).
        aggregation: `mean`, `max` or `sum` over neighbours; GAT's attention always sums.
    """

    def __init__(self, kind: str, width: int, n_layers: int, aggregation: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _layer(kind, width, width, aggregation) for _ in range(n_layers)
        )
        self.activation = nn.SiLU()
        self.draws_by_edge = kind == "gat"  # dropout: padded edges would change what is drawn

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """(N, F) embeddings and (2, E) edges [source j, target i] -> (N, F)."""
        for layer in self.layers:
            x = self.activation(layer(x, edge_index))
        return x
