"""The same function as `DeepSet.forward`, regrouped: the sum over neighbours comes first.

Between the radial functions and the readout everything is linear in the features, and for one
pair gamma's output is affine in a short vector that no parameter enters,

    g_ij   = Q phi_ij + P_j z_j + P_i z_i + H_j h_j + H_i h_i,
    phi_ij = [C(d) rbf(d) ; C(d) ; s(d)],

with z the one-hot species (P_i takes up the constants) and h the graph layers' features, if any.
So, with y_ij = [u_ij ; 1] and the expert weights w_ij,

    A_i[a, g, k] = sum_j y_ij[a] w_ij[g] [phi_ij ; z_j ; z_i ; h_j][k],
    [V_i ; X_i]  = A_i W + Z_i S_i,           Z_i[a, g] = sum_j y_ij[a] w_ij[g],
    W_g          = E_g [Q, P_j, P_i, H_j] + b_g,    S_i[g] = E_g H_i h_i.

No tensor of size E x G x F exists, and W is composed once per call from the parameters of
`DeepSet`, so the state dict and the initialisation are the reference's own. [phi_ij ; z_j ; z_i]
and its derivative are data, computed once. The forces use the same trick backwards: dE/dA comes
from autograd through the readout alone, and the chain rule from A to the positions is written out.

In dense tables the neighbours' h_j go the other way round, S_j[g] = E_g H_j h_j first and then
sum_jg y_ij[a] w_ij[g] S_j[g] as one matrix product a frame: h_j has as many numbers as S_j[g], and
an atom has fewer rows of it than of A.

Where atoms in like surroundings are numbered (`deepset_bench.model.atom_kinds`), h has a row for
each kind alone. A few kinds take the place of the species: z is then one-hot in them, P_j and P_i
hold what comes of h, and nothing else is left of the layers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, TypeGuard, cast

import torch
from torch import Tensor

from deepset_bench.model.batches import Batch, Tables, tabulate
from deepset_bench.model.deepset.graph import GraphLayers
from deepset_bench.model.deepset.network import DeepSet
from deepset_bench.model.radial import cosine_cutoff, scalar_features

PAIRS = 8192
"""Slots of pairs that are evaluated at a time, to stay within the cache and take little memory."""

COLUMNS = 16
"""Kinds of atoms above which they are not columns of the features. Each is two."""


def pair_features(model: DeepSet, d: Tensor) -> Tensor:
    """phi(d) = [C(d) rbf(d) ; C(d) ; s(d)], (...) -> (..., K + 1 + S)."""
    C = cosine_cutoff(d, model.cutoff)[..., None]
    return torch.cat([C * model.basis(d), C, scalar_features(d, model.scalars)], dim=-1)


def prepare(model: DeepSet, tables: Tables, species: Tensor) -> Tables:
    """Tables with [phi_ij ; z_j ; z_i] as features and dphi_ij/dd as slopes."""
    phi, slopes = tables.features, tables.slopes
    if phi is None or slopes is None:
        phi, slopes = tabulate(lambda d: pair_features(model, d), tables.distances)
    phi = phi[..., : slopes.shape[-1]]
    number, known = tables.numbers, species
    if tables.kind is not None and _are_columns(tables.kind_numbers):
        number, known = tables.kind, torch.arange(len(tables.kind_numbers), device=species.device)
    z = (number[..., None] == known).to(phi.dtype)  # (M, n, s)
    frame = torch.arange(len(tables), device=z.device)[:, None, None]
    z_i = z[:, :, None].expand(*phi.shape[:-1], -1)
    features = torch.cat([phi, z[frame, tables.neighbours], z_i], dim=-1)
    return replace(tables, features=features, slopes=slopes)


def _are_columns(kind_numbers: Tensor | None) -> TypeGuard[Tensor]:
    """Whether kinds of atoms take the place of species."""
    return kind_numbers is not None and len(kind_numbers) <= COLUMNS


class Composed(NamedTuple):
    """gamma, all that precedes it and the experts, multiplied out.

    W: (G, P + 2 s, F) what acts on the data in A, whose last 2 s columns are z_j and z_i.
    W_j, W_i: (G, H, F) what acts on h_j and on h_i; H is 0 without layers.
    n_species: s.
    """

    W: Tensor
    W_j: Tensor
    W_i: Tensor
    n_species: int


def _compose(model: DeepSet, numbers: Tensor, h: Tensor | None) -> Composed:
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
    return Composed(composed.mT, (E @ H_j).mT, (E @ H_i).mT, len(numbers))


class Layered(NamedTuple):
    """What the graph layers say of N atoms: h_i is row i of `of_atom @ h`, or of h without that.

    h: (N, H), or (C, H) of each kind of atom; of_atom: (N, C) one-hot.
    """

    h: Tensor
    of_atom: Tensor | None

    def spread(self, values: Tensor, rows: slice) -> Tensor:
        """What has a row for each of h, for some atoms."""
        if self.of_atom is None:
            return values
        return (self.of_atom[rows] @ values.flatten(1)).unflatten(1, values.shape[1:])

    def through(self, weights: Tensor, rows: slice) -> Tensor:
        """h_i of n atoms through (G, H, F), (n, G, F)."""
        own = self.h[rows] if self.of_atom is None else self.h
        return self.spread(torch.einsum("nh,ghf->ngf", own, weights), rows)


def _graph_features(gnn: GraphLayers, x: Tensor, batch: Batch) -> Tensor:
    """h (N, H) from embeddings x (N, F)."""
    if gnn.draws_by_edge:
        return cast("Tensor", gnn(x, batch.edge_index()))
    padded = torch.cat([x, x.new_zeros(1, x.shape[1])])  # and the atom of padded edges
    return cast("Tensor", gnn(padded, batch.padded_edge_index()))[:-1]


def energies_and_gradients(
    model: DeepSet, batch: Batch, species: Tensor, *, create_graph: bool
) -> tuple[Tensor, Tensor]:
    """Atomic energies and what vectors do to their sum, of tables that went through `prepare`.

    Args:
        model: the parameters.
        batch: N rows of J neighbour slots, with `features` and `slopes`.
        species: (s,) the atomic numbers that occur.
        create_graph: whether gradients by the parameters will be asked for.

    Returns:
        (N,) dimensionless e_i (padding not masked) and (N, J, 3) dE / d(r_i - r_j) per angstrom,
        zero in padding.
    """
    weights, layered = _weights(model, batch, species)
    # Rows are independent, but where a graph layer's features are summed frame by frame.
    whole = create_graph or (batch.dense and layered is not None)
    pieces = [slice(None)]
    if not whole:
        at_once = max(PAIRS // batch.pair.shape[1], 1)
        pieces = [slice(start, start + at_once) for start in range(0, len(batch.numbers), at_once)]
    parts = [_rows(model, batch, rows, weights, layered, create_graph) for rows in pieces]
    energies, by_vector = (torch.cat(x) if len(x) > 1 else x[0] for x in zip(*parts, strict=True))
    return energies, by_vector


def _weights(model: DeepSet, batch: Batch, species: Tensor) -> tuple[Composed, Layered | None]:
    """The composed weights, and what of the graph layers is not in them."""
    gnn, kinds, edges = model.gnn, batch.kind_numbers, batch.kind_edges
    if gnn is None:
        return _compose(model, species, None), None
    if batch.kind is None or kinds is None or edges is None:
        h = _graph_features(gnn, model.embedding(batch.numbers), batch)
        return _compose(model, species, None), Layered(h, None)
    h = gnn(model.embedding(kinds), edges)
    if _are_columns(kinds):
        return _compose(model, kinds, h), None
    of_atom = batch.kind[:, None] == torch.arange(len(kinds), device=kinds.device)
    return _compose(model, species, None), Layered(h, of_atom.to(h.dtype))


def _rows(
    model: DeepSet,
    batch: Batch,
    rows: slice,
    weights: Composed,
    layered: Layered | None,
    create_graph: bool,
) -> tuple[Tensor, Tensor]:
    """e_i (n,) of some rows, and dE / d(r_i - r_j) (n, J, 3) of their pairs."""
    assert batch.features is not None
    assert batch.slopes is not None
    d, u, phi, slopes = (
        t[rows] for t in (batch.distances, batch.directions, batch.features, batch.slopes)
    )
    n, J = d.shape
    W = weights.W

    w, dw = model.weights_with_slope(d)  # (n, J, G)
    mask = batch.pair[rows][..., None]
    w, dw = torch.where(mask, w, 0.0), torch.where(mask, dw, 0.0)
    G = w.shape[-1]
    y = torch.cat([u, torch.ones_like(d)[..., None]], dim=-1)  # (n, J, 4)
    yw = (y[..., :, None] * w[..., None, :]).view(n, J, -1)  # (n, J, 4G)

    S_i: Tensor | None = None
    leaves: list[Tensor] = []
    if layered is not None:
        S_i = layered.through(weights.W_i, rows)
        if batch.dense:
            S_j = layered.through(weights.W_j, rows).reshape(batch.n_frames, J * G, -1)
            by_frame = yw.view(batch.n_frames, J, J, 4, G).transpose(2, 3)
            leaves.append(by_frame.reshape(batch.n_frames, J * 4, J * G))
        else:
            h = layered.spread(layered.h, slice(None))
            phi = torch.cat([phi, h[batch.neighbours[rows]]], dim=-1)
            W = torch.cat([W, weights.W_j], dim=1)
    A = yw.transpose(1, 2) @ phi  # (n, 4G, P + 2 s + H)
    leaves.append(A)
    P = slopes.shape[-1]
    z_i = slice(P + weights.n_species, P + 2 * weights.n_species)

    def readout(A: Tensor, by_frame: Tensor | None = None) -> Tensor:
        M = A.view(n, 4, -1) @ W.flatten(0, 1)  # (n, 4, F)
        if S_i is not None:
            M = M + A[..., z_i].sum(-1).view(n, 4, G) @ S_i
        if by_frame is not None:
            M = M + (by_frame @ S_j).view(n, 4, -1)
        return model.readout(M[:, 3], M[:, :3])

    with torch.enable_grad():
        if not create_graph:
            leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        energies = readout(*reversed(leaves))
        real = torch.where(batch.numbers[rows] > 0, energies, 0.0).sum()
        *by_frames, dA = torch.autograd.grad(real, leaves, create_graph=create_graph)

    # From A to the positions of i and j, by hand: phi, y and their derivatives are data.
    T = (phi @ dA.transpose(1, 2)).view(n, J, 4, G)  # dE / d(y w)
    for by_frame in by_frames:
        T = T + by_frame.view(-1, J, 4, J, G).transpose(2, 3).reshape(n, J, 4, G)
    by_phi = yw @ dA[..., :P]  # (n, J, P)
    by_u = (T[:, :, :3] * w[..., None, :]).sum(-1)  # (n, J, 3)
    by_w = (T * y[..., None]).sum(-2)  # (n, J, G)
    by_d = (by_phi * slopes).sum(-1) + (by_w * dw).sum(-1)  # (n, J)
    across = by_u - u * (u * by_u).sum(-1, keepdim=True)
    by_vector = u * by_d[..., None] + across / d[..., None]
    return energies, torch.where(mask, by_vector, 0.0)
