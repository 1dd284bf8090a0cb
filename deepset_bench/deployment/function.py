"""A trained potential as one function of numbers, positions and neighbours.

Nothing in it is learned any more: weights are multiplied out, functions of distances are splines
where a network allows it, and energies, forces and the strain derivative come from one call, which
can be traced, compiled and exported.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from deepset_bench.model.energy_reference import EnergyReference
from deepset_bench.model.potential import Potential, on_the_cpu
from deepset_bench.schema import MAX_ATOMIC_NUMBER


class EnergiesAndForces(NamedTuple):
    """What a deployed potential says of N centres among A atoms.

    Attributes:
        energies: (N,) float64 eV, the reference energy of each element included.
        forces: (A, 3) eV/angstrom, what the energies of these centres exert on all atoms.
        strain: (N, 3, 3) eV, the derivative of each energy by a strain of all vectors; their sum
            divided by a cell's volume is the stress as ASE has it.
    """

    energies: Tensor
    forces: Tensor
    strain: Tensor


class AtomicEnergies(Protocol):
    """A network's atomic energies from padded neighbours.

    `numbers` (A,) of all atoms, `centres` (N,), `neighbours` (N, J), `vectors` (N, J, 3) from
    neighbour to centre in angstrom, `pair` (N, J) whether the slot holds a pair; in slots that hold
    none, vectors are (cutoff, 0, 0). Returns (N,) dimensionless energies.

    Attributes:
        local: whether an energy depends on the pairs of its own centre alone; otherwise `centres`
            are all atoms in their order.
    """

    local: bool

    def __call__(
        self, numbers: Tensor, centres: Tensor, neighbours: Tensor, vectors: Tensor, pair: Tensor
    ) -> Tensor: ...


class Deployed(nn.Module):
    """Energies, forces and strain derivative of some atoms among many.

    Args:
        potential: trained; what is made of it is in its precision and on its device.
        reference: of its energies.
        cutoff: in angstrom.

    Attributes:
        local: whether an atom's energy depends on its own neighbours alone, so that a system may
            be computed a few centres at a time; otherwise all its atoms are centres.
    """

    atomic_reference: Tensor
    scale: Tensor

    def __init__(self, potential: Potential, reference: EnergyReference, cutoff: float) -> None:
        super().__init__()
        device = potential.species.device
        # Splines are made of numbers that are looked at one by one; then all of it moves.
        potential = on_the_cpu(potential)
        model = potential.model
        self.cutoff = cutoff
        made = getattr(model, "pair_form", lambda species: None)(potential.species)
        self.energies: nn.Module = made if made is not None else EdgeByEdge(model)
        self.local = bool(self.energies.local)
        self.force_unit = potential.force_unit
        last = max(MAX_ATOMIC_NUMBER, int(reference.species.max()))
        of_elements = torch.zeros(last + 1, dtype=torch.float64)
        of_elements[torch.from_numpy(reference.species)] = torch.from_numpy(reference.energies)
        self.register_buffer("atomic_reference", of_elements)
        self.register_buffer("scale", potential.scale.detach().clone())
        self.dtype = next(potential.parameters()).dtype
        self.to(device)

    def forward(
        self,
        numbers: Tensor,
        positions: Tensor,
        centres: Tensor,
        neighbours: Tensor,
        shifts: Tensor,
    ) -> EnergiesAndForces:
        """Compute; nothing in it is differentiable.

        Args:
            numbers: (A,) int64 atomic numbers.
            positions: (A, 3) float64, angstrom.
            centres: (N,) int64, whose energies are asked for.
            neighbours: (N, J) int64, the atom in each slot. A slot whose atom is farther than the
                cutoff, or is the centre itself without a shift, holds no pair.
            shifts: (N, J, 3) float64, angstrom, what is added to the neighbour's position: a sum of
                lattice vectors, or zero.

        Returns:
            The answer; the energy of an atom that is where another one is is NaN.
        """
        v = positions[centres][:, None] - positions[neighbours] - shifts
        square = (v * v).sum(-1)
        pair = (square > 0) & (square < self.cutoff**2)
        nowhere = torch.tensor([self.cutoff, 0.0, 0.0], dtype=v.dtype, device=v.device)
        v = torch.where(pair[..., None], v, nowhere).to(self.dtype)
        with torch.enable_grad():
            vectors = v.detach().requires_grad_()
            energies = self.energies(numbers, centres, neighbours, vectors, pair)
            (slope,) = torch.autograd.grad(energies.sum(), vectors)
        slope = torch.where(pair[..., None], slope * self.scale.to(self.dtype), 0.0)
        forces = positions.new_zeros(positions.shape, dtype=self.dtype)
        forces = forces.index_add(0, neighbours.flatten(), slope.flatten(0, 1))
        forces = forces.index_add(0, centres, -slope.sum(1))
        strain = v.transpose(1, 2) @ slope
        own = self.atomic_reference[numbers[centres]]
        total = (energies.detach() * self.scale).double() + own
        together = ((square == 0) & (neighbours != centres[:, None])).any(-1)
        total = torch.where(together, torch.nan, total)
        return EnergiesAndForces(total, forces * self.force_unit, strain)


class EdgeByEdge(nn.Module):
    """Any network as its definition has it, edge by edge, of all atoms at once."""

    local = False

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, numbers: Tensor, centres: Tensor, neighbours: Tensor, vectors: Tensor, pair: Tensor
    ) -> Tensor:
        """See `AtomicEnergies`."""
        # Slots without a pair are edges between two atoms that are not there.
        A, J = numbers.shape[0], neighbours.shape[1]
        i = torch.where(pair, centres[:, None].expand(-1, J), A + 1).flatten()
        j = torch.where(pair, neighbours, A).flatten()
        numbers = torch.cat([numbers, numbers[:1], numbers[:1]])
        energies: Tensor = self.model(numbers, vectors.flatten(0, 1), torch.stack([j, i]))
        return energies[:A]
