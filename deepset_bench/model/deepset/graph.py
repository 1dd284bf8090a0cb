"""Graph layers over species embeddings, as in Section 4.2 of the report.

They see which atoms lie within the cutoff, but no distances: h_i changes only when the set of
edges changes, so it contributes nothing to the forces and jumps where a pair crosses the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from deepset_bench.model.batches import Batch
from deepset_bench.model.others import of_shape


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
            x = self.activation(of_shape(layer(x, edge_index), x.shape, layer, x))
        return x

    def of_batch(self, x: Tensor, batch: Batch) -> Tensor:
        """(N, F) embeddings of a batch's atoms -> (N, F).

        A layer may have a method `in_tables(x, batch)`, which does the same without lists of edges.
        """
        if all(hasattr(layer, "in_tables") for layer in self.layers):
            for layer in self.layers:
                found = cast("Any", layer).in_tables(x, batch)
                x = self.activation(of_shape(found, x.shape, layer, x))
            return x
        if self.draws_by_edge:
            return cast("Tensor", self(x, batch.edge_index()))
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])])  # and the atom of padded edges
        return cast("Tensor", self(padded, batch.padded_edge_index()))[:-1]
