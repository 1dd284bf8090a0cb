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
from typing import Any, NamedTuple, TypeGuard, cast

import torch
from torch import Tensor, nn

from deepset_bench.model.batches import Batch, Tables, tabulate
from deepset_bench.model.deepset.network import DeepSet
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


class Composed(NamedTuple):
    """gamma, all that precedes it and the experts, multiplied out.

    W: (G, P + 2 s, F) what acts on the data in A, whose last 2 s columns are z_j and z_i.
    E: (G, F, F) the experts; H_j, H_i: (F, H) what acts on h_j and h_i before; H is 0 without.
    """

    W: Tensor
    E: Tensor
    H_j: Tensor
    H_i: Tensor


def _compose(
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
        return _compose(model, species, None, batch.expansion), None
    if batch.kind is None or kinds is None or edges is None:
        h = gnn.of_batch(model.embedding(batch.numbers), batch)
        return _compose(model, species, None, batch.expansion), Layered(h, None)
    h = gnn(model.embedding(kinds), edges)
    if _are_columns(kinds):
        return _compose(model, kinds, h, batch.expansion), None
    of_atom = batch.kind[:, None] == torch.arange(len(kinds), device=kinds.device)
    return _compose(model, species, None, batch.expansion), Layered(h, of_atom.to(h.dtype))


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


class Read:
    """The readout and its gradient; with its first maps composed where that is less work.

    Args:
        readout: of the model.
        few: whether the maps that come before are of so few numbers that it is.
    """

    def __init__(self, readout: nn.Module, *, few: bool) -> None:
        self.readout = readout
        self.first: tuple[Tensor, Tensor] | None = None
        if hasattr(readout, "first_maps"):
            self.first = cast("Any", readout).first_maps()
        self.few = few and self.first is not None

    def composed(self, W: Tensor) -> tuple[Tensor, Tensor]:
        """(K, F) -> what makes `with_gradient`'s V and X."""
        if not self.few or self.first is None:
            return W, W
        to_V, to_X = self.first
        return W @ to_V.T, W @ to_X.T

    def with_gradient(
        self, V: Tensor, X: Tensor, create_graph: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies (n,) and their gradients by V (n, 3, ...) and X (n, ...)."""
        if self.first is None:
            with torch.enable_grad():
                if not create_graph:
                    V, X = V.detach().requires_grad_(), X.detach().requires_grad_()
                energies: Tensor = self.readout(X, V)
                of = energies.sum(), (V, X)
                dV, dX = torch.autograd.grad(*of, create_graph=create_graph, materialize_grads=True)
            return energies, dV, dX
        to_V, to_X = self.first
        if not self.few:
            V, X = V @ to_V.T, X @ to_X.T
        energies, dV, dX = cast("Any", self.readout).with_gradient(V, X)
        if not self.few:
            dV, dX = dV @ to_V, dX @ to_X
        return energies, dV, dX
