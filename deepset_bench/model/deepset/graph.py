"""Graph layers over species embeddings, as in Section 4.2 of the report.

They see which atoms lie within the cutoff, but no distances: h_i changes only when the set of
edges changes, so it contributes nothing to the forces and jumps where a pair crosses the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class GraphLayers(nn.Module):
    """h = SiLU(Conv(x, edges)), repeated `n_layers` times.

    Args:
        make: makes one layer, F -> F.
        n_layers: how many.
        draws_by_edge: whether padded edges would change what a layer does; see
            `deepset_bench.variants.graph_layer`.
        of_neighbours: whether atoms in like surroundings are given the same; see there.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        n_layers: int,
        *,
        draws_by_edge: bool = True,
        of_neighbours: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make() for _ in range(n_layers))
        self.activation = nn.SiLU()
        self.draws_by_edge = draws_by_edge
        self.of_neighbours = of_neighbours

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """(N, F) embeddings and (2, E) edges [source j, target i] -> (N, F)."""
        for layer in self.layers:
            x = self.activation(layer(x, edge_index))
        return x
