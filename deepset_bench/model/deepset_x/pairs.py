"""The pair potential that DeepSet X corrects: what it says where it knows nothing.

A network is free where no training frame is, and far off there. Its energies are better a
correction to something that is right about bonds than the whole: GAP's pair terms (Bartok and
Csanyi 2015, Int. J. Quantum Chem. 115, 1051) and the baselines of delta-learning have that purpose.
Here it is E = 1/2 sum_ij sum_k c[z_i, z_j, k] phi_k(d_ij), with the functions of distance that the
network has anyway, and with coefficients found by ridge regression before the first step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepset_bench.model.batches import Batch
from deepset_bench.model.deepset_x.network import DeepSetX
from deepset_bench.model.labelled import Labelled
from deepset_bench.model.potential import Potential

RIDGE = 1e-4
"""Weight of |c|^2 beside the two mean squared errors, all without dimension."""

AT_ONCE = 64
"""Frames whose equations are in memory."""

MOST = 50_000
"""Frames, evenly spaced, that are enough for some hundred coefficients."""


def fit_pairs(potential: Potential, model: DeepSetX, labels: Labelled) -> None:
    """Set the model's pair potential; the potential's scale becomes what it leaves of the energies.

    Minimises  <(E - E_label)^2> / <E_label^2>  +  <(F - F_label)^2> / <F_label^2>  +  RIDGE |c|^2,
    c in units of the root mean square E_label.

    Args:
        potential: of the model; the labels are prepared by it.
        labels: of training.
    """
    energies, forces = _gram(potential, labels)
    E2, F2 = (float(gram[-1, -1]) or 1.0 for gram in (energies, forces))
    both = energies / E2 + forces / F2
    both.diagonal().add_(RIDGE / E2)
    c = torch.linalg.solve(both[:-1, :-1], both[:-1, -1])
    residual = torch.cat([c, c.new_tensor([-1.0])])
    scale = max(float(residual @ energies @ residual), 0.0) ** 0.5 or 1.0
    s, K = len(potential.species), len(model.centres)
    first, second = torch.triu_indices(s, s)
    pairs = c.new_empty(s, s, K)
    pairs[first, second] = pairs[second, first] = c.view(-1, K) / scale
    model.pairs.copy_(pairs.flatten(1))
    potential.scale.fill_(scale)


def _gram(potential: Potential, labels: Labelled) -> tuple[Tensor, Tensor]:
    """Mean products of [dE/dc, E_label], a frame, and of [dF/dc, F_label], a component; in eV."""
    energies = forces = torch.zeros(())
    chosen = torch.arange(len(labels))
    if len(labels) > MOST:
        chosen = torch.linspace(0, len(labels) - 1, MOST, dtype=torch.float64).long()
    atoms = 0
    for chunk in chosen.split(AT_ONCE):
        made, frames = labels.of(chunk)
        for part in made.tables.gather(frames):
            real = part.batch.numbers > 0
            atoms += int(real.sum())
            by_energy, by_force = _columns(part.batch, potential.species)
            rows = torch.cat([by_energy, made.energy[part.frames, None]], dim=1).double()
            energies = energies + rows.T @ rows / len(chosen)
            label = made.forces[part.bucket][part.rows].flatten(0, 1)[..., None]
            rows = torch.cat([by_force * potential.force_unit, label], dim=-1)[real].double()
            forces = forces + torch.einsum("nap,naq->pq", rows, rows)
    return energies, forces / (3 * atoms)


def _columns(batch: Batch, species: Tensor) -> tuple[Tensor, Tensor]:
    """By each coefficient, energies (B, P) and forces (N, 3, P); P is s (s + 1) / 2 K."""
    assert batch.features is not None
    assert batch.slopes is not None
    K = batch.slopes.shape[-1]
    own = (batch.numbers[:, None] == species).to(batch.slopes.dtype)[:, None, :, None]
    other = torch.where(batch.pair[..., None], batch.features[..., K:], 0.0).mT  # (N, s, J)
    first, second = torch.triu_indices(len(species), len(species))

    def of_kinds(sums: Tensor) -> Tensor:
        """(N, A, s, K) sums over neighbours of each species -> (N, A, P) by the kind of pair."""
        one, two = (own[:, :, a] * sums[:, :, b] for a, b in ((first, second), (second, first)))
        return torch.where((first == second)[:, None], one, one + two).flatten(2)

    phi = (other @ batch.features[..., :K])[:, None]
    u = batch.directions.mT[:, :, None]  # (N, 3, 1, J)
    slopes = (u * other[:, None]) @ batch.slopes[:, None]
    energies = of_kinds(phi)[:, 0] / 2
    return energies.view(batch.n_frames, -1, energies.shape[-1]).sum(1), -of_kinds(slopes)
