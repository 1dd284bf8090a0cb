"""The same function as `DeepSet.forward`, regrouped: the sum over neighbours comes first.

Between the radial functions and the readout everything is linear in the features, and for one
pair gamma's output is affine in a short vector that no parameter enters,

    g_ij = Q phi_ij + P_j c_j + P_i c_i + q,      phi_ij = [C(d) rbf(d) ; C(d) ; s(d)],

where c_i holds what is known of an atom before it sees a distance: its species (one-hot) and,
with graph layers, h_i. So, with y_ij = [u_ij ; 1] and the expert weights w_ij,

    A_i[a, g, k] = sum_j y_ij[a] w_ij[g] [phi_ij ; c_j][k],    Z_i[a, g] = sum_j y_ij[a] w_ij[g]
    [V_i ; X_i]  = A_i W + Z_i S_i,      W_g = [E_g Q, E_g P_j],    S_i = E_g (P_i c_i + q) + b_g.

No tensor of size E x G x F exists, and W is composed once per call from the parameters of
`DeepSet`, so the state dict and the initialisation are the reference's own. The forces use the
same trick backwards: dE/dA comes from autograd through the readout alone, the chain rule from A
to the positions is written out, because phi and its derivative are data.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepset_bench.data.batches import Batch, with_slope
from deepset_bench.model.deepset import DeepSet
from deepset_bench.model.radial import cosine_cutoff, scalar_features


def pair_features(model: DeepSet, d: Tensor) -> Tensor:
    """phi(d) = [C(d) rbf(d) ; C(d) ; s(d)], (...) -> (..., K + 1 + S)."""
    C = cosine_cutoff(d, model.cutoff)[..., None]
    return torch.cat([C * model.basis(d), C, scalar_features(d, model.scalars)], dim=-1)


def _compose(model: DeepSet, species: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Q (F, P), P_j and P_i (C, F) and q (F,): gamma with all that precedes it multiplied out.

    c = [one-hot species ; h], so the rows of P are a table over species and gamma's share of h.
    """
    F = model.gamma.out_features
    to_target, to_source, to_edge, to_h = model.gamma.weight.split(
        [F, F, F, model.gamma.in_features - 3 * F], dim=1
    )
    edge, radial = model.edge_projection, model.distance_projection
    from_p, from_s = edge.weight[:, :F], edge.weight[:, F:]
    from_rbf = from_p @ torch.cat([radial.weight, radial.bias[:, None]], dim=1)  # C rbf and C
    Q = to_edge @ torch.cat([from_rbf, from_s], dim=1)
    x = model.embedding(species)
    P_j = model.source_projection(x) @ to_source.T
    P_i = model.target_projection(x) @ to_target.T
    if model.gnn is not None:
        to_hi, to_hj = to_h.chunk(2, dim=1)
        P_j, P_i = torch.cat([P_j, to_hj.T]), torch.cat([P_i, to_hi.T])
    q = to_edge @ edge.bias + model.gamma.bias
    return Q, P_j, P_i, q


def energies_and_forces(
    model: DeepSet, batch: Batch, species: Tensor, *, create_graph: bool
) -> tuple[Tensor, Tensor]:
    """Atomic energies and -dE/dr of a batch whose tables were prepared with `pair_features`.

    Args:
        model: the parameters.
        batch: N rows of J neighbour slots, with `features` and `slopes`.
        species: (s,) the atomic numbers that occur.
        create_graph: whether gradients by the parameters will be asked for.

    Returns:
        (N,) dimensionless e_i (padding not masked) and (N, 3) forces per angstrom.
    """
    assert batch.features is not None
    assert batch.slopes is not None
    N, J = batch.pair.shape
    d, u = batch.distances, batch.directions

    w, dw = with_slope(model.weights, d)  # (N, J, G)
    mask = batch.pair[..., None]
    w, dw = torch.where(mask, w, 0.0), torch.where(mask, dw, 0.0)
    G = w.shape[-1]
    y = torch.cat([u, torch.ones_like(d)[..., None]], dim=-1)  # (N, J, 4)
    yw = (y[..., :, None] * w[..., None, :]).flatten(-2)  # (N, J, 4G)

    c = (batch.numbers[:, None] == species).to(d.dtype)  # (N, C)
    if model.gnn is not None:
        h = model.gnn(model.embedding(batch.numbers), batch.edge_index())
        c = torch.cat([c, h], dim=-1)
    Q, P_j, P_i, q = _compose(model, species)
    E_, b = model.experts.weight, model.experts.bias  # (G, F, F), (G, F)
    W = (E_ @ torch.cat([Q, P_j.T], dim=1)).transpose(1, 2)  # (G, P + C, F)
    S = torch.einsum("nf,gof->ngo", c @ P_i + q, E_) + b  # (N, G, F)

    phi = torch.cat([batch.features, c[batch.neighbours]], dim=-1)  # (N, J, P + C)
    A = yw.transpose(1, 2) @ phi  # (N, 4G, P + C)
    Z = yw.sum(1)  # (N, 4G)

    def readout(A: Tensor, Z: Tensor) -> Tensor:
        M = A.view(N * 4, -1) @ W.flatten(0, 1)
        M = M.view(N, 4, -1) + Z.view(N, 4, G) @ S
        return model.readout(M[:, 3], M[:, :3])

    with torch.enable_grad():
        if not create_graph:
            A, Z = A.detach().requires_grad_(), Z.detach().requires_grad_()
        energies = readout(A, Z)
        real = torch.where(batch.numbers > 0, energies, 0.0).sum()
        dA, dZ = torch.autograd.grad(real, (A, Z), create_graph=create_graph)

    # From A to the positions of i and j, by hand: phi, y and their derivatives are data.
    P = batch.slopes.shape[-1]
    T = phi @ dA.transpose(1, 2) + dZ[:, None, :]  # (N, J, 4G)  dE / d(y w)
    dT = batch.slopes @ dA[..., :P].transpose(1, 2)  # (N, J, 4G)  its share through phi(d)
    T, dT = T.view(N, J, 4, G), dT.view(N, J, 4, G)
    by_y = (T * w[..., None, :]).sum(-1)  # (N, J, 4)  dE / dy
    by_w = T * dw[..., None, :] + dT * w[..., None, :]
    by_d = (by_w.sum(-1) * y).sum(-1, keepdim=True)  # (N, J, 1)
    by_u = by_y[..., :3]
    across = by_u - u * (u * by_u).sum(-1, keepdim=True)
    by_vector = u * by_d + across / d[..., None]  # (N, J, 3)  dE / d(r_i - r_j)
    by_vector = torch.where(mask, by_vector, 0.0)
    reaction = by_vector.flatten(0, 1)[batch.reverse.flatten()].view(N, J, 3)
    return energies, (reaction - by_vector).sum(1)
