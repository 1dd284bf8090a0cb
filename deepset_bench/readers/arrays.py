"""From what a reader finds in a file to `Frames`: checked, in eV and angstrom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase.symbols import Symbols
from numpy.typing import ArrayLike, NDArray

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.readers.plausible import Where, check_plausible
from deepset_bench.readers.xyz import shown
from deepset_bench.units import Units


@dataclass(frozen=True, eq=False)
class Arrays:
    """m geometries of one molecule of n atoms, in the units of the file.

    `numbers` (n,), `positions` (m, n, 3), `energy` (m,), `forces` (m, n, 3), `bias` (m, n, 3) or
    None, `index` (m,) numbers of the frames in the file, `charge` (m,) and `spin` (m,).
    """

    numbers: IntArray
    positions: FloatArray
    energy: FloatArray
    forces: FloatArray
    bias: FloatArray | None
    index: IntArray
    charge: IntArray
    spin: IntArray


def join(
    blocks: Sequence[Arrays],
    name: str,
    units: Units,
    where: Where,
    where_forces: Where | None = None,
    hint: str = "",
) -> Frames:
    """One set of all blocks, plausible and in eV and angstrom.

    Args:
        blocks: at least one; either all have a bias or none.
        name: what to call the set; for the names of molecules see `name_molecules`.
        units: of the file.
        where, where_forces, hint: see `check_plausible`.

    Raises:
        UserError: see `check_plausible`.
    """
    sizes = [len(block.energy) for block in blocks]

    def frames(field: str) -> NDArray[Any]:
        return np.concatenate([getattr(block, field) for block in blocks])

    def atoms(field: str, factor: float) -> FloatArray:
        return np.concatenate([getattr(b, field).reshape(-1, 3) for b in blocks]) * factor

    read = Frames(
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
    )
    read = name_molecules(read, name)
    check_plausible(read, where, where_forces, hint)
    return read


def name_molecules(frames: Frames, name: str) -> Frames:
    """The same set, where frames called `name` of several molecules are called by formula.

    So a split can hold whole molecules out, and a mean energy is of one kind of molecule. Another
    charge is another molecule, as `H3O (charge +1)`, and so is another spin of one composition.
    """
    mine = frames.molecule == name
    counts = frames.composition(frames.species)[mine].astype(int)
    charge, spin = frames.charge[mine], frames.multiplicity[mine]
    kinds, kind = np.unique(np.column_stack([counts, charge, spin]), axis=0, return_inverse=True)
    if len(kinds) < 2:
        return frames
    spins: dict[tuple[int, ...], int] = {}  # how many a composition of one charge has
    for row in kinds[:, :-1].tolist():
        spins[tuple(row)] = spins.get(tuple(row), 0) + 1
    names = []
    for *atoms, e, multiplicity in kinds.tolist():
        formula = Symbols(np.repeat(frames.species, atoms)).get_chemical_formula()
        marks = [f"charge {e:+d}"] if e else []
        if spins[(*atoms, e)] > 1:
            marks.append(f"spin {multiplicity}")
        names.append(formula + (f" ({', '.join(marks)})" if marks else ""))
    molecule = frames.molecule.astype(object)
    molecule[mine] = np.array(names, dtype=object)[kind]
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
    if array.dtype.kind not in "iuf":
        raise UserError(f"{where(0, None)}: '{key}' is not a number but {shown(str(array))}")
    if len(shape) == 1 and array.shape[:1] == shape and array.size == shape[0]:
        array = array.reshape(shape)
    if array.shape != shape:
        frame, expected = array.shape, shape
        if shape[0] == 1 and array.shape[:1] == (1,):  # one frame: its own shape says more
            frame, expected = array.shape[1:], shape[1:]
        raise UserError(f"{where(0, None)}: '{key}' has shape {frame}, expected {expected}")
    with np.errstate(all="ignore"):  # of damaged bytes
        return array.astype(np.float64)


def elements_array(value: ArrayLike, key: str, where: str) -> IntArray:
    """(n,) atomic numbers from 1 to 118.

    Raises:
        UserError: none, not whole numbers along one axis, or of no element.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.ndim != 1 or not len(array):
        raise UserError(f"{where}: '{key}' is not a list of atomic numbers")
    if array.min() < 1 or array.max() > 118:
        wrong = array[(array < 1) | (array > 118)][0]
        raise UserError(f"{where}: '{key}' holds {wrong}, which is not an element")
    return array.astype(np.int64)
