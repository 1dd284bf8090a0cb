"""DeepSet X: one sum over neighbours, as the DeepSet's, and many-body functions of that sum.

A pair enters through a fixed basis of distances and directions alone. The sum over neighbours is
the atomic base of the atomic cluster expansion (Drautz 2019, Phys. Rev. B 99, 014104), one for each
species z of neighbours; no parameter enters it, so it and its derivatives are data:

    phi_k(d)    = f(d) exp(-(d - mu_k)^2 / (2 w^2)),       f the quintic cutoff
    A_i[lm,z,k] = sum_{j: z_j = z} Y_lm(u_ij) phi_k(d_ij),    l = 0 ... L

Each Gaussian is a gate over distances, each row of R_l an expert behind it. Species have learned
vectors, s of a neighbour and t of the atom itself, so any number of them takes equally many
parameters. F channels f:

    B_i[lm,f]   = (T_l t_i)[f] sum_{z,k} (s_z R_l)[k,f] A_i[lm,z,k]
    x_i[f]      = (T t_i)[f] + B_i[00,f]

B_i[.,f] is a function on the sphere around atom i. Each of a few blocks multiplies two of them, the
coupling by Gaunt's coefficients (Luo et al. 2024, arXiv 2401.10216), which raises the body order as
the products of MACE do (Batatia et al. 2022, arXiv 2206.07697), and lets the invariants gate what
comes out as in PaiNN (Schuett et al. 2021, arXiv 2102.03150):

    a, b        = B P_l, B Q_l
    C[lm,f]     = 1/(4 pi) integral of Y_lm(n) a_f(n) b_f(n) dn
    y           = [x ; for each l the mean over m of a_lm b_lm ; sum_lm C_lm B_lm]
    [dx ; g_l]  = MLP(LN(y)),     x += dx,     B[lm] += g_l * (C[lm] O_l)

    e_i         = readout(LN(x_i)) + 1/2 sum_{z,k} c[z_i z,k] A_i[00,z,k]

LN normalises a layer: what goes into a perceptron is of one size, in training and far from it. c is
a pair potential that training leaves alone (`deepset_bench.model.deepset_x.pairs`), so that the
network corrects something that knows what bonds are worth.

L = 2 here, and the Gaussians are evenly spaced.

Energies, forces and the forces' derivatives are continuous at the cutoff, as f is to its second
derivative; an isolated atom has the energy of its species.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deepset_bench.model.batches import Batch, Tables, tabulate
from deepset_bench.model.deepset_x.sphere import by_degree, harmonics, product
from deepset_bench.model.radial import quintic_cutoff
from deepset_bench.schema import MAX_ATOMIC_NUMBER
from deepset_bench.variants import model

if TYPE_CHECKING:
    from deepset_bench.model.labelled import Labelled
    from deepset_bench.model.potential import Potential

NEAREST = 0.9
"""Centre of the first Gaussian in angstrom; the shortest bonds are within its width."""

Sum = Callable[[Tensor], Tensor]
"""Of (N, F) numbers that atoms send, (M, N, F) sums over the neighbours of each."""

SPECIES_WIDTH = 8
"""Numbers in a species' vector."""

NEGLIGIBLE = 1e-2
"""Variance of features below which normalisation does not blow them up."""


@model("deepset_x", forms=("fused",), reads=("pairs",))
class DeepSetX(nn.Module):
    """See the module's docstring for the equations.

    Args:
        width: F, channels of an atom.
        layers: blocks.
        basis_size: K, Gaussians between 0.9 angstrom and the cutoff.
        cutoff: in angstrom.

    Attributes:
        degree: L, the highest degree of the functions on the sphere.
        decay: b in 1/angstrom; zero for functions of the distance itself.
        pairs: (s, s K) c, of the species of the potential that this is the model of.
    """

    degree = 2
    decay = 0.0
    centres: Tensor
    pairs: Tensor

    def __init__(self, width: int, layers: int, basis_size: int, cutoff: float) -> None:
        super().__init__()
        self.width, self.cutoff = width, cutoff
        first, last = min(NEAREST, cutoff / 2), cutoff
        if self.decay:
            first, last = (float(self._place(torch.tensor(d))) for d in (first, last))
        centres = torch.linspace(first, last, basis_size)
        self.register_buffer("centres", centres, persistent=False)
        self.spacing = (last - float(centres[0])) / (basis_size - 1)
        self.source = nn.Embedding(MAX_ATOMIC_NUMBER + 1, SPECIES_WIDTH)
        self.target = nn.Embedding(MAX_ATOMIC_NUMBER + 1, SPECIES_WIDTH)
        terms = SPECIES_WIDTH * basis_size
        self.radial = normal(self.degree + 1, SPECIES_WIDTH, basis_size * width, terms=terms)
        self.target_scale = nn.Linear(SPECIES_WIDTH, (self.degree + 1) * width)
        self.target_shift = nn.Linear(SPECIES_WIDTH, width)
        self.blocks = nn.ModuleList(
            Block(width, self.degree, last=n == layers - 1) for n in range(layers)
        )
        self.readout = perceptron(width, width, 1)
        self.register_buffer("pairs", torch.zeros(0, 0))

    def basis(self, d: Tensor) -> Tensor:
        """phi(d), (...) in angstrom, real or complex -> (..., K)."""
        x = self._place(d)[..., None]
        gaussians = torch.exp(-0.5 * ((x - self.centres) / self.spacing) ** 2)
        return gaussians * quintic_cutoff(d, self.cutoff)[..., None]

    def _place(self, d: Tensor) -> Tensor:
        """What Gaussians are functions of: the distance, or x = exp(-b d) of it."""
        return torch.exp(-self.decay * d) if self.decay else d

    def forward(
        self, A: Tensor, numbers: Tensor, species: Tensor, sum_over: Sum | None = None
    ) -> Tensor:
        """Dimensionless atomic energies.

        Args:
            A: (M, N, s K) the sums over neighbours of each of s species.
            numbers: (N,) atomic numbers.
            species: (s,) the species of the neighbours.
            sum_over: how neighbours are summed over again, where a network does so.

        Returns:
            (N,) e_i; the potential energy is their scaled sum plus the reference.
        """
        B, pair_energies = self.expand(A, numbers, species)
        return self.energies(B, numbers, pair_energies, sum_over)

    def expand(self, A: Tensor, numbers: Tensor, species: Tensor) -> tuple[Tensor, Tensor]:
        """(M, N, F) B_i before its scales and (N,) pair energies; arguments as in `forward`."""
        R = (self.source(species) @ self.radial).view(
            self.degree + 1, -1, self.width
        )  # (., s K, F)
        of_own = (numbers[:, None] == species).to(A.dtype) @ self.pairs  # (N, s K)
        return linear(A, R), (of_own * A[0]).sum(-1) / 2

    def energies(
        self, B: Tensor, numbers: Tensor, pair_energies: Tensor, sum_over: Sum | None = None
    ) -> Tensor:
        """(N,) e_i of what `expand` returns; `sum_over` as in `forward`."""
        return self.finish(*self.begin(B, numbers), pair_energies)

    def finish(self, x: Tensor, B: Tensor, pair_energies: Tensor) -> Tensor:
        """(N,) e_i of (N, F) x_i and (M, N, F) B_i before the last blocks."""
        for block in self.blocks:
            x, B = block(x, B)
        corrected: Tensor = self.readout(x).squeeze(-1) + pair_energies
        return corrected

    def begin(self, B: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """(N, F) x_i and (M, N, F) B_i before the first block."""
        t = self.target(numbers)
        B = scaled(B, self.target_scale(t))
        return self.target_shift(t) + B[0], B

    def pair_form(self, species: Tensor) -> nn.Module:
        """What is left of it once trained; see `deepset_bench.model.deepset_x.deployed_x`."""
        from deepset_bench.model.deepset_x.deployed_x import DeployedDeepSetX

        return DeployedDeepSetX(self, species)

    def know(self, species: Tensor) -> None:
        """Make room for the pair potential of (s,) species; it is zero."""
        self.pairs = torch.zeros(len(species), len(species) * len(self.centres))

    def fit_before_training(self, potential: Potential, labels: Labelled) -> None:
        """Fit the pair potential; see `deepset_bench.model.deepset_x.pairs`."""
        from deepset_bench.model.deepset_x.pairs import fit_pairs

        fit_pairs(potential, self, labels)

    def prepare(self, tables: Tables, species: Tensor) -> Tables:
        """Tables with [phi(d_ij) ; one-hot z_j] as features and dphi/dd as slopes."""
        phi, slopes = tabulate(self.basis, tables.distances)
        frame = torch.arange(len(tables), device=phi.device)[:, None, None]
        one_hot = tables.numbers[frame, tables.neighbours][..., None] == species
        return replace(tables, features=torch.cat([phi, one_hot], dim=-1), slopes=slopes)

    def energies_and_gradients(
        self, batch: Batch, species: Tensor, *, create_graph: bool
    ) -> tuple[Tensor, Tensor]:
        """Atomic energies and what vectors do to their sum, of tables that went through `prepare`.

        Args:
            batch: N rows of J neighbour slots, with `features` and `slopes`.
            species: (s,) the atomic numbers that occur.
            create_graph: whether gradients by the parameters will be asked for.

        Returns:
            (N,) dimensionless e_i (padding not masked) and (N, J, 3) dE / d(r_i - r_j) per
            angstrom, zero in padding.
        """
        assert batch.features is not None
        assert batch.slopes is not None
        K = batch.slopes.shape[-1]
        with torch.enable_grad():
            d, u = (t.detach().requires_grad_() for t in (batch.distances, batch.directions))
            # phi of this value and slope: all that a force is made of.
            phi = batch.features[..., :K] + batch.slopes * (d - batch.distances)[..., None]
            energies = self.of_pairs(phi, harmonics(u, self.degree), batch, species)
            real = torch.where(batch.numbers > 0, energies, 0.0).sum()
            by_d, by_u = torch.autograd.grad(real, (d, u), create_graph=create_graph)
        d, u = batch.distances, batch.directions
        across = by_u - u * (u * by_u).sum(-1, keepdim=True)
        return energies, u * by_d[..., None] + across / d[..., None]

    def of_pairs(self, phi: Tensor, Y: Tensor, batch: Batch, species: Tensor) -> Tensor:
        """(N,) e_i of (N, J, K) phi and (N, J, M) Y_lm of a batch's pairs and of its padding."""
        energies: Tensor = self(self.sums(phi, Y, batch), batch.numbers, species)
        return energies

    def sums(self, phi: Tensor, Y: Tensor, batch: Batch) -> Tensor:
        """(M, N, s K) A_i; the arguments of `of_pairs`."""
        assert batch.features is not None
        z = torch.where(batch.pair[..., None], batch.features[..., phi.shape[-1] :], 0.0)
        Yz = Y[..., None] * z[..., None, :]  # (N, J, M, s)
        A = Yz.flatten(2).transpose(1, 2) @ phi
        return A.view(A.shape[0], Y.shape[-1], -1).transpose(0, 1)


class Block(nn.Module):
    """A product of two functions on the sphere, gated by the invariants.

    Args:
        width: F.
        degree: of the functions.
        last: whether only x is asked for.
    """

    def __init__(self, width: int, degree: int, *, last: bool) -> None:
        super().__init__()
        self.width, self.last = width, last
        self.factors = normal(degree + 1, width, 2 * width, terms=width)  # [P_l, Q_l]
        self.out = None if last else normal(degree + 1, width, width, terms=width)
        gates = 0 if last else degree + 1
        self.mlp = perceptron((degree + 3) * width, 2 * width, (1 + gates) * width)

    def forward(self, x: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
        """(N, F), (M, N, F) -> the same; B as it came from the last block."""
        a, b = linear(B, self.factors).chunk(2, dim=-1)
        C = product(a, b)
        dots = [part.mean(0) for part in by_degree(a * b)]
        dx, *gates = self.mlp(torch.cat([x, *dots, (C * B).sum(0)], dim=-1)).split(self.width, -1)
        if self.out is not None:
            parts = by_degree(linear(C, self.out))
            B = B + torch.cat([g * part for g, part in zip(gates, parts, strict=True)])
        return x + dx, B


def normal(*shape: int, terms: int) -> nn.Parameter:
    """Numbers such that sums of `terms` products with them keep their size."""
    return nn.Parameter(torch.randn(*shape) / terms**0.5)


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    normalise = nn.LayerNorm(inputs, eps=NEGLIGIBLE)
    return nn.Sequential(
        normalise, nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs)
    )


def linear(B: Tensor, weight: Tensor) -> Tensor:
    """One linear map for each degree, (M, N, F), (L + 1, F, G) -> (M, N, G)."""
    return torch.cat([part @ W for part, W in zip(by_degree(B), weight, strict=True)])


def scaled(B: Tensor, scales: Tensor) -> Tensor:
    """One factor for each degree and channel, (M, N, F), (N, (L + 1) F) -> (M, N, F)."""
    each = scales.split(B.shape[-1], dim=-1)
    return torch.cat([part * scale for part, scale in zip(by_degree(B), each, strict=True)])
