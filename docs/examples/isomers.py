"""The cis and trans minima, their energy difference and the barrier between, beside GFN1-xTB.

    python docs/examples/isomers.py runs/but-2-ene/corrected/baseline/seed-0

Each form is relaxed, and so is the molecule at each angle of a rotation about the double bond, both
torsions across it held; the barrier is the highest of these energies. GFN1-xTB (extra `generate`)
goes through the same for itself, at the electronic temperature of the labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.constraints import FixInternals
from ase.optimize import BFGS

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.evaluation.paths import starting_molecule, torsion_path
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.xtb import gfn1_calculator


def relaxed(molecule: Molecule, calculator: Calculator, degrees: float, hold: bool) -> Atoms:
    """The molecule relaxed from a torsion angle about its double bond, or `hold`-ing it."""
    positions = torsion_path(molecule).build(np.array([degrees]))[0]
    atoms = Atoms(molecule.numbers, positions, calculator=calculator)
    if hold:
        torsions = [list(torsion) for torsion in molecule.torsions_across()]
        dihedrals = [[atoms.get_dihedral(*torsion), torsion] for torsion in torsions]
        atoms.set_constraint(FixInternals(dihedrals_deg=dihedrals))
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=500)
    return atoms


def main(arguments: Sequence[str] | None = None) -> None:
    """Print minima and barrier of both potentials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="+", help="folder of a trained run, or of several seeds")
    parser.add_argument("--step", type=float, default=15.0, help="degrees")
    given = parser.parse_args(arguments)

    ours = DeepSetCalculator(given.run, precision="float64", device="cpu")
    data = ours.ensemble.members[0].config.data.name
    molecule = starting_molecule(catalogue.load(data))
    temperature = catalogue.datasheet(data).get("electronic_temperature_kelvin", 300.0)
    gfn1 = gfn1_calculator(molecule, float(temperature))
    angles = np.arange(0.0, 180.0 + given.step / 2, given.step)
    found, curves = [], []
    for calculator in (ours, gfn1):
        cis, trans = (relaxed(molecule, calculator, a, False) for a in (0.0, 180.0))
        curve = [relaxed(molecule, calculator, a, True).get_potential_energy() for a in angles]
        lowest = trans.get_potential_energy()
        curves.append(np.array(curve) - lowest)
        chain, _ = molecule.torsions_across()
        found.append(
            (
                cis.get_dihedral(*chain),
                trans.get_dihedral(*chain),
                cis.get_potential_energy() - lowest,
                max(curve) - lowest,
            )
        )

    print(f"{molecule.formula}; GFN1-xTB at an electronic temperature of {temperature:g} K")
    print(f"{'':28}{'run':>12}{'GFN1-xTB':>12}")
    for name, *values in zip(
        (
            "cis, torsion / degrees",
            "trans, torsion / degrees",
            "E(cis) - E(trans) / eV",
            "barrier from trans / eV",
        ),
        *found,
        strict=True,
    ):
        print(f"{name:28}{values[0]:12.3f}{values[1]:12.3f}")
    kj = units.kJ / units.mol
    print(f"{'  in kJ/mol: difference':28}{found[0][2] / kj:12.2f}{found[1][2] / kj:12.2f}")
    print(f"{'             barrier':28}{found[0][3] / kj:12.2f}{found[1][3] / kj:12.2f}")
    print(f"\n{'torsion / degrees':28}{'relaxed energy above trans / eV':>24}")
    for angle, *energies in zip(angles, *curves, strict=True):
        print(f"{angle:<28g}{energies[0]:z12.3f}{energies[1]:z12.3f}")


if __name__ == "__main__":
    main()
