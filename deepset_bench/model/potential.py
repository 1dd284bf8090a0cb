"""Model, scale and units put together: energies in eV and forces in eV/angstrom of a batch."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from deepset_bench.errors import chosen
from deepset_bench.model.batches import Batch, Tables


class Prediction(NamedTuple):
    """What a potential says of a batch.

    energy: (B,) eV, relative to the energy reference; forces: (N, 3) eV/angstrom;
    atomic_energies: (N,) eV, relative to the reference, zero in padding.
    """

    energy: Tensor
    forces: Tensor
    atomic_energies: Tensor


class Potential(nn.Module):
    """E = scale * sum_i e_i (+ reference, added in float64 outside), F = -force_unit * dE/dr.

    Args:
        model: the atomic energies; see `deepset_bench.variants.model`. Where it has the fused form,
            `prepare(tables, species)` adds to tables what it needs of the geometry, and
            `energies_and_forces(batch, species, create_graph=...)` returns (N,) and (N, 3) of it;
            `no_fused_form`, where it has that, says why it cannot as it is. `know(species)` tells
            it which (s,) species occur.
        species: (s,) atomic numbers that occur in training.
        scale: eV; the standard deviation of the training energies about the reference.
        force_unit: 1, or 1 / Bohr where the report's mixed units are reproduced: its model's
            hartree/angstrom were read as hartree/bohr.
        form: `fused` (fast) or `reference` (the definition), the same function; of a network that
            has one of them alone, it is that one.
    """

    species: Tensor
    scale: Tensor

    def __init__(
        self,
        model: nn.Module,
        species: Tensor,
        scale: float,
        *,
        force_unit: float = 1.0,
        form: str = "fused",
    ) -> None:
        super().__init__()
        self.model = model
        if hasattr(model, "know"):
            cast("Any", model).know(species)
        self.register_buffer("species", species)
        self.register_buffer("scale", torch.tensor(scale))  # float32: MPS has no float64
        self.force_unit = force_unit
        forms: tuple[str, ...] = getattr(type(model), "forms", ("reference",))
        self.form: str = form if len(forms) > 1 else forms[0]
        if self.form == "fused" and str(getattr(model, "no_fused_form", "")):
            self.form = "reference"
        chosen("form", self.form, _COMPUTE)

    def prepare(self, tables: Tables) -> Tables:
        """Tables with what this potential needs of the geometry, computed once."""
        if self.form == "reference":
            return tables
        with torch.no_grad():
            prepared: Tables = cast("Any", self.model).prepare(tables, self.species)
        return prepared

    def forward(self, batch: Batch) -> Prediction:
        """Energies and forces; differentiable by the parameters while the module is training."""
        atomic, forces = _COMPUTE[self.form](self, batch)
        scale = self.scale.to(atomic.dtype)
        atomic = torch.where(batch.numbers > 0, atomic, 0.0) * scale
        energy = batch.per_frame(atomic)
        return Prediction(energy, forces * (scale * self.force_unit), atomic)

    def _fused(self, batch: Batch) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = cast("Any", self.model).energies_and_forces(
            batch, self.species, create_graph=self.training
        )
        return found

    def _reference(self, batch: Batch) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            positions = batch.positions.detach().requires_grad_()
            edge_index = batch.edge_index()
            vectors = (positions[edge_index[1]] - positions[edge_index[0]]).to(
                batch.distances.dtype
            )
            energies = self.model(batch.numbers, vectors, edge_index)
            real = torch.where(batch.numbers > 0, energies, 0.0).sum()
            (gradient,) = torch.autograd.grad(real, positions, create_graph=self.training)
        return energies, -gradient.to(energies.dtype)


_COMPUTE = {"fused": Potential._fused, "reference": Potential._reference}
"""By `form`."""
