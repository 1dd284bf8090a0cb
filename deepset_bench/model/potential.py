"""Model, scale and units put together: energies in eV and forces in eV/angstrom of a batch."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from deepset_bench.errors import UserError, chosen
from deepset_bench.model.batches import Batch, Tables
from deepset_bench.model.others import of_shape

INEXACT = ("mps",)
"""Devices without float64 and complex numbers, in which functions of distances are tabulated."""


class Prediction(NamedTuple):
    """What a potential says of a batch.

    energy: (B,) eV, relative to the energy reference; forces: (N, 3) eV/angstrom;
    atomic_energies: (N,) eV, relative to the reference, zero in padding; stress: (B, 3, 3)
    eV/angstrom^3, as in `Frames`, zero in frames without a volume; None where none is periodic.
    """

    energy: Tensor
    forces: Tensor
    atomic_energies: Tensor
    stress: Tensor | None = None


class Potential(nn.Module):
    """E = scale * sum_i e_i (+ reference, added in float64 outside), F = -force_unit * dE/dr.

    Args:
        model: the atomic energies; see `deepset_bench.variants.model`. Where it has the fused form,
            `prepare(tables, species)` adds to tables what it needs of the geometry, and
            `energies_and_gradients(batch, species, create_graph=...)` returns (N,) energies and
            (N, J, 3) derivatives of their sum by r_i - r_j of each pair, zero in padding;
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
        for method in ("prepare", "energies_and_gradients") if self.form == "fused" else ():
            if not hasattr(model, method):
                raise UserError(f"{type(model).__name__} has no method {method} for its fused form")

    def prepare(self, tables: Tables, *, again: bool = False) -> Tables:
        """Tables with what this potential needs of the geometry, computed once.

        `again` lets it look at all frames for what they have in common, which pays for a set that
        is in these tables alone and is computed again and again.
        """
        if self.form == "reference":
            return tables
        device = self.species.device
        if device.type in INEXACT:
            tables = on_the_cpu(self).prepare(tables.to(torch.device("cpu")), again=again)
            return tables.to(device)
        if again and hasattr(self.model, "study"):
            tables = cast("Any", self.model).study(tables)
        with torch.no_grad():
            prepared: Tables = cast("Any", self.model).prepare(tables, self.species)
        return replace(prepared, shifts=None)  # of the other form

    def forward(self, batch: Batch) -> Prediction:
        """What it says; differentiable by the parameters while the module is training."""
        atomic, forces, stress = _COMPUTE[self.form](self, batch)
        scale = self.scale.to(atomic.dtype)
        atomic = torch.where(batch.numbers > 0, atomic, 0.0) * scale
        energy = batch.per_frame(atomic)
        unit = scale * self.force_unit
        return Prediction(energy, forces * unit, atomic, None if stress is None else stress * unit)

    def _fused(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        found: tuple[Tensor, Tensor] = cast("Any", self.model).energies_and_gradients(
            batch, self.species, create_graph=self.training
        )
        energies, by_vector = found
        energies = of_shape(energies, batch.numbers.shape, self.model, batch.distances)
        by_vector = of_shape(by_vector, batch.directions.shape, self.model, batch.distances)
        return energies, batch.forces(by_vector), batch.stress(by_vector)

    def _reference(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        with torch.enable_grad():
            batch = batch.with_edges()
            positions = batch.positions.detach().requires_grad_()
            edge_index = batch.edge_index()
            exact = positions[edge_index[1]] - positions[edge_index[0]]
            if batch.shifts is not None:
                exact = exact - batch.of_edges(batch.shifts)
            vectors = exact.to(batch.distances.dtype)
            energies = self.model(batch.numbers, vectors, edge_index)
            energies = of_shape(energies, batch.numbers.shape, self.model, vectors)
            real = torch.where(batch.numbers > 0, energies, 0.0).sum()
            wanted = [positions] if batch.volume is None else [positions, vectors]
            gradient, *of_edges = self._gradients(real, wanted, edge_index)
            stress = None
            if of_edges:
                stress = batch.stress(batch.of_slots(of_edges[0]))
        return energies, -gradient.to(energies.dtype), stress

    def _gradients(self, energy: Tensor, wanted: list[Tensor], edge_index: Tensor) -> list[Tensor]:
        """By positions, and by what else is wanted; of atoms without neighbours they are zero."""
        found: tuple[Tensor | None, ...] = (None,)
        if energy.requires_grad:
            found = torch.autograd.grad(
                energy, wanted, create_graph=self.training, allow_unused=True
            )
        gradients = [gradient for gradient in found if gradient is not None]
        if gradients or not edge_index.shape[1]:
            return gradients or [torch.zeros_like(value) for value in wanted]
        name = type(self.model).__name__
        raise UserError(f"{name}: its energies do not depend on vectors; there would be no forces")


def on_the_cpu(potential: Potential) -> Potential:
    """A copy there, with nothing to be learned."""
    return copy.deepcopy(potential).cpu().eval().requires_grad_(False)


_COMPUTE = {"fused": Potential._fused, "reference": Potential._reference}
"""By `form`."""
