"""The DeepSet potential, edge by edge: the definition that every faster form is tested against.

Notation: atoms i, j; directed edges (i, j), i != j, d_ij = |r_i - r_j| < r_c in angstrom,
u_ij = (r_i - r_j) / d_ij; F features, G experts, K radial functions, S scalar features.

    x_i  = Embedding(z_i)                                       h = SiLU(Conv(x, edges)) or absent
    p_ij = C(d_ij) Linear_{K->F}(rbf(d_ij))
    e_ij = Linear_{F+S->F}([p_ij ; s(d_ij)])
    g_ij = Linear_{3F+2H->F}([Linear(x_i) ; Linear(x_j) ; e_ij ; h_i ; h_j])        "gamma"
    w_ij = softmax_g(1 / max(|d_ij - t_g|, 1e-8))
    m_ij = f(d_ij) sum_g w_ij,g (E_g g_ij + b_g)                f = 1, or C with the envelope
    X_i  = sum_j m_ij,   V_i = sum_j u_ij (x) m_ij
    e_i  = readout(X_i, V_i), or readout(X_i)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from deepset_bench.denormals import without_tails
from deepset_bench.errors import chosen
from deepset_bench.model.atom_kinds import with_kinds
from deepset_bench.model.batches import Batch, Tables, with_slope
from deepset_bench.model.deepset.gate import DistanceGate
from deepset_bench.model.deepset.graph import GraphLayers
from deepset_bench.model.others import of_shape
from deepset_bench.model.radial import (
    Function,
    RadialBasis,
    cosine_cutoff,
    cosine_cutoff_slope,
    scalar_features,
)
from deepset_bench.schema import MAX_ATOMIC_NUMBER
from deepset_bench.variants import model


class Experts(nn.Module):
    """G dense maps E_g g + b_g, one (G, F, F) tensor."""

    def __init__(self, n_experts: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5  # torch's default for a linear layer
        self.weight = nn.Parameter(torch.empty(n_experts, width, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_experts, width).uniform_(-bound, bound))

    def forward(self, g: Tensor, w: Tensor) -> Tensor:
        """(E, F) inputs and (E, G) weights -> (E, F), the weighted sum of the experts' outputs."""
        outputs = torch.einsum("ef,gof->ego", g, self.weight) + self.bias  # (E, G, F)
        return (w[..., None] * outputs).sum(-2)


@model("deepset", divisible_by=2, forms=("fused", "reference"), width_key="width")
class DeepSet(nn.Module):
    """See the module's docstring for the equations; report, Sections 3 and 4.

    Args:
        scalars: functions of the distance, given to each edge beside its projection.
        basis: the radial basis.
        gate: makes the gate of the experts.
        experts: how many there are.
        gnn: graph layers over the species embedding, or None.
        readout: makes the readout.
        envelope: `message` multiplies every message by C(d), which makes energy and forces
            continuous at the cutoff; `none` leaves the report's jump there.
    """

    def __init__(
        self,
        *,
        cutoff: float,
        width: int,
        scalars: Sequence[Function],
        basis: RadialBasis,
        gate: Callable[[], nn.Module],
        experts: int,
        gnn: GraphLayers | None,
        envelope: str,
        readout: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.scalars = tuple(scalars)
        self.envelope = envelope
        self.smooth = chosen("envelope", envelope, {"message": True, "none": False})
        n_scalars = len(self.scalars) + 1 if self.scalars else 0
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, width)
        self.basis = basis
        self.distance_projection = nn.Linear(basis.size, width)
        self.edge_projection = nn.Linear(width + n_scalars, width)
        self.target_projection = nn.Linear(width, width)
        self.source_projection = nn.Linear(width, width)
        self.gnn = gnn
        self.gamma = nn.Linear(3 * width + (2 * width if gnn else 0), width)
        # Made here, in this order: what is drawn at initialisation is drawn one after another.
        self.gate = gate()
        self.experts = Experts(experts, width)
        self.readout = readout()
        self.no_fused_form = _no_fused_form(self)

    def weights(self, d: Tensor) -> Tensor:
        """(...) -> (..., G): gate times envelope, what expert g contributes at distance d."""
        w = self._of_experts(self.gate(d), d)
        if self.smooth:
            w = w * cosine_cutoff(d, self.cutoff)[..., None]
        return w

    def weights_with_slope(self, d: Tensor) -> tuple[Tensor, Tensor]:
        """`weights` and their derivative by d, per angstrom, each (..., G)."""
        found = cast("DistanceGate", self.gate).with_slope(d)
        w, dw = (self._of_experts(part, d) for part in found)
        if self.smooth:
            C, dC = cosine_cutoff(d, self.cutoff), cosine_cutoff_slope(d, self.cutoff)
            w, dw = w * C[..., None], dw * C[..., None] + w * dC[..., None]
        return w, dw

    def _of_experts(self, found: Tensor, d: Tensor) -> Tensor:
        return of_shape(found, (*d.shape, len(self.experts.bias)), self.gate, d)

    def messages(self, x: Tensor, h: Tensor | None, d: Tensor, edge_index: Tensor) -> Tensor:
        """m_ij (E, F) from embeddings x (N, F), graph features h (N, H) and distances d (E,)."""
        j, i = edge_index
        phi = without_tails(self.basis(d))
        p = cosine_cutoff(d, self.cutoff)[:, None] * self.distance_projection(phi)
        e = self.edge_projection(torch.cat([p, scalar_features(d, self.scalars)], dim=-1))
        parts = [self.target_projection(x)[i], self.source_projection(x)[j], e]
        if h is not None:
            parts += [h[i], h[j]]
        g = self.gamma(torch.cat(parts, dim=-1))
        return self.experts(g, self.weights(d))

    def forward(self, numbers: Tensor, vectors: Tensor, edge_index: Tensor) -> Tensor:
        """Dimensionless atomic energies.

        Args:
            numbers: (N,) atomic numbers.
            vectors: (E, 3) r_i - r_j in angstrom.
            edge_index: (2, E) rows [j, i], PyG's [source, target].

        Returns:
            (N,) e_i; the potential energy is their scaled sum plus the reference.
        """
        x = self.embedding(numbers)
        h = self.gnn(x, edge_index) if self.gnn is not None else None
        d = vectors.norm(dim=-1)
        u = vectors / d[:, None]
        m = self.messages(x, h, d, edge_index)
        i = edge_index[1]
        X = x.new_zeros(x.shape[0], m.shape[-1]).index_add(0, i, m)
        V = x.new_zeros(x.shape[0], 3, m.shape[-1]).index_add(0, i, u[:, :, None] * m[:, None, :])
        return of_shape(self.readout(X, V), numbers.shape, self.readout, X)

    def study(self, tables: Tables) -> Tables:
        """Tables with what saves work: kinds of atoms, and a basis that spans the same functions.

        See `deepset_bench.model.atom_kinds` and `deepset_bench.model.deepset.reduction`.
        """
        from deepset_bench.model.deepset import fused

        if self.gnn is not None and self.gnn.of_neighbours:
            tables = with_kinds(tables, len(self.gnn.layers))
        return fused.reduced(self, tables)

    def prepare(self, tables: Tables, species: Tensor) -> Tables:
        """See `deepset_bench.model.deepset.fused`."""
        from deepset_bench.model.deepset import fused

        return fused.prepare(self, tables, species)

    def energies_and_gradients(
        self, batch: Batch, species: Tensor, *, create_graph: bool
    ) -> tuple[Tensor, Tensor]:
        """See `deepset_bench.model.deepset.fused`."""
        from deepset_bench.model.deepset import fused

        return fused.energies_and_gradients(self, batch, species, create_graph=create_graph)

    def pair_form(self, species: Tensor) -> nn.Module | None:
        """What is left of it once trained, or None; see `deepset_bench.model.deepset.deployed`."""
        from deepset_bench.model.deepset.deployed import DeployedDeepSet

        if self.gnn is not None:
            return None
        try:
            return DeployedDeepSet(self, species)
        except ValueError:  # a gate that jumps, as one that keeps the nearest experts alone does
            return None


def _no_fused_form(model: DeepSet) -> str:
    """Why the fused form cannot express a model; empty where it can.

    It has functions of distances in tables, as numbers, with derivatives by complex steps.
    """
    if any(True for _ in model.basis.parameters()):
        return "its radial basis has parameters, and the fused form tabulates it once"
    if not hasattr(model.gate, "with_slope"):
        return "its gate has no method with_slope"
    d, step = torch.linspace(0.7, 0.98 * model.cutoff, 5, dtype=torch.float64), 1e-5
    one_by_one: list[Function] = [partial(scalar_features, functions=[s]) for s in model.scalars]
    functions = [("a scalar feature", one) for one in one_by_one]
    functions.append(("its radial basis", model.basis))
    for what, function in functions:
        try:
            padding = with_slope(function, d.new_tensor([model.cutoff]))
            _, slopes = with_slope(function, d)
            (ahead, _), (behind, _) = (with_slope(function, d + s) for s in (step, -step))
        except Exception:  # whatever the libraries that it may call raise
            return f"{what} cannot be computed at complex distances"
        if not all(bool(part.float().isfinite().all()) for part in padding):
            return f"{what} is not finite at the cutoff"
        size = 1 + slopes.abs().max()
        if not bool(((ahead - behind) / (2 * step) - slopes).abs().max() < 1e-4 * size):
            return f"{what} is not analytic in the distance"
    return ""
