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
and its derivative are data, computed once. The forces use the same trick backwards: the readout
gives its gradient by X_i and V_i, and the chain rule from there to the positions is written out.
Where A has few columns, as with one expert, the readout's first maps are part of W.

In dense tables the neighbours' h_j go the other way round, S_j[g] = E_g H_j h_j first and then
sum_jg y_ij[a] w_ij[g] S_j[g] as one matrix product a frame: h_j has as many numbers as S_j[g], and
an atom has fewer rows of it than of A.

Functions phi that are nearly dependent are replaced by fewer, phi = U^T phi', and Q by Q U^T
(`deepset_bench.model.deepset.reduction`).

Where atoms in like surroundings are numbered (`deepset_bench.model.atom_kinds`), h has a row for
each kind alone. A few kinds take the place of the species: z is then one-hot in them, P_j and P_i
hold what comes of h, and nothing else is left of the layers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TypeGuard

import torch
from torch import Tensor

from deepset_bench.model.batches import Batch, Tables, tabulate
from deepset_bench.model.deepset.composed import Composed, Layered, compose
from deepset_bench.model.deepset.network import DeepSet
from deepset_bench.model.deepset.read import Read
from deepset_bench.model.deepset.reduction import expansion
from deepset_bench.model.radial import cosine_cutoff, scalar_features

PAIRS = 8192
"""Slots of pairs that are evaluated at a time, to stay within the cache and take little memory."""

FEW = 2
"""Columns of A for each of the F features below which the readout's first maps are part of W."""

COLUMNS = 16
"""Kinds of atoms above which they are not columns of the features. Each is two."""


def pair_features(model: DeepSet, d: Tensor) -> Tensor:
    """phi(d) = [C(d) rbf(d) ; C(d) ; s(d)], (...) -> (..., K + 1 + S)."""
    C = cosine_cutoff(d, model.cutoff)[..., None]
    return torch.cat([C * model.basis(d), C, scalar_features(d, model.scalars)], dim=-1)


def reduced(model: DeepSet, tables: Tables) -> Tables:
    """Tables that stand for phi with fewer functions, where there are; not yet prepared."""
    d = tables.distances[tables.pair]
    found = expansion(partial(pair_features, model), d, model.cutoff, tables.distances.dtype)
    return tables if found is None else replace(tables, expansion=found, features=None, slopes=None)


def _functions(model: DeepSet, expansion: Tensor | None, d: Tensor) -> Tensor:
    """phi(d), or what stands for it, (...) -> (..., P')."""
    phi = pair_features(model, d)
    return phi if expansion is None else phi @ expansion.T.to(phi.dtype)


def prepare(model: DeepSet, tables: Tables, species: Tensor) -> Tables:
    """Tables with [phi_ij ; z_j ; z_i] as features and dphi_ij/dd as slopes."""
    phi, slopes = tables.features, tables.slopes
    if phi is None or slopes is None:
        phi, slopes = tabulate(partial(_functions, model, tables.expansion), tables.distances)
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
    with torch.set_grad_enabled(create_graph and torch.is_grad_enabled()):
        return _energies_and_forces(model, batch, species, create_graph)


def _energies_and_forces(
    model: DeepSet, batch: Batch, species: Tensor, create_graph: bool
) -> tuple[Tensor, Tensor]:
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
        return compose(model, species, None, batch.expansion), None
    if batch.kind is None or kinds is None or edges is None:
        h = gnn.of_batch(model.embedding(batch.numbers), batch)
        return compose(model, species, None, batch.expansion), Layered(h, None)
    h = gnn(model.embedding(kinds), edges)
    if _are_columns(kinds):
        return compose(model, kinds, h, batch.expansion), None
    of_atom = batch.kind[:, None] == torch.arange(len(kinds), device=kinds.device)
    return compose(model, species, None, batch.expansion), Layered(h, of_atom.to(h.dtype))


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
    P, F = slopes.shape[-1], W.shape[-1]

    w, dw = model.weights_with_slope(d)  # (n, J, G)
    mask = batch.pair[rows][..., None]
    w, dw = torch.where(mask, w, 0.0), torch.where(mask, dw, 0.0)
    G = w.shape[-1]
    # Of directions and of none: what becomes V and X.
    yw = (u[..., :, None] * w[..., None, :]).flatten(2), w  # (n, J, a G), a = 3 and 1
    if layered is not None and not batch.dense:
        phi = torch.cat(
            [phi, layered.through(weights.H_j, slice(None))[batch.neighbours[rows]]], -1
        )
        W = torch.cat([W, weights.E.mT], dim=1)
    A = [part.mT @ phi for part in yw]  # (n, a G, K)
    W = W.flatten(0, 1)
    read = Read(model.readout, few=layered is None and len(W) < FEW * F)
    to_V, to_X = read.composed(W)
    V, X = A[0].view(3 * n, -1) @ to_V, A[1].view(n, -1) @ to_X
    V = V.view(n, 3, -1)
    if layered is not None:
        S_i = layered.experts(weights.E, weights.H_i, rows)  # (n, G, F)
        V, X = V + yw[0].sum(1).view(n, 3, G) @ S_i, X + (w.sum(1)[:, None] @ S_i)[:, 0]
        if batch.dense:
            S_j = layered.experts(weights.E, weights.H_j, rows).reshape(-1, J * G, F)
            V_j, X_j = (_by_frame(part, J, G) @ S_j for part in yw)
            V, X = V + V_j.view(n, 3, F), X + X_j.view(n, F)
    energies, dV, dX = read.with_gradient(V, X, create_graph)

    # From V and X to the positions of i and j, by hand: phi, y and their derivatives are data.
    dA = (dV.view(3 * n, -1) @ to_V.T).view_as(A[0]), (dX @ to_X.T).view_as(A[1])
    T, T_x = (phi @ part.mT for part in dA)  # (n, J, a G), dE / d(y w)
    if layered is not None:
        T, T_x = T + (dV @ S_i.mT).view(n, 1, -1), T_x + dX[:, None] @ S_i.mT
        if batch.dense:
            frames = len(S_j)
            dV_j, dX_j = (part.reshape(frames, -1, F) @ S_j.mT for part in (dV, dX))
            T, T_x = T + _by_atom(dV_j, J, G), T_x + _by_atom(dX_j, J, G)
    T = T.view(n, J, 3, G)
    # By distance through phi, and by w: along the direction, and with none.
    slope, slope_x = (slopes @ part[..., :P].mT for part in dA)
    by_phi = slope_x + (slope.view(n, J, 3, G) * u[..., None]).sum(2)
    by_w = T_x + (T * u[..., None]).sum(2)
    by_d = (by_phi * w + by_w * dw).sum(-1, keepdim=True)  # (n, J, 1)
    by_u = (T * w[:, :, None]).sum(-1)  # (n, J, 3)
    across = by_u - u * (u * by_u).sum(-1, keepdim=True)
    by_vector = u * by_d + across / d[..., None]
    return energies, torch.where(mask, by_vector, 0.0)


def _by_frame(yw: Tensor, J: int, G: int) -> Tensor:
    """(n, J, a G) -> (B, J a, J G), for products with what each neighbour has for each expert."""
    if yw.shape[-1] == G:
        return yw.reshape(-1, J, J * G)
    return yw.view(-1, J, J, 3, G).transpose(2, 3).reshape(-1, J * 3, J * G)


def _by_atom(by_frame: Tensor, J: int, G: int) -> Tensor:
    """(B, J a, J G) -> (n, J, a G)."""
    if by_frame.shape[1] == J:
        return by_frame.view(-1, J, G)
    return by_frame.view(-1, J, 3, J, G).transpose(2, 3).reshape(-1, J, 3 * G)
