"""A trained DeepSet X: what a neighbour gives to an atom's functions is splines of its distance.

    B_i[lm,f] = (T_l t_i)[f] sum_j Y_lm(u_ij) r_lf(d_ij),   r_lf(d) = sum_k (s_z R_l)[k,f] phi_k(d)

with z the neighbour's species; and the pair potential is one more function for each pair of them.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from deepset_bench.model.deepset_x.network import DeepSetX
from deepset_bench.model.deepset_x.sphere import by_degree, harmonics
from deepset_bench.model.splines import Splines, kinds_of, tolerance_of


class DeployedDeepSetX(nn.Module):
    """The same atomic energies as the network's.

    Args:
        model: trained.
        species: (s,) atomic numbers that occur.
    """

    kind: Tensor

    def __init__(self, model: DeepSetX, species: Tensor) -> None:
        super().__init__()
        self.model, self.n_species = model, len(species)
        self.register_buffer("kind", kinds_of(species))
        radial = (model.source(species) @ model.radial).double()  # (L + 1, s, K F)
        pairs = model.pairs.double().view(self.n_species, self.n_species, -1)  # (s, s, K)
        functions = [
            partial(_functions, model, radial[:, other], pairs[one, other])
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
        r, own = found.split([found.shape[-1] - 1, 1], dim=-1)
        parts = [  # (2 l + 1, N, F); a product, so that r is computed once for all m
            (Y_l.movedim(0, 1) @ r_l).movedim(1, 0)
            for Y_l, r_l in zip(
                by_degree(Y.movedim(-1, 0)), r.split(self.model.width, dim=-1), strict=True
            )
        ]
        pair_energy = torch.where(pair, own.squeeze(-1), 0.0).sum(-1) / 2
        return self.model.energies(torch.cat(parts), numbers[centres], pair_energy)


def _functions(model: DeepSetX, radial: Tensor, pairs: Tensor, d: Tensor) -> Tensor:
    """(n, (L + 1) F + 1) r_l,f and the pair potential at (n,) distances, of (L + 1, K F), (K,)."""
    phi = model.basis(d)
    r = phi @ radial.view(model.degree + 1, phi.shape[-1], model.width)  # (L + 1, n, F)
    return torch.cat([r.movedim(0, 1).flatten(1), phi @ pairs[:, None]], dim=-1)
