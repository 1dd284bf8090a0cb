"""A trained run for metatomic, which LAMMPS, i-PI, PLUMED and torch-sim load: TorchScript.

Energies alone are computed; metatomic differentiates them by positions and by strain. metatomic
reads the annotations of this module: they are no strings, and spelled as it knows them.
"""
# ruff: noqa: UP006, UP035, UP045

import os
import shutil
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)
from torch import Tensor, nn

from deepset_bench.deployment.function import Deployed
from deepset_bench.files import naming


class MetatomicPotential(nn.Module):
    """Energies of systems, in the form that metatomic asks for.

    Args:
        energies: of the network, traced; see `AtomicEnergies`.
        deployed: the potential.
        constant: eV of each system beside.
    """

    atomic_reference: Tensor
    scale: Tensor

    def __init__(self, energies: Any, deployed: Deployed, constant: float) -> None:
        super().__init__()
        self.energies = energies
        self.cutoff, self.constant = deployed.cutoff, constant
        self.dtype = deployed.dtype
        self.register_buffer("atomic_reference", deployed.atomic_reference.clone())
        self.register_buffer("scale", deployed.scale.double())
        self.options = NeighborListOptions(cutoff=deployed.cutoff, full_list=True, strict=True)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """Every pair within the cutoff, from both its atoms."""
        return [self.options]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """See `metatomic.torch.ModelInterface`."""
        results: Dict[str, TensorMap] = {}
        if "energy" not in outputs:
            return results
        per_atom = outputs["energy"].sample_kind == "atom"
        values: List[Tensor] = []
        samples: List[Tensor] = []
        for number, system in enumerate(systems):
            energies = self.of_atoms(system)
            atoms = torch.arange(len(system))
            if selected_atoms is not None:
                ours = selected_atoms.column("system") == number
                atoms = selected_atoms.column("atom")[ours].to(torch.int64)
            energies = energies[atoms]
            if per_atom:
                values.append(energies + self.constant / len(system))
                samples.append(torch.stack([torch.full_like(atoms, number), atoms], dim=1))
            else:
                share = self.constant * len(atoms) / len(system)
                values.append(energies.sum().reshape(1) + share)
                samples.append(torch.full((1, 1), number))
        names = ["system", "atom"] if per_atom else ["system"]
        block = TensorBlock(
            values=torch.cat(values).reshape(-1, 1),
            samples=Labels(names, torch.cat(samples).to(torch.int32)),
            components=torch.jit.annotate(List[Labels], []),
            properties=Labels(["energy"], torch.zeros(1, 1, dtype=torch.int32)),
        )
        results["energy"] = TensorMap(Labels(["_"], torch.zeros(1, 1, dtype=torch.int32)), [block])
        return results

    def of_atoms(self, system: System) -> Tensor:
        """(A,) eV, the reference of the elements included."""
        found = system.get_neighbor_list(self.options)
        centre = found.samples.column("first_atom").to(torch.int64)
        other = found.samples.column("second_atom").to(torch.int64)
        vectors = -found.values.reshape(-1, 3)  # from neighbour to centre
        A = len(system)
        numbers = system.types.to(torch.int64)
        counts = torch.bincount(centre, minlength=A)
        order = torch.argsort(centre, stable=True)
        centre, other, vectors = centre[order], other[order], vectors[order]
        first = torch.cumsum(counts, 0) - counts
        J = 2
        if len(centre) > 0:
            J = max(J, int(counts.max().item()))
        slot = centre * J + torch.arange(len(centre)) - first[centre]
        atoms = torch.arange(A)
        neighbours = atoms.repeat_interleave(J).index_copy(0, slot, other).reshape(A, J)
        nowhere = torch.zeros(A * J, 3, dtype=vectors.dtype)
        nowhere[:, 0] = self.cutoff
        table = nowhere.index_copy(0, slot, vectors).reshape(A, J, 3)
        pair = torch.zeros(A * J, dtype=torch.bool).index_fill(0, slot, True).reshape(A, J)
        energies = self.energies(numbers, atoms, neighbours, table.to(self.dtype), pair)
        return energies.to(torch.float64) * self.scale + self.atomic_reference[numbers]


def model(deployed: Deployed, species: Tensor, constant: float, card: str) -> AtomisticModel:
    """The scripted model, which takes and gives float64 whatever the network computes in.

    Args:
        deployed: of a network whose atoms see their neighbours alone.
        species: (s,) atomic numbers that it knows.
        constant: eV of each system beside.
        card: what it is and is not for.
    """
    A, J = 5, 3
    numbers = species[torch.arange(A) % len(species)]
    neighbours = (torch.arange(A)[:, None] + 1 + torch.arange(J)) % A
    positions = torch.randn(A, 3, generator=torch.Generator().manual_seed(0)) * 2
    vectors = (positions[:, None] - positions[neighbours]).to(deployed.dtype)
    given = (numbers, torch.arange(A), neighbours, vectors, torch.ones(A, J, dtype=torch.bool))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and metatomic needs it
        return _scripted(deployed, given, species, constant, card)


def save(potential: AtomisticModel, file: Path) -> None:
    """Write a model of `model`.

    PyTorch's writer ends the process where a disk refuses what it writes; so it writes into memory
    where the system takes that for a file, as Linux does.

    Raises:
        OSError: the file cannot be written.
    """
    if not hasattr(os, "memfd_create"):
        potential.save(file)
        return
    with os.fdopen(os.memfd_create(file.name), "rb") as memory:
        potential.save(f"/proc/self/fd/{memory.fileno()}")
        with naming(file), file.open("wb") as stream:
            shutil.copyfileobj(memory, stream)


def _scripted(
    deployed: Deployed, given: tuple[Tensor, ...], species: Tensor, constant: float, card: str
) -> AtomisticModel:
    traced = torch.jit.trace(deployed.energies, given, check_trace=False)
    module = MetatomicPotential(traced, deployed, constant).eval()
    energy = ModelOutput(unit="eV", sample_kind="atom")
    capabilities = ModelCapabilities(
        outputs={"energy": energy},
        atomic_types=species.tolist(),
        interaction_range=deployed.cutoff,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype="float64",
    )
    return AtomisticModel(module, ModelMetadata(description=card), capabilities)


def calculator(path: Path) -> Any:
    """ASE's calculator of a saved model."""
    from metatomic_ase import MetatomicCalculator

    return MetatomicCalculator(str(path), device="cpu")
