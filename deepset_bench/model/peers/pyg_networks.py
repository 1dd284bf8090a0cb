"""Published networks as atomic energies, trained and judged like the DeepSet; PyG's code.

Both find their neighbours themselves, with a package of its own; here they are given the edges of
the batch. Energies and forces of SchNet are continuous at the cutoff. ViSNet's are not: its vector
messages SiLU(W m_ij + b) u_ij do not vanish with m_ij once the bias b has been trained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn.models import SchNet as PyGSchNet
from torch_geometric.nn.models.visnet import ViSNetBlock

from deepset_bench.model.peers.given import Given, GivenWithLoops, cut_tails
from deepset_bench.model.readout import EquivariantReadout
from deepset_bench.variants import model


@model("schnet", divisible_by=2)  # both halves of its readout
class SchNet(nn.Module):
    """Continuous-filter convolutions over distances (Schuett et al. 2018, J. Chem. Phys. 148).

    Args:
        width: features of an atom and of a filter.
        layers: interaction blocks.
        basis_size: Gaussians on [0, cutoff].
        cutoff: in angstrom.
    """

    def __init__(self, width: int, layers: int, basis_size: int, cutoff: float) -> None:
        super().__init__()
        self.network = PyGSchNet(
            hidden_channels=width,
            num_filters=width,
            num_interactions=layers,
            num_gaussians=basis_size,
            cutoff=cutoff,
            interaction_graph=Given(),
        )
        self.network.readout = _AtomByAtom()
        self.network.distance_expansion.register_forward_hook(cut_tails)
        for block in self.network.interactions:
            # The same module as block.conv.nn; after torch.func.functional_call, what is registered
            # twice holds the tensors of that call.
            del block.mlp

    def forward(self, numbers: Tensor, vectors: Tensor, edge_index: Tensor) -> Tensor:
        """(N,) dimensionless atomic energies; see `DeepSet.forward`."""
        # Each atom a molecule of its own: what is summed over molecules stays atomic.
        atoms = torch.arange(numbers.shape[0], device=numbers.device)
        energies: Tensor = self.network(numbers, (edge_index, vectors), atoms)
        return energies.squeeze(-1)


@model("visnet", divisible_by=8, masks_edges=True)  # its heads
class ViSNet(nn.Module):
    """Equivariant attention over vectors, l = 1 (Wang et al. 2024, Nat. Commun. 15, 313).

    PyG's representation and our readout, the same gated equivariant blocks as PyG's, whose
    gradient in training is NaN where a vector is zero, as an isolated atom's are.

    Args:
        width: features of an atom, divisible by the 8 attention heads.
        layers: message passing blocks.
        basis_size: exponential-normal functions.
        cutoff: in angstrom.
    """

    def __init__(self, width: int, layers: int, basis_size: int, cutoff: float) -> None:
        super().__init__()
        self.representation = ViSNetBlock(
            hidden_channels=width, num_layers=layers, num_rbf=basis_size, cutoff=cutoff
        )
        self.representation.distance = GivenWithLoops("visnet")
        self.representation.distance_expansion.register_forward_hook(cut_tails)
        self.readout = EquivariantReadout(width)

    def forward(self, numbers: Tensor, vectors: Tensor, edge_index: Tensor) -> Tensor:
        """(N,) dimensionless atomic energies; see `DeepSet.forward`."""
        atoms = torch.arange(numbers.shape[0], device=numbers.device)
        X, V = self.representation(numbers, (edge_index, vectors), atoms)
        return self.readout(X, V)


class _AtomByAtom(nn.Module):
    """In the place of SchNet's sum over a molecule's atoms: each atom is a molecule of its own."""

    def forward(self, energies: Tensor, atoms: Tensor, dim: int) -> Tensor:
        """(N, 1) as they are."""
        return energies
