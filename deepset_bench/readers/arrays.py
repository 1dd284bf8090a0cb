"""From what a reader finds in a file to `Frames`: checked, in eV and angstrom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase.symbols import Symbols
from numpy.typing import ArrayLike, NDArray

from deepset_bench.errors import UserError
from deepset_bench.molecules.distinct import distinct_rows
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.readers.elements import GHOST, LabelError, element
from deepset_bench.readers.lattices import Lattice
from deepset_bench.readers.one_unit import Where
from deepset_bench.readers.rows import no_value
from deepset_bench.readers.xyz import shown
from deepset_bench.units import Units


@dataclass(frozen=True, eq=False)
class Arrays:
    """m geometries of one molecule of n atoms, in the units of the file.

    `numbers` (n,), `positions` (m, n, 3), `energy` (m,), `forces` (m, n, 3), `bias` (m, n, 3) or
    None, `index` (m,) numbers of the frames in the file, `charge` (m,) and `spin` (m,), `cell` of
    all of them or None.
    """

    numbers: IntArray
    positions: FloatArray
    energy: FloatArray
    forces: FloatArray
    bias: FloatArray | None
    index: IntArray
    charge: IntArray
    spin: IntArray
    cell: Lattice | None = None


def join(blocks: Sequence[Arrays], name: str, units: Units) -> Frames:
    """One set of all blocks, in eV and angstrom.

    Args:
        blocks: at least one; either all have a bias or none.
        name: what to call all of them.
        units: of the file.
    """
    sizes = [len(block.energy) for block in blocks]

    def frames(field: str) -> NDArray[Any]:
        return np.concatenate([getattr(block, field) for block in blocks])

    def atoms(field: str, factor: float) -> FloatArray:
        return np.concatenate([getattr(b, field).reshape(-1, 3) for b in blocks]) * factor

    return Frames(
        numbers=np.concatenate([np.tile(b.numbers, len(b.energy)) for b in blocks]),
        positions=atoms("positions", units.length),
        n_atoms=np.repeat([len(block.numbers) for block in blocks], sizes),
        energy=frames("energy") * units.energy,
        forces=atoms("forces", units.force),
        bias_forces=None if blocks[0].bias is None else atoms("bias", units.force),
        molecule=np.full(sum(sizes), name),
        index=frames("index"),
        charge=frames("charge"),
        spin=frames("spin"),
        **_cells(blocks, units),
    )


def _cells(blocks: Sequence[Arrays], units: Units) -> dict[str, Any]:
    """`cell`, `pbc` and `stress` of all frames, if any is periodic."""
    if not any(block.cell for block in blocks):
        return {}
    found: dict[str, list[NDArray[Any]]] = {"cell": [], "pbc": [], "stress": []}
    for block in blocks:
        vectors, pbc, stress = np.zeros((3, 3)), np.zeros(3, dtype=bool), np.full((3, 3), np.nan)
        if block.cell is not None:
            pbc = block.cell.pbc
            vectors, stress = block.cell.in_ev(units)
        for name, value in (("cell", vectors), ("pbc", pbc), ("stress", stress)):
            found[name].append(np.broadcast_to(value, (len(block.energy), *value.shape)))
    return {name: np.concatenate(values) for name, values in found.items()}


Kind = tuple[str, int, int]
"""Formula, charge and spin multiplicity of a molecule."""


def kinds_of(frames: Frames) -> tuple[list[Kind], IntArray]:
    """The kinds of molecules there are, and which of them (M,) each frame is."""
    species = frames.species
    states = frames.composition(species), frames.charge, frames.multiplicity
    rows, which = distinct_rows(np.column_stack(states))
    kinds = [
        (Symbols(np.repeat(species, atoms)).get_chemical_formula(), charge, multiplicity)
        for *atoms, charge, multiplicity in rows.tolist()
    ]
    return kinds, which


def names_of(kinds: Sequence[Kind], name: str) -> list[str]:
    """What each kind is called in a set of that name: so, or where there are several, by formula.

    So a split can hold whole molecules out, and a mean energy is of one kind of molecule. Another
    charge is another molecule, as `H3O (charge +1)`, and so is another spin of one composition.
    """
    if len(kinds) < 2:
        return [name] * len(kinds)
    spins = Counter((formula, charge) for formula, charge, _ in kinds)
    names = []
    for formula, charge, multiplicity in kinds:
        marks = [f"charge {charge:+d}"] if charge else []
        if spins[formula, charge] > 1:
            marks.append(f"spin {multiplicity}")
        names.append(formula + (f" ({', '.join(marks)})" if marks else ""))
    return names


def name_molecules(frames: Frames, name: str) -> Frames:
    """The same set, where frames called `name` of several molecules are named as `names_of` says"""
    mine = np.flatnonzero(frames.molecule == name)
    kinds, which = kinds_of(frames if len(mine) == len(frames) else frames.select(mine))
    if len(kinds) < 2:
        return frames
    molecule = frames.molecule.astype(object)
    molecule[mine] = np.array(names_of(kinds, name), dtype=object)[which]
    return replace(frames, molecule=molecule.astype(np.str_))


def numbers_array(value: ArrayLike, key: str, shape: tuple[int, ...], where: Where) -> FloatArray:
    """What a file stores under `key` as float64, finite or not.

    Args:
        shape: what it must be, along the first axis one for each frame; where that is one number,
            an array of one for each frame will do.
        where: says where a frame, counted along that axis, is.

    Raises:
        UserError: no numbers, or another shape.
    """
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        array = _gaps(array)
    if array.dtype.kind not in "iuf":
        one = array.item() if array.size == 1 else array
        raise UserError(
            f"{where(0, None)}: '{key}' is not a number but '{shown(str(one))}'; correct it, or "
            "write nan where there is none"
        )
    if len(shape) == 1 and array.shape[:1] == shape and array.size == shape[0]:
        array = array.reshape(shape)
    if array.shape != shape:
        frame, expected = array.shape, shape
        if shape[0] == 1 and array.shape[:1] == (1,):  # one frame: its own shape says more
            frame, expected = array.shape[1:], shape[1:]
        raise UserError(f"{where(0, None)}: '{key}' has shape {frame}, expected {expected}")
    with np.errstate(all="ignore"):  # of damaged bytes
        return array.astype(np.float64)


def _gaps(array: NDArray[Any]) -> NDArray[Any]:
    """The same as numbers, NaN for `None`, `null` and nothing; or as it is where it holds words."""
    values: list[float] = []
    for item in array.ravel().tolist():
        word = item.decode("latin-1") if isinstance(item, bytes) else item
        if word is None or (isinstance(word, str) and no_value(word.strip() or "nan")):
            values.append(np.nan)
        elif isinstance(word, int | float):
            values.append(float(word))
        else:
            return array
    return np.array(values).reshape(array.shape)


def elements_array(value: ArrayLike, key: str, where: str) -> IntArray:
    """(n,) atomic numbers from 1 to 118, of numbers or of symbols.

    Raises:
        UserError: none, neither whole numbers nor symbols along one axis, or of no element.
    """
    array = np.asarray(value)
    if array.dtype.kind in "SUO" and array.ndim == 1:
        array = np.array([_element(label, key, where) for label in array.tolist()], dtype=np.int64)
    whole = array.dtype.kind in "iu" or (array.dtype.kind == "f" and bool((array % 1 == 0).all()))
    if not whole or array.ndim != 1 or not len(array):
        raise UserError(
            f"{where}: '{key}' has shape {array.shape} and type {array.dtype}, expected one atomic "
            "number for each atom of the molecule; write it so"
        )
    if array.min() < 1 or array.max() > 118:
        wrong = array[(array < 1) | (array > 118)][0]
        what = f", which {GHOST}" if wrong == 0 else ", which is not an element; correct it"
        raise UserError(f"{where}: '{key}' holds {wrong:.0f}{what}")
    return array.astype(np.int64)


def _element(label: Any, key: str, where: str) -> int:
    text = label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
    try:
        found = element(text)
    except LabelError as error:
        raise UserError(f"{where}: '{key}': {error}") from None
    if found is None:
        raise UserError(f"{where}: '{key}' holds '{shown(text)}', which is not an element")
    return found
