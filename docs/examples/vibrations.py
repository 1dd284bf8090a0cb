"""Harmonic vibrations of the trans form on a trained run, beside GFN1-xTB.

    python docs/examples/vibrations.py runs/but-2-ene/corrected/baseline/seed-0

Each potential relaxes the molecule for itself; second derivatives are central differences of
forces. GFN1-xTB (extra `generate`) has the electronic temperature of the labels.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.optimize import BFGS
from ase.vibrations import Vibrations

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.evaluation.paths import starting_molecule
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.xtb import gfn1_calculator


def frequencies(molecule: Molecule, calculator: Calculator) -> np.ndarray:
    """(3n - 6,) wavenumbers in 1/cm, ascending; imaginary ones are negative."""
    atoms = Atoms(molecule.numbers, molecule.positions, calculator=calculator)
    BFGS(atoms, logfile=None).run(fmax=0.001, steps=500)
    with tempfile.TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, name=f"{folder}/vib", delta=0.005)
        vibrations.run()
        energies = vibrations.get_energies()
    signed = np.sort(energies.real - np.abs(energies.imag)) / units.invcm
    # Six of them are translations and rotations: those nearest to zero.
    return np.sort(signed[np.argsort(np.abs(signed))[6:]])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the wavenumbers of both potentials, in order, and the zero-point energies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="+", help="folder of a trained run, or of several seeds")
    given = parser.parse_args(arguments)

    ours = DeepSetCalculator(given.run, precision="float64", device="cpu")
    data = ours.ensemble.members[0].config.data.name
    molecule = starting_molecule(catalogue.load(data))
    temperature = catalogue.datasheet(data).get("electronic_temperature_kelvin", 300.0)
    gfn1 = gfn1_calculator(molecule, float(temperature))
    run, reference = (frequencies(molecule, calculator) for calculator in (ours, gfn1))

    print(f"{molecule.formula}; GFN1-xTB at an electronic temperature of {temperature:g} K")
    print(f"{'wavenumber / (1/cm)':24}{'run':>10}{'GFN1-xTB':>10}{'difference':>12}")
    for number, (a, b) in enumerate(zip(run, reference, strict=True), 1):
        print(f"{number:<24}{a:10.0f}{b:10.0f}{a - b:12.0f}")
    print(f"{'mean |difference|':24}{np.abs(run - reference).mean():32.0f}")
    zero_point = [np.abs(w).sum() * units.invcm / 2 for w in (run, reference)]
    print(f"zero-point energy: run {zero_point[0]:.3f} eV, GFN1-xTB {zero_point[1]:.3f} eV")


if __name__ == "__main__":
    main()
