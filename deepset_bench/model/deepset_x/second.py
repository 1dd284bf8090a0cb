"""DeepSet X with a second sum over neighbours, of what each of them knows of its own neighbours.

After one block x_j depends on all that is near atom j. Every atom sends it, and sums what it gets,
with filters of the distance (Schuett et al. 2017, arXiv 1706.08566) and in directions, as MACE does
in its second layer (Batatia et al. 2022, arXiv 2206.07697):

    h_j          = LN(x_j) H + b
    A'_i[lm,f]   = sum_j Y_lm(u_ij) (phi(d_ij) S_l)[f] h_j[f]
    B_i[lm]     <- B_i[lm] K_l + ((T'_l t_i) * A'_i[lm]) M_l,      x_i += B_i[00]

Blocks and readout follow as in `deepset_bench.model.deepset_x.network`. An atom sees others up to
twice the cutoff away, through those between.

L = 3, and Gaussians of x = exp(-d/2), d in angstrom, lie closer and are narrower where d is short
and energies are steep:

    phi_k(d)     = f(d) exp(-(x(d) - x_k)^2 / (2 w^2))
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepset_bench.model.batches import Batch
from deepset_bench.model.deepset_x.network import (
    NEGLIGIBLE,
    Block,
    DeepSetX,
    Sum,
    linear,
    normal,
    scaled,
)
from deepset_bench.model.deepset_x.sphere import summed
from deepset_bench.variants import model


@model("deepset_x_2", forms=("fused",), reads=("pairs",))
class DeepSetX2(DeepSetX):
    """See the module's docstring for the equations; arguments are those of DeepSetX."""

    degree = 3
    decay = 0.5

    def __init__(self, width: int, layers: int, basis_size: int, cutoff: float) -> None:
        super().__init__(width, layers, basis_size, cutoff)
        degrees = self.degree + 1
        self.first = Block(width, self.degree, last=False)
        self.sent = nn.Sequential(nn.LayerNorm(width, eps=NEGLIGIBLE), nn.Linear(width, width))
        # About half of the Gaussians are of some size at any one distance.
        self.filters = normal(basis_size, degrees * width, terms=basis_size // 2)
        self.kept = normal(degrees, width, width, terms=2 * width)
        self.second = normal(degrees, width, width, terms=2 * width)
        self.second_scale = nn.Linear(self.target.embedding_dim, degrees * width)

    def energies(
        self, B: Tensor, numbers: Tensor, pair_energies: Tensor, sum_over: Sum | None = None
    ) -> Tensor:
        """See DeepSetX; `sum_over` is not to be left out."""
        assert sum_over is not None
        x, B = self.first(*self.begin(B, numbers))
        A = scaled(sum_over(self.sent(x)), self.second_scale(self.target(numbers)))
        B = linear(B, self.kept) + linear(A, self.second)
        return self.finish(x + B[0], B, pair_energies)

    def of_pairs(self, phi: Tensor, Y: Tensor, batch: Batch, species: Tensor) -> Tensor:
        """See DeepSetX."""
        r = torch.where(batch.pair[..., None], phi @ self.filters, 0.0)
        A = self.sums(phi, Y, batch)

        def sum_over(h: Tensor) -> Tensor:
            of_j = batch.of_neighbours(h)[..., None, :]
            return summed(Y, r.unflatten(-1, (-1, self.width)) * of_j)

        energies: Tensor = self(A, batch.numbers, species, sum_over)
        return energies

    def pair_form(self, species: Tensor) -> nn.Module:
        """What is left of it once trained; see `deepset_bench.model.deepset_x.deployed_x`."""
        from deepset_bench.model.deepset_x.deployed_x import DeployedDeepSetX2

        return DeployedDeepSetX2(self, species)
