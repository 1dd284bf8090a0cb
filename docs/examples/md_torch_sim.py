"""torch-sim on a trained run: many replicas of a molecule, all in one call of the potential.

    pip install torch-sim-atomistic
    python docs/examples/md_torch_sim.py model.pt2 --data but-2-ene --replicas 16

The deployed potential takes any number of systems at once; for 64 replicas of 12 atoms that is some
times the throughput of one after another.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch_sim as ts
from ase import Atoms
from ase.optimize import BFGS
from torch import Tensor
from torch_sim.models.interface import ModelInterface

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.evaluation.paths import starting_molecule


class DeepSetModel(ModelInterface):
    """A trained run, or an exported file, as torch-sim asks for it."""

    def __init__(self, calculator: DeepSetCalculator) -> None:
        super().__init__()
        self._device, self._dtype = torch.device("cpu"), torch.float64
        self._compute_forces = self._compute_stress = True
        deployed = calculator.deployed
        assert deployed is not None, "trained on every second edge"
        self.deployed = deployed

    def forward(self, state: Any, **_: Any) -> dict[str, Tensor]:
        """Energies (M,) eV, forces (A, 3) eV/angstrom, stress (M, 3, 3) eV/angstrom^3."""
        system = state.system_idx.numpy()
        cell = state.cell.numpy().transpose(0, 2, 1)  # torch-sim has lattice vectors in columns
        n = len(cell)
        found = self.deployed(
            Systems(
                numbers=state.atomic_numbers.numpy().astype(np.int64),
                positions=state.positions.numpy(),
                n_atoms=np.bincount(system, minlength=n),
                cell=cell,
                pbc=np.broadcast_to(np.asarray(state.pbc), (n, 3)),
            )
        )
        strain = np.zeros((n, 3, 3))
        np.add.at(strain, system, found.strain)
        volume = np.abs(np.linalg.det(cell))[:, None, None]
        return {
            "energy": torch.from_numpy(np.bincount(system, found.energies, n)),
            "forces": torch.from_numpy(found.forces),
            "stress": torch.from_numpy(strain / np.where(volume > 0, volume, np.inf)),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the replicas and print their temperature."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", help="folder of a trained run, or a file of bench export")
    parser.add_argument("--data", default="but-2-ene", help="set whose molecule moves")
    parser.add_argument("--replicas", type=int, default=16)
    parser.add_argument("--steps", type=int, default=400)
    given = parser.parse_args(arguments)

    molecule = starting_molecule(catalogue.load(given.data))
    atoms = Atoms(molecule.numbers, molecule.positions, cell=[50, 50, 50])
    calculator = DeepSetCalculator(given.potential)
    atoms.calc = calculator
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=300)
    torch.manual_seed(0)
    state = ts.integrate(
        system=[atoms.copy() for _ in range(given.replicas)],
        model=DeepSetModel(calculator),
        integrator=ts.nvt_langevin,
        n_steps=given.steps,
        temperature=300,
        timestep=0.0005,  # ps
    )
    kinetic = ts.calc_kinetic_energy(
        masses=state.masses, momenta=state.momenta, system_idx=state.system_idx
    )
    kelvin = 2 * kinetic.numpy() / (3 * len(atoms) * 8.617333e-5)

    print(f"{molecule.formula}, {given.replicas} replicas, {given.steps} steps of 0.5 fs")
    print(f"temperature  {kelvin.mean():8.1f} K, from {kelvin.min():.0f} to {kelvin.max():.0f}")


if __name__ == "__main__":
    main()
