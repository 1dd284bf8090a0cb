"""The composed weights of the fused form, and what graph layers leave to be composed per atom."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from deepset_bench.model.deepset.network import DeepSet


class Composed(NamedTuple):
    """gamma, all that precedes it and the experts, multiplied out.

    W: (G, P + 2 s, F) what acts on the data in A, whose last 2 s columns are z_j and z_i.
    E: (G, F, F) the experts; H_j, H_i: (F, H) what acts on h_j and h_i before; H is 0 without.
    """

    W: Tensor
    E: Tensor
    H_j: Tensor
    H_i: Tensor


def compose(
    model: DeepSet, numbers: Tensor, h: Tensor | None, expansion: Tensor | None
) -> Composed:
    """The composed weights for s species, or kinds of atoms, with h (s, H) of each."""
    F = model.gamma.out_features
    to_target, to_source, to_edge, to_h = model.gamma.weight.split(
        [F, F, F, model.gamma.in_features - 3 * F], dim=1
    )
    H_i, H_j = to_h.chunk(2, dim=1)  # (F, H)
    edge, radial = model.edge_projection, model.distance_projection
    from_p, from_s = edge.weight[:, :F], edge.weight[:, F:]
    from_rbf = from_p @ torch.cat([radial.weight, radial.bias[:, None]], dim=1)  # C rbf and C
    Q = to_edge @ torch.cat([from_rbf, from_s], dim=1)  # (F, P)
    if expansion is not None:
        Q = Q @ expansion.T
    x = model.embedding(numbers)
    P_j = to_source @ model.source_projection(x).T  # (F, s)
    constant = to_edge @ edge.bias + model.gamma.bias
    P_i = to_target @ model.target_projection(x).T + constant[:, None]
    if h is not None:
        P_j, P_i = P_j + H_j @ h.T, P_i + H_i @ h.T

    E, b = model.experts.weight, model.experts.bias  # (G, F, F), (G, F)
    composed = E @ torch.cat([Q, P_j, P_i], dim=1)  # (G, F, P + 2 s)
    # Each pair has one z_i, so the experts' biases ride on its columns.
    columns = torch.arange(composed.shape[-1], device=b.device)
    of_z_i = columns >= Q.shape[1] + len(numbers)
    composed = composed + b[:, :, None] * of_z_i
    return Composed(composed.mT, E, H_j, H_i)


class Layered(NamedTuple):
    """What the graph layers say of N atoms: h_i is row i of `of_atom @ h`, or of h without that.

    h: (N, H), or (C, H) of each kind of atom; of_atom: (N, C) one-hot.
    """

    h: Tensor
    of_atom: Tensor | None

    def through(self, H: Tensor, rows: slice) -> Tensor:
        """H h_i of n atoms, (n, F)."""
        if self.of_atom is None:
            return self.h[rows] @ H.T
        return self.of_atom[rows] @ (self.h @ H.T)

    def experts(self, E: Tensor, H: Tensor, rows: slice) -> Tensor:
        """E_g H h_i of n atoms, (n, G, F)."""
        every = E.flatten(0, 1).T  # (F, G F)
        if self.of_atom is None:
            found = self.through(H, rows) @ every
        else:
            found = self.of_atom[rows] @ (self.h @ H.T @ every)
        return found.unflatten(1, E.shape[:2])
