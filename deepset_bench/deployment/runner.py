"""A deployed potential at work: neighbours kept, and compiled once that pays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from deepset_bench.denormals import flushed
from deepset_bench.deployment import packages
from deepset_bench.deployment.exported import ExportedPotential
from deepset_bench.deployment.function import Deployed, EnergiesAndForces
from deepset_bench.deployment.neighbourhoods import Neighbourhoods, Systems
from deepset_bench.errors import one_line
from deepset_bench.molecules.frames import FloatArray

PAYS = 2000
"""Calls after which a potential is compiled: they have taken about as long as compiling will."""


class Runner:
    """Energies, forces and strain derivatives of systems, one after another or several at once.

    Args:
        deployed: the potential, of a run or out of a file; the latter is compiled already.
        species: (s,) atomic numbers that it knows.
        compile_it: whether to compile; None for once it pays, or at once where it was before.
        say: takes the line that explains why it could not be compiled.
    """

    def __init__(
        self,
        deployed: Deployed | ExportedPotential,
        species: torch.Tensor,
        compile_it: bool | None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.deployed, self.species, self.say = deployed, species, say
        self.device = species.device
        self.neighbourhoods = Neighbourhoods(deployed.cutoff, self.device, local=deployed.local)
        self.function: Callable[..., Any] = deployed
        self.calls = 0
        self.compile_it = compile_it

    @flushed()
    def __call__(self, systems: Systems) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(A,) atomic energies in eV, (A, 3) forces in eV/angstrom, (A, 3, 3) strain derivatives.

        All float64; see `EnergiesAndForces`.
        """
        self._compile_in_time()
        A = len(systems.numbers)
        numbers = torch.tensor(systems.numbers, device=self.device)
        positions = torch.tensor(systems.positions, device=self.device)
        parts = self.neighbourhoods(systems)
        function = self.function if A > 1 else self.deployed  # compiled for two atoms or more
        with torch.no_grad():
            if len(parts) == 1:  # of all atoms in their order
                whole = EnergiesAndForces(*function(numbers, positions, *parts[0]))
                one, two, three = (values.double().numpy(force=True) for values in whole)
                return one, two, three
            energies, strain = np.empty(A), np.empty((A, 3, 3))
            forces = np.zeros((A, 3))
            for part in parts:
                answer = EnergiesAndForces(*function(numbers, positions, *part))
                centres = part.centres.numpy(force=True)
                energies[centres] = answer.energies.numpy(force=True)
                strain[centres] = answer.strain.numpy(force=True)
                forces += answer.forces.numpy(force=True)
        return energies, forces, strain

    def _compile_in_time(self) -> None:
        """Take what was compiled before, or compile, if it is time for that."""
        self.calls += 1
        first, pays = self.calls == 1, self.calls == PAYS
        deployed = self.deployed
        if isinstance(deployed, ExportedPotential) or self.compile_it is False:
            return
        if not (first or pays):
            return
        try:
            kept = packages.place(deployed)
            if first and not (self.compile_it or kept.exists()):
                return
            self.function = packages.compiled(deployed, self.species, kept)
        except Exception as error:  # whatever the platform's compiler raises
            self.say(f"not compiled, so that each step takes longer: {one_line(error)}")
        self.compile_it = False
