"""Whether a set is of one potential energy surface: a model sees geometries, and nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from ase.symbols import Symbols

from deepset_bench.errors import UserError
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
    for quantity, values in (("charge", frames.charge), ("spin", frames.multiplicity)):
        states = np.column_stack([frames.composition(frames.species), values]).astype(np.int64)
        kinds, numbers = np.unique(states, axis=0, return_counts=True)
        for first, second, n, m in zip(kinds, kinds[1:], numbers, numbers[1:], strict=False):
            if (first[:-1] == second[:-1]).all():
                formula = Symbols(np.repeat(frames.species, first[:-1])).get_chemical_formula()
                name = {"charge": "charge", "spin": "spin multiplicity"}[quantity]
                raise UserError(
                    f"{formula} has the {name} {first[-1]} in {n:,} geometries, {second[-1]} in "
                    f"{m:,}, but a model here does not see the {quantity}; take one state, with "
                    f"--{quantity} {first[-1]} or --{quantity} {second[-1]}"
                )
    seen: dict[bytes, int] = {}
    offsets = frames.offsets
    written = np.round(frames.positions, _SAME) + 0.0  # no -0.0
    for m, (start, stop) in enumerate(pairwise(offsets)):
        key = frames.numbers[start:stop].tobytes() + written[start:stop].tobytes()
        before = seen.setdefault(key, m)
        apart = abs(float(frames.energy[m] - frames.energy[before]))
        if apart > _APART:
            raise UserError(
                f"{frames.molecule[m]}: frames {frames.index[before] + 1} and "
                f"{frames.index[m] + 1} have the same positions and energies {apart:.1f} eV apart, "
                "as of two charges or spins, or of two methods; a model sees positions alone: "
                "leave one kind out with --frames, or name the charge in the file"
            )
