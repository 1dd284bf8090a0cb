"""MD17 and rMD17: one molecule in an npz, in kcal/mol and angstrom unless the file says otherwise.

MD17 (https://www.sgdml.org) has R, z, E, F and sometimes r_unit, e_unit; rMD17
(https://doi.org/10.6084/m9.figshare.12672038) has coords, nuclear_charges, energies, forces.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepset_bench import bounds
from deepset_bench.errors import UserError
from deepset_bench.readers.arrays import elements_array
from deepset_bench.readers.isolated import CELLS, PERIODIC, check_isolated
from deepset_bench.readers.labels import BIAS_KEY, Collector, Found, Layout
from deepset_bench.readers.methods import GRADIENTS
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.own_units import KEYS as UNIT_KEYS
from deepset_bench.readers.own_units import file_units, stated_units
from deepset_bench.readers.sources import Source, check_range, frame_range
from deepset_bench.readers.states import STATE_KEYS
from deepset_bench.readers.xyz import reason, shown
from deepset_bench.variants import reader

# Keys of positions and atomic numbers.
_LAYOUTS = {
    ("coords", "nuclear_charges"): Layout(("energies",), ("forces",), "kcal/mol"),  # rMD17
    ("R", "z"): Layout(("E",), ("F",), "kcal/mol"),  # MD17
}


@reader("npz of MD17 or rMD17", begins=rb"PK[\x03\x05]", slow=False)
def read_npz(path: Path, name: str, options: Options, unlabelled: bool = False) -> Reading:
    """Read M geometries of one molecule of A atoms into eV, angstrom and eV/angstrom.

    Args:
        path: the file, plain or packed.
        name, unlabelled: as for `read_extxyz`.
        options: keys are of arrays (M,) or (M, 1), and (M, A, 3); units count more than the file's.

    Raises:
        UserError: a damaged file, an array that is missing, of another shape or not finite, or a
            periodic cell; one line with the file, the key and the frame (from 1).
    """
    chosen = frame_range(options.frames)
    names, arrays = _load(path, options)
    found = next((keys for keys in _LAYOUTS if set(keys) <= set(arrays)), None)
    if found is None:
        known = "coords and nuclear_charges (rMD17) or R and z (MD17)"
        raise UserError(f"{path}: has {', '.join(names) or 'no arrays'}, but needs {known}")
    check_isolated(str(path), arrays)
    positions_key, numbers_key = found
    layout = _LAYOUTS[found]
    numbers = elements_array(arrays[numbers_key], numbers_key, str(path))
    shape = arrays[positions_key].shape
    if shape[1:] != (len(numbers), 3):
        raise UserError(
            f"{path}: '{positions_key}' has shape {shape}, expected (geometries, {len(numbers)}, 3)"
            + "; write one geometry as such an array, too" * (shape == (len(numbers), 3))
        )
    M = shape[0]
    check_range(path, chosen, M)
    index = np.arange(M)[chosen]
    collector = Collector(path, name, layout, options, unlabelled)
    labels = (positions_key, BIAS_KEY, *collector.keys(arrays))
    for key in set(labels) & set(arrays):
        if arrays[key].shape[:1] != (M,):
            raise UserError(
                f"{path}: '{key}' has shape {arrays[key].shape}, expected "
                f"{(M, *arrays[key].shape[1:])} as '{positions_key}' has {M} geometries"
            )
        arrays[key] = arrays[key][chosen]

    def where(row: int, atom: int | None) -> str:
        place = f"{path}: frame {index[row] + 1}" if len(index) else str(path)
        return place + ("" if atom is None else f", atom {atom + 1}")

    collector.add(
        Found(
            numbers=numbers,
            positions=arrays[positions_key],
            stored={**dict.fromkeys(names), **arrays},
            index=index,
            where=where,
            positions_key=positions_key,
            about={
                key: array[chosen] if array.shape == (M,) else array
                for key, array in arrays.items()
                if key.lower() in STATE_KEYS
            },
        )
    )
    return collector.reading(*file_units(path, layout, options, stated_units(arrays)))


def _load(path: Path, options: Options) -> tuple[list[str], dict[str, NDArray[Any]]]:
    """The names of all arrays, and those arrays that mean something here or were asked for."""
    groups: list[Iterable[str]] = [
        *_LAYOUTS,
        *UNIT_KEYS.values(),
        CELLS,
        (PERIODIC, BIAS_KEY),
        GRADIENTS,
        STATE_KEYS,
    ]
    groups += [(*layout.energy_keys, *layout.forces_keys) for layout in _LAYOUTS.values()]
    wanted = {key for keys in groups for key in keys}
    asked = {options.energy_key, options.forces_key}
    with Source.open(path).plain() as plain:
        try:
            bound = bounds.unpacked(plain.stat().st_size)
            with zipfile.ZipFile(plain) as archive:
                listed = [info.filename for info in archive.infolist()]
                if listed and not any(name.endswith(".npy") for name in listed):
                    raise UserError(
                        f"{path}: is a zip archive with {shown(listed[0])}, not an npz; unpack it "
                        "and give the files in it"
                    )
                members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
                chosen = [
                    key for key in members if key in wanted or key.lower() in wanted or key in asked
                ]
                return list(members), {
                    key: _array(path, archive, members[key], bound) for key in chosen
                }
        except UserError:
            raise
        except Exception as error:
            what = f"not a readable npz ({reason(path, error)})"
            raise UserError(f"{path}: {what}; copy the file again") from None


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, bound: int) -> Any:
    try:
        return bounds.array(archive, member, bound)
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise UserError(
            f"{path}: '{shown(member.filename.removesuffix('.npy'))}' holds Python objects, which "
            "are not read; save it as an array of numbers or text"
        ) from None
