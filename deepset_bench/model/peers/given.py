"""Neighbours for networks of other packages, which would look for their own.

They are given the edges of the batch in the place of positions, and find them where they look for
neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepset_bench.denormals import without_tails
from deepset_bench.errors import UserError

Graph = tuple[Tensor, Tensor]
"""edge_index (2, E) rows [j, i] and vectors r_i - r_j (E, 3), in the place of positions."""


class Given(nn.Module):
    """In the place of a neighbour search."""

    def forward(self, graph: Graph, atoms: Tensor) -> tuple[Tensor, Tensor]:
        """(2, E) edges and (E,) distances."""
        edge_index, vectors = graph
        return edge_index, vectors.norm(dim=-1)


class GivenWithLoops(nn.Module):
    """In the place of a search that makes each atom a neighbour of its own, too.

    Args:
        network: the option of `model` that takes an edge from an atom to itself for such a loop.
    """

    def __init__(self, network: str) -> None:
        super().__init__()
        self.network = network

    def forward(self, graph: Graph, atoms: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
        """(2, E + N) edges, (E + N,) distances, (E + N, 3) vectors r_j - r_i.

        In an exported program the distance of a pair of an atom with its own image is NaN.

        Raises:
            UserError: there is such a pair.
        """
        edge_index, vectors = graph
        own = edge_index[0] == edge_index[1]
        traced = type(edge_index) is not Tensor  # a stand-in, which has no numbers
        if not traced and bool(own.any()):
            raise UserError(
                f"model={self.network} leaves out pairs of an atom with an image of itself, so it "
                "takes no cell smaller than the cutoff; choose another model or a smaller cutoff"
            )
        # The norm of a loop is zero and has no gradient.
        loops = vectors.new_zeros(atoms.shape[0], 3)
        distances = torch.where(own, torch.nan, vectors.norm(dim=-1))
        edge_index = torch.cat([edge_index, atoms.expand(2, -1)], dim=1)
        return edge_index, torch.cat([distances, loops[:, 0]]), torch.cat([-vectors, loops])


def cut_tails(module: nn.Module, given: object, functions: Tensor) -> Tensor:
    """A forward hook of a radial basis: numbers that are too small to matter are zero."""
    return without_tails(functions)
