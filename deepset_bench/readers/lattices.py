"""Cells of periodic systems and their stress, as files have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import units as ase_units
from numpy.typing import NDArray

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, spans_nothing
from deepset_bench.readers.isolated import CELLS, PERIODIC
from deepset_bench.readers.xyz import shown
from deepset_bench.units import Units

STRESS: Mapping[str, float] = {
    "eV/angstrom^3": 1.0,
    "GPa": ase_units.GPa,
    "kbar": 0.1 * ase_units.GPa,
    "hartree/bohr^3": ase_units.Hartree / ase_units.Bohr**3,
}
"""eV/angstrom^3 in units of stress."""
STATED = ("stress_unit", "stress_units", "unit_stress", "units_stress")
"""What files call the statement of its unit, in any case of letters."""
_QUANTITIES = ("stress", "virial", "virials")
_VOIGT = ([0, 5, 4], [5, 1, 3], [4, 3, 2])  # xx, yy, zz, yz, xz, xy
_LARGEST = 5.0  # eV/angstrom^3, 800 GPa: as in the middle of a giant planet


@dataclass(frozen=True, eq=False)
class Lattice:
    """Of a periodic frame.

    Attributes:
        vectors: (3, 3) as rows, in the unit of length.
        pbc: (3,) along which it is repeated.
        stress: (3, 3) in `unit`, else in energy unit / length unit^3; or None.
        virial: (3, 3) in the unit of energy, where there is no stress; or None.
        unit: a key of STRESS, or nothing where neither the file nor the command line says.
        source: who says so.
    """

    vectors: FloatArray
    pbc: NDArray[np.bool_]
    stress: FloatArray | None = None
    virial: FloatArray | None = None
    unit: str = ""
    source: str = ""

    def in_ev(self, units: Units) -> tuple[FloatArray, FloatArray]:
        """(3, 3) vectors in angstrom, and the stress in eV/angstrom^3, NaN if there is none."""
        vectors = self.vectors * units.length
        if self.stress is not None:
            return vectors, self.stress * (STRESS.get(self.unit) or units.energy / units.length**3)
        if self.virial is not None:
            return vectors, -self.virial * units.energy / abs(np.linalg.det(vectors))
        return vectors, np.full((3, 3), np.nan)

    @property
    def has_stress(self) -> bool:
        """Whether there is any, or a virial."""
        return self.stress is not None or self.virial is not None

    def note(self, units: Units) -> str:
        """What the stress was read as."""
        usual = f"{units.energy_unit}/{units.length_unit}^3"
        return f"{self.unit or usual} ({self.source or 'energy / length^3'})"


def cell_of(
    where: str,
    found: Mapping[str, Any],
    labels: Mapping[str, Any],
    energy_key: str,
    stress_unit: str | None,
) -> Lattice | None:
    """The cell of a frame, or None where it is in open space.

    Args:
        where: for messages.
        found: the cell and `pbc`, by name.
        labels: what may be its stress or virial, by name: that of the energy's method, so
            `REF_stress` beside `REF_energy`; and what may state the unit.
        energy_key: name of the energy.
        stress_unit: what the command line says; it counts more than what a file states.

    Raises:
        UserError: a cell that does not say whether it is repeated, none where it should be one,
            without volume, or of another shape; stress of another shape, in no unit that is known
            or beyond all measure.
    """
    named = {key.lower(): (key, value) for key, value in found.items()}
    key, value = next((named[name] for name in CELLS if name in named), ("", np.zeros(9)))
    vectors = np.asarray(value)
    if PERIODIC not in named:
        if vectors.dtype.kind in "iuf" and not vectors.any():
            return None
        raise UserError(
            f"{where}: has '{key}', as periodic systems do, but does not say whether it is one; "
            'write pbc="T T T" if it is, or pbc="F F F" if its molecule is isolated'
        )
    pbc = np.ravel(np.asarray(named[PERIODIC][1], dtype=bool))
    if pbc.size not in (1, 3):
        raise UserError(f"{where}: 'pbc' has {pbc.size} values, expected 3, as T T T")
    if not pbc.any():
        return None
    pbc = np.resize(pbc, 3)
    if not key:
        raise UserError(
            f"{where}: is periodic, but has no cell; write its three vectors, as "
            'Lattice="9 0 0 0 9 0 0 0 9", or pbc="F F F" if its molecule is isolated'
        )
    if vectors.dtype.kind not in "iuf" or vectors.size not in (3, 9):
        raise UserError(
            f"{where}: '{key}' is '{shown(str(value))}', expected three vectors, as "
            '"9 0 0 0 9 0 0 0 9"'
        )
    vectors = np.diag(vectors.ravel()) if vectors.size == 3 else vectors.reshape(3, 3)
    vectors = vectors.astype(np.float64)
    if not np.isfinite(vectors).all() or spans_nothing(vectors[None], pbc[None])[0]:
        raise UserError(
            f"{where}: is periodic, but the vectors of '{key}' span no volume; correct them, or "
            'write pbc="F F F" if its molecule is isolated'
        )
    return _with_stress(where, Lattice(vectors, pbc), labels, energy_key, stress_unit)


def known_stress_unit(text: str) -> str:
    """A key of STRESS, however it is spelled.

    Raises:
        UserError: no such unit; the message lists the valid ones.
    """
    name = _unit(text)
    if not name:
        raise UserError(f"unknown stress unit '{text}'; valid: {', '.join(STRESS)}")
    return name


def check_stress(where: str, stress: FloatArray) -> None:
    """Refuse (3, 3) stress in eV/angstrom^3 beyond all measure, as of another unit.

    Raises:
        UserError: one line with the way out.
    """
    largest = np.nanmax(np.abs(stress), initial=0.0)
    if largest > _LARGEST:
        raise UserError(
            f"{where}: a stress of {largest:.3g} eV/angstrom^3 is {largest / ase_units.GPa:,.0f} "
            "GPa, beyond any crystal; is it in another unit? say which with --stress-unit GPa or "
            "--stress-unit kbar"
        )


def _with_stress(
    where: str, cell: Lattice, labels: Mapping[str, Any], energy_key: str, asked: str | None
) -> Lattice:
    names = {key.lower(): key for key in labels}
    wanted = [name for name in _named_like(energy_key) if name in names]
    if not wanted or abs(np.linalg.det(cell.vectors)) == 0:
        return cell
    key = names[wanted[0]]
    if isinstance(labels[key], float) and np.isnan(labels[key]):  # as `stress=None` is read
        return cell
    matrix = _matrix(where, key, labels[key])
    if not np.isfinite(matrix).all():
        return cell
    if "virial" in key.lower():
        return Lattice(cell.vectors, cell.pbc, virial=matrix, source="virial / volume")
    text = next((str(labels[names[name]]) for name in STATED if name in names), "")
    unit, source = _unit(text), "as the file says" if text else ""
    if asked:
        other = unit not in ("", known_stress_unit(asked))
        source = "--stress-unit" + f", against {unit} in the file" * other
        unit = known_stress_unit(asked)
    elif text and not unit:
        raise UserError(
            f"{where}: the unit of stress is '{shown(text)}', which is not known; say which it is "
            f"with --stress-unit; valid: {', '.join(STRESS)}"
        )
    return Lattice(cell.vectors, cell.pbc, matrix, None, unit, source)


def _named_like(energy_key: str) -> list[str]:
    """Names of stress and virial of the method that a name of an energy is of."""
    key = energy_key.lower()
    return [key.replace("energy", name) if "energy" in key else name for name in _QUANTITIES]


def _matrix(where: str, key: str, value: Any) -> FloatArray:
    """(3, 3), the symmetric part of nine numbers, or six in the order of Voigt."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size not in (6, 9):
        count = f"{array.size} numbers" if array.dtype.kind in "iuf" else f"'{shown(str(value))}'"
        raise UserError(
            f"{where}: '{key}' has {count}, expected nine, or six in the order xx yy zz yz xz xy"
        )
    numbers = array.astype(np.float64).ravel()
    matrix = numbers[np.array(_VOIGT)] if numbers.size == 6 else numbers.reshape(3, 3)
    return (matrix + matrix.T) / 2


def _unit(text: str) -> str:
    plain = re.sub(r"[^a-z0-9/å]", "", text.lower())
    plain = re.sub(r"/(å|a|ang)3", "/angstrom3", plain).replace("ha/", "hartree/")
    return next((name for name in STRESS if name.lower().replace("^", "") == plain), "")
