"""MD17 and rMD17: one molecule in an npz, in kcal/mol and angstrom unless the file says otherwise.

MD17 (https://www.sgdml.org) has R, z, E, F and sometimes r_unit, e_unit; rMD17
(https://doi.org/10.6084/m9.figshare.12672038) has coords, nuclear_charges, energies, forces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepset_bench.data.blocks import Block, elements_array, join, no_label, numbers_array
from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.sources import check_range, frame_range
from deepset_bench.data.units import UNIT_NAMES, Units
from deepset_bench.data.xyz import shown
from deepset_bench.errors import UserError

# Keys of positions, atomic numbers, energies and forces.
_LAYOUTS = {
    "rMD17": ("coords", "nuclear_charges", "energies", "forces"),
    "MD17": ("R", "z", "E", "F"),
}
_UNIT_KEYS = ("e_unit", "r_unit")
# As sGDML's converters write them.
_UNIT_NAMES = {"Ang": "angstrom", "Angstrom": "angstrom", "Bohr": "bohr", "Ha": "hartree"}


def read_md17(
    path: Path,
    name: str,
    frames: str | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
    energy_unit: str | None = None,
    length_unit: str | None = None,
    unlabelled: bool = False,
) -> Frames:
    """Read M geometries of one molecule of A atoms into eV, angstrom and eV/angstrom.

    Args:
        path, name, frames, unlabelled: as for `read_ase`.
        energy_key, forces_key: of arrays (M,) or (M, 1), and (M, A, 3); the layout's for None.
        energy_unit, length_unit: what the file says for None, else kcal/mol and angstrom.

    Raises:
        UserError: a damaged file, an array that is missing, of another shape or not finite, or a
            unit other than the file says; one line with the file, the key and the frame (from 1).
    """
    chosen = frame_range(frames)
    names, arrays = _load(path, {energy_key, forces_key})
    layout = next((keys for keys in _LAYOUTS.values() if set(keys[:2]) <= set(arrays)), None)
    if layout is None:
        known = " or ".join(f"{p} and {z} ({kind})" for kind, (p, z, *_) in _LAYOUTS.items())
        raise UserError(f"{path}: has {', '.join(names) or 'no arrays'}, but needs {known}")
    positions_key, numbers_key = layout[:2]
    energy_key, forces_key = energy_key or layout[2], forces_key or layout[3]
    units = Units(
        _unit(path, arrays, "e_unit", energy_unit, "kcal/mol"),
        _unit(path, arrays, "r_unit", length_unit, "angstrom"),
    )
    numbers = elements_array(arrays[numbers_key], numbers_key, str(path))
    A, M = len(numbers), len(np.atleast_1d(arrays[positions_key]))
    check_range(path, chosen, M)
    if M == 0:
        raise UserError(f"{path}: holds no frames")
    index = np.arange(M)[chosen]
    if unlabelled and not {energy_key, forces_key} <= set(arrays):
        arrays |= {energy_key: np.zeros(M), forces_key: np.zeros((M, A, 3))}
    for key, option in ((energy_key, "--energy-key"), (forces_key, "--forces-key")):
        if key not in arrays:
            raise no_label(str(path), key, names, option)

    def where(frame: int, atom: int | None) -> str:
        return f"{path}: frame {index[frame] + 1}" + ("" if atom is None else f", atom {atom + 1}")

    def read(key: str, shape: tuple[int, ...]) -> FloatArray:
        array = arrays[key]
        if not shape and array.shape == (M, 1):
            array = array[:, 0]
        if array.shape != (M, *shape):
            raise UserError(f"{path}: '{key}' has shape {array.shape}, expected {(M, *shape)}")
        return numbers_array(array[chosen], key, (len(index), *shape), where)

    block = Block(
        numbers=numbers,
        positions=read(positions_key, (A, 3)),
        energy=read(energy_key, ()),
        forces=read(forces_key, (A, 3)),
        bias=None,
        index=index,
    )
    return join([block], name, units, where)


def _load(path: Path, keys: set[str | None]) -> tuple[list[str], dict[str, NDArray[Any]]]:
    """The names of all arrays, and those arrays that a layout or `keys` name."""
    if not path.exists():
        raise UserError(f"{path}: no such file")
    wanted = keys | set(_UNIT_KEYS) | {key for layout in _LAYOUTS.values() for key in layout}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            names = list(stored.files)
            return names, {key: stored[key] for key in names if key in wanted}
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path}: not a readable npz ({reason}); copy the file again") from None


def _unit(
    path: Path, arrays: dict[str, NDArray[Any]], key: str, asked: str | None, usual: str
) -> str:
    """The unit asked for, else that of the file, else the usual one; never against the file."""
    if key not in arrays:
        return asked or usual
    written = str(arrays[key])
    unit = _UNIT_NAMES.get(written, written)
    if unit not in UNIT_NAMES:
        raise UserError(f"{path}: '{key}' says {shown(written)}; valid: {', '.join(UNIT_NAMES)}")
    if asked not in (None, unit):
        raise UserError(f"{path}: '{key}' says {written}, but {asked} was asked for; leave it out")
    return unit
