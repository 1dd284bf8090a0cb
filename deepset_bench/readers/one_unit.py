"""Whether all frames of a molecule are in one unit: one that is a unit's factor off stands out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.units import energy_ratios, force_ratios, length_ratios

Where = Callable[[int, int | None], str]
"""(frame of the set, atom of that frame or None), both from 0, to file, frame and line."""

_COST = 1.0  # eV that a bond of twice or half its length takes at least
_SEVERAL = 5  # frames of a unit from which on the size of their forces is known
_NEAR = 0.25  # of the logarithm: how well it is known


def check_one_unit(frames: Frames, kind: IntArray, distances: FloatArray, where: Where) -> None:
    """Refuse energies, distances or forces of frames of one kind in another unit than before.

    Args:
        frames: what was read.
        kind: (M,) number of the molecule that each frame is of.
        distances: (M,) as `check_plausible` returns.
        where: says where a frame is.

    Raises:
        UserError: one line.
    """
    order = np.argsort(kind, kind="stable")
    forces = _rms_forces(frames)
    for members in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1):
        energies, apart = frames.energy[members], distances[members]
        jumps = {
            "energies": _other_unit(energies, energy_ratios()),
            "distances": _other_unit(apart, length_ratios()),
            "forces": _other_forces(forces[members], energies, apart),
        }
        if jumps["distances"] and _stretched(frames, members, apart):
            jumps["distances"] = None
        for name, jump in jumps.items():
            if jump is not None:
                first, factor = jump
                raise UserError(
                    f"{where(int(members[first]), None)}: the {name} are {factor:.4g} times those "
                    "of the frames before, as in another unit; write all frames in one unit"
                )


def _rms_forces(frames: Frames) -> FloatArray:
    """(M,) root mean square of the forces on the atoms of each frame, piece by piece."""
    squares = [
        np.add.reduceat((part.forces**2).sum(axis=1), part.offsets[:-1]) / part.n_atoms
        for part in frames.pieces()
    ]
    return np.asarray(np.sqrt(np.concatenate(squares)))


def _stretched(frames: Frames, members: IntArray, distances: FloatArray) -> bool:
    """Whether the atoms are further apart in some frames because bonds are longer there.

    Another unit leaves the energies where they are; to stretch every bond of a molecule to twice
    its length costs much. Two atoms have one distance, which tells nothing.
    """
    bonds = int(frames.n_atoms[members[0]]) - 1
    far = distances > np.sqrt(distances.min() * distances.max())
    energy = frames.energy[members]
    gaps = energy[far].min() - energy[~far].max(), energy[~far].min() - energy[far].max()
    return bonds < 2 or bool(max(gaps) > _COST * bonds)


def _other_unit(values: FloatArray, factors: list[float]) -> tuple[int, float] | None:
    """The first of `values` that is a unit's factor away from those before it, and the factor.

    Only where every value is within 5 % of the one level or of the other: a scan that passes by
    the factor has values between.
    """
    reference = np.sort(values)[(len(values) - 1) // 2]
    if len(values) < 3 or reference == 0 or not np.isfinite(reference):
        return None
    ratio = values / reference
    near = np.abs(ratio - 1) < 0.05
    for factor in factors:
        other = np.abs(ratio / factor - 1) < 0.05
        if other.any() and (near | other).all():
            first = int(np.argmax(other != other[0]))
            return first, float(values[first] / values[0])
    return None


def _other_forces(
    forces: FloatArray, energies: FloatArray, distances: FloatArray
) -> tuple[int, float] | None:
    """The same of the rms forces of frames, which are not of one size where all is well.

    They fall by orders of magnitude along a relaxation, are near zero in minima and grow with the
    temperature. Another unit is two narrow groups with nothing between, a unit's factor apart,
    though the molecule is as far from rest in both: at the same energies, with bonds that vary as
    much.
    """
    known = np.isfinite(forces) & (forces > 0) & np.isfinite(distances)
    if len(forces) < 2 * _SEVERAL or not known.all():
        return None
    logs = np.log(forces)
    order = np.argsort(logs)
    steps = np.diff(logs[order])
    n = int(np.argmax(steps)) + 1
    low, high = order[:n], order[n:]
    scatter = max(np.std(logs[low]), np.std(logs[high]))
    if min(len(low), len(high)) < _SEVERAL or steps.max() < 3 * scatter:
        return None
    factor = np.exp(logs[high].mean() - logs[low].mean())
    if np.abs(np.log(np.array(force_ratios()) / factor)).min() > _NEAR:
        return None
    for one, other in ((low, high), (high, low)):
        if not energies[other].min() <= np.median(energies[one]) <= energies[other].max():
            return None
    varies = np.std(distances[low]), np.std(distances[high])
    if max(varies) > np.sqrt(factor) * min(varies):
        return None
    is_high = np.isin(np.arange(len(forces)), high)
    first = int(np.argmax(is_high != is_high[0]))
    return first, float(1 / factor if is_high[0] else factor)
