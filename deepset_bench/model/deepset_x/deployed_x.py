"""A trained DeepSet X: what a neighbour gives to an atom's functions is splines of its distance.

    B_i[lm,f] = (T_l t_i)[f] sum_j Y_lm(u_ij) r_lf(d_ij),   r_lf(d) = sum_k (s_z R_l)[k,f] phi_k(d)

with z the neighbour's species; and the pair potential is one more function for each pair of them.
Filters of a second sum are splines, too.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from deepset_bench.model.deepset_x.network import DeepSetX
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
        radial = (model.source(species) @ model.radial).double()  # (L + 1, s, K F)
        radial = radial.unflatten(-1, (-1, model.width))
        pairs = model.pairs.double().view(self.n_species, self.n_species, -1)  # (s, s, K)
        functions = [
            partial(self._functions, radial[:, other], pairs[one, other, :, None])
            for one, other in product(range(self.n_species), repeat=2)
        ]
        dtype = model.radial.dtype
        self.splines = Splines(functions, model.cutoff, tolerance_of(dtype), dtype)

    def forward(
        self, numbers: Tensor, centres: Tensor, neighbours: Tensor, vectors: Tensor, pair: Tensor
    ) -> Tensor:
        """See `deepset_bench.deployment.function.AtomicEnergies`."""
        d = vectors.norm(dim=-1)
        Y = torch.where(
            pair[..., None], harmonics(vectors / d[..., None], self.model.degree), 0.0
        )  # (N, J, M)
        kind = self.kind[numbers]
        found = self.splines(kind[centres][:, None] * self.n_species + kind[neighbours], d)
        terms = (self.model.degree + 1) * self.model.width
        r, own, more = found.tensor_split([terms, terms + 1], dim=-1)
        pair_energies = torch.where(pair, own.squeeze(-1), 0.0).sum(-1) / 2
        B = summed(Y, r.unflatten(-1, (-1, self.model.width)))
        return self._energies(B, numbers[centres], pair_energies, Y, more, neighbours)

    def _functions(self, radial: Tensor, pairs: Tensor, d: Tensor) -> Tensor:
        """(n, ...) r_lf and the pair potential at (n,) distances, of (L + 1, K, F), (K, 1)."""
        phi = self.model.basis(d)
        return torch.cat([(phi @ radial).movedim(0, 1).flatten(1), phi @ pairs], dim=-1)

    def _energies(self, *given: Tensor) -> Tensor:
        B, numbers, pair_energies, *_ = given
        return self.model.energies(B, numbers, pair_energies)


class DeployedDeepSetX2(DeployedDeepSetX):
    """The same of a network with a second sum, whose filters are splines, too."""

    local = False
    model: DeepSetX2

    def _functions(self, radial: Tensor, pairs: Tensor, d: Tensor) -> Tensor:
        filters = self.model.basis(d) @ self.model.filters.double()
        return torch.cat([super()._functions(radial, pairs, d), filters], dim=-1)

    def _energies(self, *given: Tensor) -> Tensor:
        B, numbers, pair_energies, Y, more, neighbours = given
        r = more.unflatten(-1, (-1, self.model.width))

        def sum_over(h: Tensor) -> Tensor:
            return summed(Y, r * h[neighbours][..., None, :])

        return self.model.energies(B, numbers, pair_energies, sum_over)
