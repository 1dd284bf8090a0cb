"""ANI-1, ANI-1x and SPICE: many molecules in one HDF5 file.

ANI-1x (https://doi.org/10.1038/s41597-020-0473-z) has a group for each formula with
`atomic_numbers` (n,), `coordinates` (m, n, 3), `wb97x_dz.energy` (m,), `wb97x_dz.forces` (m, n, 3)
in hartree/angstrom and more; what was not computed is NaN. ANI-1
(https://doi.org/10.1038/sdata.2017.193) has `species`, `coordinates`, `energies` and no forces,
hartree and angstrom. SPICE (https://doi.org/10.1038/s41597-022-01882-6) has a group for each
molecule with `atomic_numbers` (n,), `conformations` (m, n, 3), `dft_total_energy` (m,) and
`dft_total_gradient` (m, n, 3), of the other sign than forces: hartree and bohr. Its charges are in
`smiles` alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase.formula import Formula
from ase.symbols import Symbols
from numpy.typing import NDArray

from deepset_bench import bounds
from deepset_bench.errors import UserError, nearest
from deepset_bench.molecules.frames import IntArray
from deepset_bench.molecules.mapped import room
from deepset_bench.readers.arrays import elements_array
from deepset_bench.readers.isolated import CELLS, PERIODIC, check_isolated
from deepset_bench.readers.labels import SPILL, Collector, Found, Layout
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.own_units import as_text, file_units, stated_units
from deepset_bench.readers.sources import Source, check_range, frame_range
from deepset_bench.readers.states import STATE_KEYS
from deepset_bench.readers.xyz import printable, reason, shown
from deepset_bench.surroundings import require
from deepset_bench.units import unit_name
from deepset_bench.variants import reader

_NUMBERS_KEYS = ("atomic_numbers", "species")
_LAYOUTS = {
    "coordinates": Layout(
        energy_keys=("wb97x_dz.energy", "energies"),
        forces_keys=("wb97x_dz.forces", "forces"),
        energy_unit="hartree",
        gaps=True,
    ),
    "conformations": Layout(
        energy_keys=("dft_total_energy",),
        forces_keys=("dft_total_gradient",),
        energy_unit="hartree",
        length_unit="bohr",
        gaps=True,
        gradients=True,
    ),
}
"""Name of the positions -> what else a group has."""
_CHARGES = re.compile(r"\[[^\]]*?(?:([-+])([0-9]{1,2})|([-+]+))(?::[0-9]+)?\]")
_MOST_ATOMS = 30_000_000  # where they are not put into files: a few GB in memory
_LARGEST_CHUNK = 2**27  # bytes
_FEW = 8  # names in a message
_UNIT_ATTRIBUTES = ("units", "unit")


@reader(
    "HDF5 of ANI-1, ANI-1x or SPICE", begins=rb"\x89HDF\r\n\x1a\n", takes=("formula",), slow=False
)
def read_hdf5(path: Path, name: str, options: Options, unlabelled: bool = False) -> Reading:
    """Read labelled molecules into eV, angstrom and eV/angstrom, group after group.

    A geometry with NaN in its energy or forces is left out: so ANI-1x marks what was not computed.
    SPICE's gradients are turned into forces.
    For the names of molecules see `name_molecules`. Nothing is followed out of the file, and no
    array is read before its size is known.

    Args:
        path: the file, plain or packed.
        name, unlabelled: as for `read_extxyz`.
        options: `frames` count through all geometries of the chosen formulas; keys are of each
            group.

    Raises:
        UserError: h5py is missing, a damaged file, an array that is missing or of another shape,
            or more than fits; one line with the file, the group, the key and the frame (from 1).
    """
    h5py = require("h5py", "hdf5")
    chosen = frame_range(options.frames)
    with Source.open(path).plain() as plain:
        try:
            with h5py.File(plain, "r") as file:
                root = _Group(file, str(path))
                layout = _LAYOUTS[_positions(root)]
                collector = Collector(path, name, layout, options, unlabelled)
                counted, units = _collect(path, root, collector, chosen, options)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{path}: not a readable HDF5 file ({reason(path, error)}); copy it again"
            ) from None
    check_range(path, chosen, counted)
    return collector.reading(*file_units(path, layout, options, units))


def _collect(
    path: Path, root: _Group, collector: Collector, chosen: slice, options: Options
) -> tuple[int, dict[str, tuple[str, str]]]:
    """Take what is chosen of all groups; how many geometries there were, and their units."""
    wanted = _formulas(options.formula)
    units = stated_units(dict(root.group.attrs))
    positions = _positions(root)
    found: set[str] = set()
    counted = taken = atoms = 0
    most, where = (_MOST_ATOMS, "in memory") if collector.keeps else (room(), "on the disk")
    for group in _molecules(root):
        if chosen.stop is not None and counted >= chosen.stop:
            break
        numbers = _numbers(group)
        composition = Symbols(numbers).get_chemical_formula()
        found.add(composition)
        if wanted and composition not in wanted:
            continue
        if positions not in group:
            raise UserError(
                f"{group.place}: has no '{positions}' as the groups before; split the file into "
                "one for each layout"
            )
        shape, n = group.shape(positions), len(numbers)
        if shape[1:] != (n, 3):
            expected = (shape[0] if shape else 0, n, 3)
            what = f"'{positions}' has shape {shape}, expected {expected}"
            raise UserError(f"{group.place}: {what}")
        stop = shape[0] if chosen.stop is None else chosen.stop - counted
        rows = range(shape[0])[max(chosen.start - counted, 0) : stop]
        taken, atoms = taken + len(rows), atoms + n * len(rows)
        if atoms > most:
            last = chosen.start + max(min(taken // 2, most // n), 1)
            raise UserError(
                f"{root.place}: more than fits {where}; take a part, with --formula "
                f"{composition} or --frames {chosen.start + 1}-{last}"
            )
        at_once = max(SPILL // n, 1)
        for first in range(0, len(rows), at_once):
            some = np.array(rows[first : first + at_once])
            part = group.part(some, shape[0])
            units = _agreed(units, part, positions, collector.keys(part))
            check_isolated(part.place, part.some((*CELLS, PERIODIC)))
            collector.add(_found(part, positions, numbers, counted + some))
            collector.spill(partial(file_units, path, _LAYOUTS[positions], options, units))
        counted += shape[0]
    if wanted and not counted:
        what = f"no labelled geometry of {options.formula}; {nearest('', found)}"
        raise UserError(f"{root.place}: {what}")
    return counted, units


class _Group(Mapping[str, Any]):
    """A group whose data sets are looked at before they are read.

    Args:
        group: of h5py.
        place: where it is, for messages.
        rows: of arrays that have one for each of m geometries, those that are read.
        m: geometries.
    """

    def __init__(
        self, group: Any, place: str, rows: IntArray | None = None, m: int | None = None
    ) -> None:
        self.group, self.place, self._rows, self._m = group, place, rows, m

    def __iter__(self) -> Iterator[str]:
        return iter(self.group)

    def __len__(self) -> int:
        return len(self.group)

    def __contains__(self, key: object) -> bool:
        return self.group.get(key, getlink=True) is not None

    def part(self, rows: IntArray, m: int) -> _Group:
        """The same, of which only some of m geometries are read."""
        return _Group(self.group, self.place, rows, m)

    def item(self, key: str) -> Any:
        """What h5py has under a name.

        Raises:
            UserError: a link, which may lead out of the file or in circles.
        """
        import h5py

        if not isinstance(self.group.get(key, getlink=True), h5py.HardLink):
            raise UserError(
                f"{self.place}: '{key}' is a link, which is not followed; copy what it points to"
            )
        return self.group[key]

    def data(self, key: str) -> Any:
        """A data set that lies in this file.

        Raises:
            UserError: it is something else.
        """
        import h5py

        item = self.item(key)
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            raise UserError(f"{self.place}: '{key}' is not an array of numbers")
        if item.external or item.is_virtual:
            raise UserError(f"{self.place}: '{key}' is kept in another file; copy it into this one")
        bound = bounds.unpacked(item.file.id.get_filesize())
        if item.nbytes > bound or _chunk(item) > bounds.most(_LARGEST_CHUNK):
            what = f"'{key}' says that it has {item.nbytes:,} bytes, in pieces of {_chunk(item):,}"
            said = f"in {item.id.get_storage_size():,} of the file"
            raise UserError(
                f"{self.place}: {what}, {said}; {bounds.VARIABLE}=2 doubles what may be"
            )
        return item

    def shape(self, key: str) -> tuple[int, ...]:
        """Its shape, without reading it."""
        shape: tuple[int, ...] = self.data(key).shape
        return shape

    def __getitem__(self, key: str) -> NDArray[Any]:
        item = self.data(key)
        rows = slice(None)
        if self._rows is not None:
            if item.shape[:1] != (self._m,):
                what = f"'{key}' has shape {item.shape}, expected {(self._m, *item.shape[1:])}"
                raise UserError(f"{self.place}: {what}")
            rows = slice(int(self._rows[0]), int(self._rows[-1]) + 1)
        size = math.prod(item.shape[1:]) * (
            item.shape[0] if self._rows is None else len(self._rows)
        )
        if size > 3 * _MOST_ATOMS:
            raise UserError(f"{self.place}: '{key}' has {size:,} numbers, more than fits in memory")
        values: NDArray[Any] = np.asarray(item[rows] if item.shape else item[()])
        return values

    def some(self, keys: Collection[str]) -> dict[str, Any]:
        """Small arrays and attributes of certain names, in any case of letters, whole."""
        found = {key: value for key, value in self.group.attrs.items() if key.lower() in keys}
        for key in self:
            if key.lower() in keys and math.prod(self.shape(key)) <= 9 * (self._m or 1):
                values = np.asarray(self.data(key)[()])
                found[key] = values[self._rows] if values.shape[:1] == (self._m,) else values
        return found


def _chunk(item: Any) -> int:
    """Bytes of an array that are unpacked at a time, whatever is asked for."""
    return math.prod(item.chunks) * item.dtype.itemsize if item.chunks else 0


def _molecules(group: _Group, seen: frozenset[Any] = frozenset()) -> Iterator[_Group]:
    """Every group with molecules, however deep, in the order of names."""
    import h5py

    if any(key in group for key in _LAYOUTS):
        yield group
    for key in group:
        item = group.item(key)
        if isinstance(item, h5py.Group):
            place = f"{group.place.partition(': group ')[0]}: group {printable(item.name)}"
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise UserError(f"{place}: contains itself; copy the file without it")
            yield from _molecules(_Group(item, place), seen | {address})


def _positions(root: _Group) -> str:
    """What the positions of a file are called.

    Raises:
        UserError: there are none; names what there is.
    """
    for group in _molecules(root):
        return next(key for key in _LAYOUTS if key in group)
    names: list[str] = []

    def take(name: str) -> bool | None:
        names.append(printable(name))
        return True if len(names) == _FEW else None  # enough

    root.group.visit(take)
    raise UserError(
        f"{root.place}: holds no {' (ANI) or '.join(_LAYOUTS)} (SPICE), but "
        f"{', '.join(names) or 'nothing'}; write extended XYZ of it"
    )


def _charge(smiles: str) -> int:
    """The sum of the charges of the atoms in brackets, as `[NH3+:1]` and `[Ca+2]` have them."""
    found = _CHARGES.findall(smiles)
    return sum(
        int(f"{sign}{size}") if sign else signs.count("+") - signs.count("-")
        for sign, size, signs in found
    )


def _found(group: _Group, positions: str, numbers: IntArray, index: IntArray) -> Found:
    def where(row: int, atom: int | None) -> str:
        place = f"{group.place}, frame {index[row] + 1}"
        return place if atom is None else f"{place}, atom {atom + 1}"

    about = group.some(STATE_KEYS)
    smiles = as_text(group.some(("smiles",)).get("smiles")) if positions == "conformations" else ""
    if smiles:
        about.setdefault("charge", _charge(smiles))
    return Found(
        numbers=numbers,
        positions=group[positions],
        stored=group,
        index=index,
        where=where,
        positions_key=positions,
        about=about,
    )


def _numbers(group: _Group) -> IntArray:
    """(n,) atomic numbers."""
    keys = [key for key in _NUMBERS_KEYS if key in group]
    if not keys:
        raise UserError(f"{group.place}: has neither {' nor '.join(_NUMBERS_KEYS)}")
    found = [elements_array(group[key], key, group.place) for key in keys]
    if not np.array_equal(found[0], found[-1]):
        raise UserError(f"{group.place}: {' and '.join(keys)} are different elements")
    return found[0]


def _agreed(
    units: dict[str, tuple[str, str]], group: _Group, positions: str, keys: tuple[str, str]
) -> dict[str, tuple[str, str]]:
    """Units that were stated so far, and those of a group; which may not contradict each other."""
    stated = stated_units(dict(group.group.attrs))
    for quantity, key in (("length", positions), ("energy", keys[0]), ("force", keys[1])):
        attributes = dict(group.data(key).attrs) if key in group else {}
        for name in _UNIT_ATTRIBUTES:
            if text := as_text(attributes.get(name)):
                stated[quantity] = f"{name} of {key}", text
    for quantity, (key, text) in stated.items():
        if unit_name(quantity, units.get(quantity, (key, text))[1]) != unit_name(quantity, text):
            raise UserError(f"{group.place}: '{key}' says {shown(text)}, but other groups do not")
    return {**units, **stated}


def _formulas(formula: str | None) -> set[str]:
    """The formulas of a list with commas, elements in Hill's order."""
    try:
        return {Formula(part).format("hill") for part in formula.split(",")} if formula else set()
    except ValueError:
        raise UserError(f"--formula {formula}: expected formulas, as C4H8,C5H10") from None
