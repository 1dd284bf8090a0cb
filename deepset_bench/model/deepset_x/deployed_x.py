"""A trained DeepSet X: what a neighbour gives to an atom's functions is splines of its distance.

    B_i[lm,f] = (T_l t_i)[f] sum_j Y_lm(u_ij) r_lf(d_ij),   r_lf(d) = sum_k (s_z R_l)[k,f] phi_k(d)

with z the neighbour's species. The pair potential is a spline for each pair of species, and the
filters of a second sum are the same for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from deepset_bench.model.deepset_x.network import DeepSetX, Sum
from deepset_bench.model.deepset_x.second import DeepSetX2
from deepset_bench.model.deepset_x.sphere import harmonics, summed
from deepset_bench.model.splines import Splines, kinds_of, tolerance_of


class DeployedDeepSetX(nn.Module):
    """The same atomic energies as the network's.

    Args:
        model: trained.
        species: (s,) atomic numbers that occur.

    Attributes:
        local: whether they depend on an atom's own neighbours alone.
    """

    local = True
    kind: Tensor

    def __init__(self, model: DeepSetX, species: Tensor) -> None:
        super().__init__()
        self.model, self.n_species = model, len(species)
        self.register_buffer("kind", kinds_of(species))
        radial = (model.source(species) @ model.radial).unflatten(-1, (-1, model.width))
        self.radial = splines(model, radial.permute(1, 2, 0, 3).flatten(2))  # (s, K, (L + 1) F)
        self.pairs = splines(model, model.pairs.view(self.n_species**2, -1, 1))

    def forward(
        self, numbers: Tensor, centres: Tensor, neighbours: Tensor, vectors: Tensor, pair: Tensor
    ) -> Tensor:
        """See `deepset_bench.deployment.function.AtomicEnergies`."""
        d = vectors.norm(dim=-1)
        Y = torch.where(
            pair[..., None], harmonics(vectors / d[..., None], self.model.degree), 0.0
        )  # (N, J, M)
        kind = self.kind[numbers]
        one, other = kind[centres][:, None], kind[neighbours]
        own = self.pairs(one * self.n_species + other, d).squeeze(-1)
        r = self.radial(other, d).unflatten(-1, (-1, self.model.width))
        pair_energies = torch.where(pair, own, 0.0).sum(-1) / 2
        again = self._sum_over(Y, neighbours, d)
        return self.model.energies(summed(Y, r), numbers[centres], pair_energies, again)

    def _sum_over(self, Y: Tensor, neighbours: Tensor, d: Tensor) -> Sum | None:
        """How neighbours are summed over again, where the network does so."""
        return None


class DeployedDeepSetX2(DeployedDeepSetX):
    """The same of a network with a second sum."""

    local = False

    def __init__(self, model: DeepSetX2, species: Tensor) -> None:
        super().__init__(model, species)
        self.filters = splines(model, model.filters[None])

    def _sum_over(self, Y: Tensor, neighbours: Tensor, d: Tensor) -> Sum:
        r = self.filters(torch.zeros_like(neighbours), d).unflatten(-1, (-1, self.model.width))
        return lambda h: summed(Y, r * h[neighbours][..., None, :])


def splines(model: DeepSetX, weights: Iterable[Tensor]) -> Splines:
    """Of sum_k phi_k(d) W_kc, of a (K, C) W for each kind."""
    functions = [partial(_expanded, model, W.double()) for W in weights]
    dtype = model.radial.dtype
    return Splines(functions, model.cutoff, tolerance_of(dtype), dtype)


def _expanded(model: DeepSetX, W: Tensor, d: Tensor) -> Tensor:
    """(n,) -> (n, C)."""
    return model.basis(d) @ W
