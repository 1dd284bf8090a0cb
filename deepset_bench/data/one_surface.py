"""Whether a set is of one potential energy surface: a model sees geometries, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from ase.symbols import Symbols

from deepset_bench.errors import UserError
from deepset_bench.molecules.distinct import distinct_rows
from deepset_bench.molecules.frames import Frames

_APART = 1.0  # eV between two energies of one geometry that no rounding explains
_SAME = 4  # decimals of an angstrom in which one geometry is written twice


def check_one_surface(frames: Frames) -> None:
    """Refuse one composition with two charges or spins, and one geometry with two energies.

    Geometries are compared as they are written; turned or reordered ones are for `bench data
    check`.

    Raises:
        UserError: one line with the way out.
    """
    if frames.charge.any() or frames.spin.any():
        _check_states(frames)
    keys = np.array([hash(key) for key in _written(frames)], dtype=np.int64)
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    before = first[which]
    apart = np.abs(frames.energy - frames.energy[before])
    for m in np.flatnonzero(apart > _APART).tolist():
        one, other = _written(frames.select([before[m], m]))
        if one == other:  # not their hashes alone
            raise UserError(
                f"{frames.molecule[m]}: frames {frames.index[before[m]] + 1} and "
                f"{frames.index[m] + 1} have the same positions and energies {apart[m]:.1f} eV "
                "apart, as of two charges or spins, or of two methods; a model sees positions "
                "alone: leave one kind out with --frames, or name the charge in the file"
            )


def _check_states(frames: Frames) -> None:
    for quantity, values in (("charge", frames.charge), ("spin", frames.multiplicity)):
        states = np.column_stack([frames.composition(frames.species), values])
        kinds, which = distinct_rows(states)
        numbers = np.bincount(which)
        for first, second, n, m in zip(kinds, kinds[1:], numbers, numbers[1:], strict=False):
            if (first[:-1] == second[:-1]).all():
                formula = Symbols(np.repeat(frames.species, first[:-1])).get_chemical_formula()
                name = {"charge": "charge", "spin": "spin multiplicity"}[quantity]
                raise UserError(
                    f"{formula} has the {name} {first[-1]} in {n:,} geometries, {second[-1]} in "
                    f"{m:,}, but a model here does not see the {quantity}; take one state, with "
                    f"--{quantity} {first[-1]} or --{quantity} {second[-1]}"
                )


def _written(frames: Frames) -> Iterator[bytes]:
    """Elements and positions of each frame, to _SAME decimals, and its cell if it is periodic."""
    for piece in frames.pieces():
        positions, cell = (np.round(v, _SAME) + 0.0 for v in (piece.positions, piece.cell))  # no -0
        periodic = piece.periodic
        for m, (start, stop) in enumerate(pairwise(piece.offsets.tolist())):
            written = piece.numbers[start:stop].tobytes() + positions[start:stop].tobytes()
            yield written + cell[m].tobytes() + piece.pbc[m].tobytes() if periodic[m] else written
