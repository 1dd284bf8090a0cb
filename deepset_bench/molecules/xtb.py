"""GFN-xTB single points through tblite: the potential behind generated and relabelled data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator
from ase.units import Bohr, Hartree, kB
from numpy.typing import ArrayLike

from deepset_bench.errors import UserError, nearest
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.surroundings import require

METHODS = {"gfn1": "GFN1-xTB", "gfn2": "GFN2-xTB"}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class XTB:
    """Energy and forces of one molecule, geometry after geometry.

    GFN1-xTB: Grimme, Bannwarth, Shushkov, J. Chem. Theory Comput. 2017, 13, 1989.
    GFN2-xTB: Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 2019, 15, 1652.

    Every single point starts from the same guess, so a label depends on its geometry alone and
    not on the frame before it.

    Args:
        numbers: (A,) atomic numbers.
        method: `gfn1` or `gfn2`.
        electronic_temperature: of the Fermi smearing, in kelvin. The energy is then the
            electronic free energy, whose negative gradient the forces are.
        charge: total, in units of e.
        spin: multiplicity 2S + 1; 0 for the lowest that the number of electrons allows.

    Raises:
        UserError: tblite is not installed, or the method is unknown.
    """

    def __init__(
        self,
        numbers: ArrayLike,
        method: str = "gfn1",
        electronic_temperature: float = 300.0,
        charge: int = 0,
        spin: int = 0,
    ) -> None:
        if method not in METHODS:
            raise UserError(f"unknown method {method!r}; {nearest(method, METHODS)}")
        with _one_thread():
            self._tblite = require("tblite.interface", "generate")
            self._failures = require("tblite.exceptions", "generate")
        self.numbers = np.asarray(numbers, dtype=np.int64)
        self.method = method
        self.electronic_temperature = electronic_temperature
        self.charge = int(charge)
        electrons = int(self.numbers.sum()) - self.charge
        self.unpaired = int(spin) - 1 if spin else electrons % 2
        self._calculator: Any = None

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Energy in eV and forces (A, 3) in eV/angstrom at `positions` (A, 3) in angstrom.

        Raises:
            UserError: the self-consistent field did not converge, or atoms coincide.
        """
        try:
            if self._calculator is None:
                self._calculator = self._new_calculator(positions)
            else:
                self._calculator.update(positions / Bohr)
            result = self._calculator.singlepoint()
            energy = float(result["energy"]) * Hartree
            forces = -np.asarray(result["gradient"]) * (Hartree / Bohr)
        except (self._failures.TBLiteRuntimeError, self._failures.TBLiteValueError):
            energy, forces = np.nan, np.full(positions.shape, np.nan)
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise UserError(
                f"{METHODS[self.method]} did not converge at this geometry; "
                f"an electronic temperature above {self.electronic_temperature:g} K may help"
            )
        return energy, forces

    def _new_calculator(self, positions: FloatArray) -> Any:
        calculator = self._tblite.Calculator(
            METHODS[self.method],
            self.numbers,
            positions / Bohr,
            charge=self.charge,
            uhf=self.unpaired,
            color=False,
        )
        calculator.set("verbosity", 0)
        calculator.set("temperature", self.electronic_temperature * kB / Hartree)
        return calculator


def relabel(
    frames: Frames,
    method: str = "gfn1",
    progress: Callable[[int, int], None] | None = None,
    electronic_temperature: float = 300.0,
) -> Frames:
    """The same geometries with the method's own energy and forces.

    Charge and spin of each frame go to the method. What the old labels held beyond the method's
    forces becomes `bias_forces`, so a set whose labels contained a metadynamics bias is taken apart
    into potential and bias.

    Args:
        frames: any set; its labels as read are `forces`, plus `bias_forces` where present.
        method, electronic_temperature: see `XTB`.
        progress: called after each frame with the number of frames done and their total.

    Raises:
        UserError: tblite is missing, the method unknown, a frame is periodic or does not converge.
    """
    frames.check_open("labels of GFN-xTB are computed here")
    energy = np.empty(len(frames))
    forces = np.empty_like(frames.forces)
    potential, made_for = None, None  # one at a time: a set may hold 100,000 molecules
    offsets = frames.offsets
    for m in range(len(frames)):
        atoms = slice(offsets[m], offsets[m + 1])
        numbers = frames.numbers[atoms]
        charge, spin = int(frames.charge[m]), int(frames.spin[m])
        key = numbers.tobytes(), charge, spin
        if potential is None or key != made_for:
            potential = XTB(numbers, method, electronic_temperature, charge, spin)
            made_for = key
        try:
            energy[m], forces[atoms] = potential(frames.positions[atoms])
        except UserError as error:
            raise UserError(f"{frames.called(m)}: {error}") from None
        if progress is not None:
            progress(m + 1, len(frames))
    bias = frames.labelled_forces("biased") - forces
    return replace(frames, energy=energy, forces=forces, bias_forces=bias)


def gfn1_calculator(molecule: Molecule, electronic_temperature: float = 300.0) -> Calculator:
    """GFN1-xTB of a molecule, its charge and spin, for ASE's optimisers and vibrations.

    Args:
        molecule: whose geometries it is to compute.
        electronic_temperature: see `XTB`.

    Raises:
        UserError: tblite is not installed.
    """
    tblite = require("tblite.ase", "generate")
    calculator: Calculator = tblite.TBLite(
        method=METHODS["gfn1"],
        charge=molecule.charge,
        multiplicity=molecule.spin or None,
        electronic_temperature=electronic_temperature,
        verbosity=0,
    )
    return calculator


@contextmanager
def _one_thread() -> Iterator[None]:
    """Have tblite's libraries, which read these variables as they load, start with one thread.

    Its sums come out in a fixed order only so, and small molecules run faster.
    """
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
