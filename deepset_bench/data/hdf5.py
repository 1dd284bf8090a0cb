"""ANI-1 and ANI-1x: many molecules in one HDF5 file, hartree and angstrom.

ANI-1x (https://doi.org/10.1038/s41597-020-0473-z) has a group for each formula with
`atomic_numbers` (n,), `coordinates` (m, n, 3), `wb97x_dz.energy` (m,), `wb97x_dz.forces` (m, n, 3)
in hartree/angstrom and more; what was not computed is NaN. ANI-1
(https://doi.org/10.1038/sdata.2017.193) has `species`, `coordinates`, `energies` and no forces.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase.formula import Formula
from ase.symbols import Symbols, symbols2numbers
from numpy.typing import NDArray

from deepset_bench.data.blocks import Block, elements_array, join, no_label, numbers_array
from deepset_bench.data.frames import FloatArray, Frames, IntArray
from deepset_bench.data.sources import check_range, frame_range
from deepset_bench.data.units import Units
from deepset_bench.errors import UserError, nearest, require

_NUMBERS_KEYS = ("atomic_numbers", "species")
_ENERGY_KEYS = ("wb97x_dz.energy", "energies")
_FORCES_KEYS = ("wb97x_dz.forces", "forces")
_MOST_ATOMS = 30_000_000  # of one set: a few GB in memory


def read_hdf5(
    path: Path,
    name: str,
    frames: str | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
    energy_unit: str = "hartree",
    length_unit: str = "angstrom",
    unlabelled: bool = False,
    formula: str | None = None,
) -> Frames:
    """Read labelled molecules into eV, angstrom and eV/angstrom, group after group.

    A geometry with NaN in its energy or forces is left out: so ANI-1x marks what was not computed.
    Forces are in energy unit / length unit. For the names of molecules see
    `name_molecules`.

    Args:
        path, name, unlabelled: as for `read_ase`.
        frames: `A-B`, counted from 1 through all geometries of the chosen formulas.
        energy_key, forces_key: in each group; those of the layout for None.
        energy_unit, length_unit: see `Units`.
        formula: only these, as C4H8,C5H10, in any order of elements; all for None.

    Raises:
        UserError: h5py is missing, a damaged file, an array that is missing or of another shape,
            or more than fits; one line with the file, the group, the key and the frame (from 1).
    """
    h5py = require("h5py", "hdf5")
    chosen, units = frame_range(frames), Units(energy_unit, length_unit)
    wanted = _formulas(formula)
    if not path.exists():
        raise UserError(f"{path}: no such file")
    blocks: list[Block] = []
    places: list[str] = []  # of each frame in blocks
    found: set[str] = set()
    counted = atoms = 0
    try:
        with h5py.File(path, "r") as file:
            for group in _groups(file, h5py):
                if chosen.stop is not None and counted >= chosen.stop:
                    break
                place = f"{path}: group {group.name}"
                numbers = _numbers(group, place)
                composition = Symbols(numbers).get_chemical_formula()
                found.add(composition)
                if wanted and composition not in wanted:
                    continue
                keys = _key(group, energy_key, _ENERGY_KEYS), _key(group, forces_key, _FORCES_KEYS)
                block = _block(group, place, numbers, counted, chosen, keys, unlabelled)
                counted += len(group["coordinates"])
                if len(block.index):
                    blocks.append(block)
                    places += [place] * len(block.index)
                    atoms += block.forces.size // 3
                if atoms > _MOST_ATOMS:
                    half = f"{chosen.start + 1}-{chosen.start + len(places) // 2}"
                    raise UserError(
                        f"{path}: more than fits in memory; take a part, with --formula "
                        f"{composition} or --frames {half}"
                    )
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a readable HDF5 file ({reason}); copy it again") from None
    if not blocks and formula:
        raise UserError(f"{path}: no labelled geometry of {formula}; {nearest(formula, found)}")
    check_range(path, chosen, counted)
    if not blocks:
        raise UserError(f"{path}: holds no labelled geometries")
    index = np.concatenate([block.index for block in blocks])
    return join(blocks, name, units, lambda frame, atom: _at(places[frame], index[frame], atom))


def _formulas(formula: str | None) -> set[str]:
    """The formulas of a list with commas, elements in Hill's order."""
    try:
        return {Formula(part).format("hill") for part in formula.split(",")} if formula else set()
    except ValueError:
        raise UserError(f"--formula {formula}: expected formulas, as C4H8,C5H10") from None


def _at(place: str, frame: int, atom: int | None = None) -> str:
    return f"{place}, frame {frame + 1}" + ("" if atom is None else f", atom {atom + 1}")


def _groups(file: Any, h5py: Any) -> Iterator[Any]:
    """Every group with molecules, however deep, in the order of names."""
    for item in file.values():
        if isinstance(item, h5py.Group):
            if "coordinates" in item:
                yield item
            else:
                yield from _groups(item, h5py)


def _numbers(group: Any, place: str) -> IntArray:
    """(n,) atomic numbers, which ANI-1 writes as symbols."""
    key = _key(group, None, _NUMBERS_KEYS)
    if key not in group:
        raise UserError(f"{place}: has neither {' nor '.join(_NUMBERS_KEYS)}")
    value = group[key][()]
    if value.dtype.kind in "SO":
        symbols = [symbol.decode() if isinstance(symbol, bytes) else symbol for symbol in value]
        try:
            value = np.array(symbols2numbers(symbols))
        except KeyError as error:
            raise UserError(f"{place}: '{key}' holds {error}, which is no element") from None
    return elements_array(value, key, place)


def _key(group: Any, asked: str | None, usual: tuple[str, ...]) -> str:
    return asked or next((key for key in usual if key in group), usual[0])


def _block(
    group: Any,
    place: str,
    numbers: IntArray,
    first: int,
    chosen: slice,
    keys: tuple[str, str],
    unlabelled: bool,
) -> Block:
    """The labelled geometries of a group that are in the chosen range; its first is `first`."""
    m, n = len(group["coordinates"]), len(numbers)
    part = slice(max(chosen.start - first, 0), m if chosen.stop is None else chosen.stop - first)
    index = first + np.arange(m)[part]
    labelled = set(keys) <= set(group)
    for key, option in zip(keys, ("--energy-key", "--forces-key"), strict=True):
        if key not in group and not unlabelled:
            raise no_label(place, key, group, option)

    def stored(key: str, shape: tuple[int, ...]) -> NDArray[Any]:
        if key in keys and not labelled:
            return np.zeros((len(index), *shape))
        if group[key].shape != (m, *shape):
            what = f"'{key}' has shape {group[key].shape}, expected {(m, *shape)}"
            raise UserError(f"{place}: {what}")
        values: NDArray[Any] = group[key][part]
        return values

    positions, energy = stored("coordinates", (n, 3)), stored(keys[0], ())
    forces = stored(keys[1], (n, 3))
    whole = ~(np.isnan(energy) | np.isnan(forces).any(axis=(1, 2)))
    index = index[whole]

    def checked(values: NDArray[Any], key: str) -> FloatArray:
        shape = (len(index), *values.shape[1:])
        return numbers_array(values[whole], key, shape, lambda row, _: _at(place, index[row]))

    return Block(
        numbers=numbers,
        positions=checked(positions, "coordinates"),
        energy=checked(energy, keys[0]),
        forces=checked(forces, keys[1]),
        bias=None,
        index=index,
    )
