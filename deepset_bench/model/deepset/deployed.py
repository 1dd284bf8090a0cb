"""A trained DeepSet without graph layers: its messages are functions of a distance alone.

m_ij depends on the species of i and j and on d_ij, so that all of it up to the sum over neighbours,
embedding, basis, gamma, gate and experts, is F splines for each ordered pair of species.
"""

from __future__ import annotations

import copy
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from deepset_bench.model.deepset.network import DeepSet
from deepset_bench.model.splines import Splines, kinds_of, tolerance_of


class DeployedDeepSet(nn.Module):
    """e_i = readout(X_i, V_i) of X_i = sum_j m(d_ij) and V_i = sum_j u_ij (x) m(d_ij).

    Args:
        model: trained, without graph layers.
        species: (s,) atomic numbers that occur.
    """

    local = True
    kind: Tensor

    def __init__(self, model: DeepSet, species: Tensor) -> None:
        super().__init__()
        exact = copy.deepcopy(model).double()
        functions = [
            partial(_messages, exact, species[[one, other]])
            for one, other in product(range(len(species)), repeat=2)
        ]
        dtype = model.gamma.weight.dtype
        self.splines = Splines(functions, model.cutoff, tolerance_of(dtype), dtype)
        self.register_buffer("kind", kinds_of(species))
        self.readout = model.readout
        self.n_species = len(species)

    def forward(
        self, numbers: Tensor, centres: Tensor, neighbours: Tensor, vectors: Tensor, pair: Tensor
    ) -> Tensor:
        """See `deepset_bench.deployment.function.AtomicEnergies`."""
        d = vectors.norm(dim=-1)
        u = vectors / d[..., None]
        kind = self.kind[numbers]
        m = self.splines(kind[centres][:, None] * self.n_species + kind[neighbours], d)
        m = torch.where(pair[..., None], m, 0.0)  # (N, J, F)
        V = torch.stack([(u[..., a, None] * m).sum(1) for a in range(3)], dim=1)
        energies: Tensor = self.readout(m.sum(1), V)
        return energies


def _messages(model: DeepSet, species: Tensor, d: Tensor) -> Tensor:
    """(n, F) m_ij at (n,) distances between an atom of the first and one of the second species."""
    edges = torch.tensor([[1], [0]]).expand(2, len(d))
    return model.messages(model.embedding(species), None, d, edges)
