"""From what a reader finds in a file to `Frames`: checked, in eV and angstrom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase.symbols import Symbols
from numpy.typing import ArrayLike

from deepset_bench.data.frames import FloatArray, Frames, IntArray
from deepset_bench.data.plausible import Where, check_plausible
from deepset_bench.data.units import Units
from deepset_bench.data.xyz import shown
from deepset_bench.errors import UserError, nearest


@dataclass(frozen=True, eq=False)
class Block:
    """m geometries of one molecule of n atoms, in the units of the file.

    `numbers` (n,), `positions` (m, n, 3), `energy` (m,), `forces` (m, n, 3), `bias` (m, n, 3) or
    None, `index` (m,) numbers of the frames in the file.
    """

    numbers: IntArray
    positions: FloatArray
    energy: FloatArray
    forces: FloatArray
    bias: FloatArray | None
    index: IntArray


def join(blocks: Sequence[Block], name: str, units: Units, where: Where) -> Frames:
    """One set of all blocks, plausible and in eV and angstrom.

    Args:
        blocks: at least one; either all have a bias or none.
        name: what to call the set; for the names of molecules see `name_molecules`.
        units: of the file.
        where: says in which file, frame and line a number of the set is.

    Raises:
        UserError: see `check_plausible`.
    """
    sizes = [len(block.energy) for block in blocks]

    def atoms(field: str, factor: float) -> FloatArray:
        return np.concatenate([getattr(b, field).reshape(-1, 3) for b in blocks]) * factor

    read = Frames(
        numbers=np.concatenate([np.tile(b.numbers, len(b.energy)) for b in blocks]),
        positions=atoms("positions", units.length),
        n_atoms=np.repeat([len(block.numbers) for block in blocks], sizes),
        energy=np.concatenate([block.energy for block in blocks]) * units.energy,
        forces=atoms("forces", units.force),
        bias_forces=None if blocks[0].bias is None else atoms("bias", units.force),
        molecule=np.full(sum(sizes), name),
        index=np.concatenate([block.index for block in blocks]),
    )
    read = name_molecules(read, name)
    check_plausible(read, where)
    return read


def name_molecules(frames: Frames, name: str) -> Frames:
    """The same set, where frames called `name` of several compositions are called by formula.

    So a split can hold whole molecules out, and a mean energy is of one kind of molecule.
    """
    mine = frames.molecule == name
    counts, kind = np.unique(
        frames.composition(frames.species)[mine].astype(int), axis=0, return_inverse=True
    )
    if len(counts) < 2:
        return frames
    formulas = [Symbols(np.repeat(frames.species, row)).get_chemical_formula() for row in counts]
    molecule = frames.molecule.astype(object)
    molecule[mine] = np.array(formulas, dtype=object)[kind]
    return replace(frames, molecule=molecule.astype(np.str_))


def numbers_array(value: ArrayLike, key: str, shape: tuple[int, ...], where: Where) -> FloatArray:
    """What a file stores under `key` as float64.

    Args:
        shape: what it must be, along the first axis one for each frame.
        where: says where a frame, counted along that axis, is.

    Raises:
        UserError: no numbers, another shape, or one that is not finite.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise UserError(f"{where(0, None)}: '{key}' is not a number but {shown(str(array))}")
    if array.shape != shape:
        frame, expected = array.shape, shape
        if shape[0] == 1 and array.shape[:1] == (1,):  # one frame: its own shape says more
            frame, expected = array.shape[1:], shape[1:]
        raise UserError(f"{where(0, None)}: '{key}' has shape {frame}, expected {expected}")
    finite = np.isfinite(array)
    if not finite.all():
        row = int(np.argwhere(~finite)[0][0])
        raise UserError(f"{where(row, None)}: '{key}' is not finite; leave the frame out")
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
        raise UserError(f"{where}: '{key}' holds {wrong}, which is no element")
    return array.astype(np.int64)


def no_label(where: str, key: str, found: Iterable[str], option: str) -> UserError:
    """One line for a label that is not there, with what is."""
    return UserError(
        f"{where}: has no '{key}'; {nearest(key, found)} (choose with {option}, or compute "
        "energies and forces with --relabel gfn1)"
    )
