"""Molecular dynamics at constant energy on a trained run: how far does the energy drift?

    python docs/examples/dynamics.py runs/but-2-ene/corrected/baseline/seed-0

The trans form is relaxed, given velocities of twice the temperature (half of the energy goes into
the bonds) and propagated by velocity Verlet. Forces that are the gradient of the energy conserve
the total energy up to Verlet's own error, which stays bounded; a drift grows with time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from scipy.stats import linregress

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.evaluation.paths import starting_molecule

EVERY = 10
"""Steps between two records."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the dynamics and print what became of the energy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="+", help="folder of a trained run, or of several seeds")
    parser.add_argument("--picoseconds", type=float, default=2.0)
    parser.add_argument("--timestep", type=float, default=0.5, help="fs")
    parser.add_argument("--temperature", type=float, default=300.0, help="kelvin")
    parser.add_argument("--precision", choices=["float32", "float64"], default="float32")
    given = parser.parse_args(arguments)

    calculator = DeepSetCalculator(given.run, precision=given.precision)
    data = calculator.ensemble.members[0].config.data.name
    molecule = starting_molecule(catalogue.load(data))
    atoms = Atoms(molecule.numbers, molecule.positions, calculator=calculator)
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=500)

    thermalize_momenta(atoms, 2 * given.temperature, rng=np.random.default_rng(0))
    Stationary(atoms)
    ZeroRotation(atoms)
    dynamics = VelocityVerlet(atoms, timestep=given.timestep * units.fs)
    rows = []

    def record() -> None:
        time = dynamics.get_time() / (1000 * units.fs)
        rows.append((time, atoms.get_total_energy(), atoms.get_kinetic_energy()))

    dynamics.attach(record, interval=EVERY)
    dynamics.run(round(1000 * given.picoseconds / given.timestep))
    time, total, kinetic = np.array(rows).T
    temperature = 2 * kinetic / ((3 * len(atoms) - 6) * units.kB)
    line = linregress(time, 1000 * total)
    i, j = molecule.bonds.T
    lengths = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
    first = np.linalg.norm(molecule.positions[i] - molecule.positions[j], axis=1)

    print(f"{molecule.formula}, {time[-1]:g} ps in steps of {given.timestep:g} fs")
    print(f"temperature                  {temperature.mean():8.1f} K")
    print(f"kinetic energy, std          {1000 * kinetic.std():8.1f} meV")
    print(f"total energy, std            {1000 * total.std():8.3f} meV")
    print(f"drift                        {line.slope:8.3f} ± {line.stderr:.3f} meV/ps")
    print(f"drift per atom               {line.slope / len(atoms):8.4f} meV/ps")
    print(f"longest bond over its first  {(lengths / first).max():8.2f}")


if __name__ == "__main__":
    main()
