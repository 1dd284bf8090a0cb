"""Atom features to atomic energies: gated equivariant blocks, or directions left out."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from deepset_bench.model import gated
from deepset_bench.variants import readout


def safe_norm(v: Tensor, dim: int) -> Tensor:
    """|v| along `dim`, with gradient zero (instead of NaN) where v is exactly zero."""
    square = (v * v).sum(dim)
    zero = square == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, square).sqrt())


class GatedEquivariantBlock(nn.Module):
    """Mix invariant X (N, F) and equivariant V (N, 3, F) features (PaiNN 2021, TorchMD-Net 2022).

    v1 = |V W_1|, v2 = V W_2;  [y ; q] = MLP([X ; v1]);  X' = y (SiLU(y) unless last);  V' = q * v2.
    """

    def __init__(self, width_in: int, width_out: int, *, last: bool) -> None:
        super().__init__()
        self.vector_norm = nn.Linear(width_in, width_in, bias=False)
        self.vector_out = nn.Linear(width_in, width_out, bias=False)
        hidden, out = nn.Linear(2 * width_in, width_in), nn.Linear(width_in, 2 * width_out)
        self.mlp = nn.Sequential(hidden, nn.SiLU(), out)
        self.activation = nn.Identity() if last else nn.SiLU()
        for layer in (self.vector_norm, self.vector_out, hidden, out):
            nn.init.xavier_uniform_(layer.weight)
        for layer in (hidden, out):
            nn.init.zeros_(layer.bias)

    def forward(self, X: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
        """(N, F_in), (N, 3, F_in) -> (N, F_out), (N, 3, F_out)."""
        v1 = safe_norm(self.vector_norm(V), dim=-2)
        v2 = self.vector_out(V)
        yq = self.mlp(torch.cat([X, v1], dim=-1))
        # TorchScript differentiates slices; chunks it does not.
        y, q = yq[..., : yq.shape[-1] // 2], yq[..., yq.shape[-1] // 2 :]
        return self.activation(y), q[..., None, :] * v2

    def hidden(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the hidden layer does with X, (F_in, F_in), and with v1, and its bias."""
        layer = cast("nn.Linear", self.mlp[0])
        of_X, of_v1 = layer.weight.chunk(2, dim=1)
        return of_X, of_v1, layer.bias


@readout("equivariant")
class EquivariantReadout(nn.Module):
    """e_i from X_i and V_i through two gated blocks, F -> F/2 -> 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = GatedEquivariantBlock(width, width // 2, last=False)
        self.second = GatedEquivariantBlock(width // 2, 1, last=True)

    def forward(self, X: Tensor, V: Tensor) -> Tensor:
        """(N, F), (N, 3, F) -> (N,) dimensionless atomic energies."""
        energy, _ = self.second(*self.first(X, V))
        return energy.squeeze(-1)

    def first_maps(self) -> tuple[Tensor, Tensor]:
        """The maps that come first: (F + F/2, F) of V and (F, F) of X."""
        of_V = torch.cat([self.first.vector_norm.weight, self.first.vector_out.weight])
        return of_V, self.first.hidden()[0]

    def with_gradient(self, V: Tensor, X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Energies (N,) and their gradients by what the first maps made of V and X.

        The same function as `forward`, for a fast form; see `deepset_bench.model.gated`.
        """
        _, H, b = self.first.hidden()
        H_x2, H_n2, b_2 = self.second.hidden()
        out, out_2 = (cast("nn.Linear", block.mlp[2]) for block in (self.first, self.second))
        blocks = gated.Blocks(
            *(H, b, out.weight, out.bias, self.second.vector_norm.weight),
            *(H_x2, H_n2, b_2, out_2.weight[0], out_2.bias[0]),
        )
        return gated.with_gradient(V, X, blocks)


@readout("invariant")
class InvariantReadout(nn.Module):
    """e_i from X_i alone: what is left of the potential when atoms do not see directions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [width, width, width // 2, 1]
        layers = [nn.Linear(n, m) for n, m in pairwise(sizes)]
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        first, second, last = layers
        self.mlp = nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)

    def forward(self, X: Tensor, V: Tensor) -> Tensor:
        """(N, F), (N, 3, F), of which only the first is read, -> (N,) dimensionless."""
        energy: Tensor = self.mlp(X)
        return energy.squeeze(-1)
