"""OpenMM on a trained run: Langevin dynamics with a `PythonForce`.

    pip install openmm
    python docs/examples/md_openmm.py model.pt2 --data but-2-ene

OpenMM asks for energy and forces at each step, in kJ/mol and nanometres. Without its own forces it
is slower than the calculator in ASE; it is worth the while for its integrators and enhanced
sampling, and beside a force field that OpenMM computes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import openmm
from ase import Atoms, units
from ase.optimize import BFGS
from openmm import unit

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.evaluation.paths import starting_molecule

KJ_PER_MOL = units.kJ / units.mol
"""In eV."""
NANOMETRE = 10.0
"""In angstrom."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the dynamics and print the temperature, and how OpenMM's forces compare with ASE's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", help="folder of a trained run, or a file of bench export")
    parser.add_argument("--data", default="but-2-ene", help="set whose molecule moves")
    parser.add_argument("--steps", type=int, default=2000)
    given = parser.parse_args(arguments)

    molecule = starting_molecule(catalogue.load(given.data))
    atoms = Atoms(molecule.numbers, molecule.positions)
    atoms.calc = DeepSetCalculator(given.potential)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=300)

    def compute(state: openmm.State) -> tuple[float, np.ndarray]:
        atoms.positions = state.getPositions(asNumpy=True)._value * NANOMETRE
        forces = atoms.get_forces() * (NANOMETRE / KJ_PER_MOL)
        return atoms.get_potential_energy() / KJ_PER_MOL, forces

    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    system.addForce(openmm.PythonForce(compute))
    integrator = openmm.LangevinMiddleIntegrator(
        300 * unit.kelvin, 10 / unit.picosecond, 0.5 * unit.femtoseconds
    )
    integrator.setRandomNumberSeed(1)
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, reference)
    context.setPositions(atoms.positions / NANOMETRE)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    kelvin = []
    for _ in range(given.steps // 10):
        integrator.step(10)
        kinetic = context.getState(energy=True).getKineticEnergy()._value * KJ_PER_MOL
        kelvin.append(2 * kinetic / (3 * len(atoms) * units.kB))
    last = context.getState(positions=True, forces=True)
    atoms.positions = last.getPositions(asNumpy=True)._value * NANOMETRE
    theirs = last.getForces(asNumpy=True)._value * (KJ_PER_MOL / NANOMETRE)
    difference = np.abs(theirs - atoms.get_forces()).max()

    print(f"{molecule.formula}, {given.steps} steps of 0.5 fs in OpenMM")
    print(f"temperature       {np.mean(kelvin):8.1f} K")
    print(f"force difference  {difference:8.1e} eV/angstrom")


if __name__ == "__main__":
    main()
