"""Numbers that cannot be a molecule's, found before anything else is done with them.

What is refused here is a damaged or misread file; whether good files hold good labels is for
`bench data check`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.neighbours import neighbour_pairs
from deepset_bench.readers.lattices import check_stress
from deepset_bench.readers.one_unit import Where, check_one_unit

_TOO_CLOSE = 0.3  # angstrom: shorter than any bond by far, longer than forces are apart
_SAME = 1e-6  # angstrom: the same numbers
_SHORTEST_CELL = 1.0  # angstrom: shorter than any crystal's by far
_LARGEST = {
    "positions": (1e5, "angstrom"),
    "forces": (1e6, "eV/angstrom"),
    "energy": (1e9, "eV"),
}
_MANY = 60  # atoms of a frame from which on neighbours are searched for
_NEAR = 6.0  # angstrom within which images are looked for
_CHUNK = 1000  # frames whose distances are in memory together


def check_plausible(
    frames: Frames, where: Where, where_forces: Where | None = None, hint: str = ""
) -> FloatArray:
    """Refuse numbers beyond all measure, atoms on top of each other, and two units in one file.

    Args:
        frames: what was read.
        where: says in which file, frame and line a number is.
        where_forces: the same of forces, where they are in another file.
        hint: what may have gone wrong where atoms lie on top of each other.

    Returns:
        (M,) mean distance of an atom to its nearest neighbour, for `check_one_unit`.

    Raises:
        UserError: one line.
    """
    offsets = frames.offsets
    if len(frames) == 0:
        return np.zeros(0)
    for name, (largest, unit) in _LARGEST.items():
        values = np.abs(getattr(frames, name))
        if (values > largest).any():  # NaN, where there are no forces, is not
            row = int(np.argwhere(values > largest)[0][0])
            frame = row if name == "energy" else int(frames.frame_of_atom[row])
            atom = None if name == "energy" else row - int(offsets[frame])
            place = (where_forces or where) if name == "forces" else where
            raise UserError(
                f"{place(frame, atom)}: {name} of {values[row].max():.3g} {unit}, beyond any "
                "molecule; mend the file or leave the frame out"
            )
    if frames.stress is not None:
        for frame in np.flatnonzero(~np.isnan(frames.stress[:, 0, 0])).tolist():
            check_stress(where(frame, None), frames.stress[frame])
    nearest = nearest_distance(frames)
    if nearest.min() < _TOO_CLOSE:
        row = int(np.argmax(nearest < _TOO_CLOSE))
        frame = int(frames.frame_of_atom[row])
        raise UserError(
            f"{where(frame, row - int(offsets[frame]))}: "
            + _too_near(frames.select([frame]), float(nearest[row]), hint)
        )
    mean_nearest: FloatArray = np.add.reduceat(nearest, offsets[:-1]) / frames.n_atoms
    kind = np.unique(frames.molecule, return_inverse=True)[1]
    check_one_unit(frames, kind, mean_nearest, where)
    return mean_nearest


def _too_near(frame: Frames, distance: float, hint: str) -> str:
    """What is said of an atom of one frame that is closer to another than atoms can be."""
    far = f"{distance:.3f} angstrom from another atom"
    if frame.pbc.any():
        lengths = np.linalg.norm(frame.cell[0], axis=1)[frame.pbc[0]]
        if lengths.min() < _SHORTEST_CELL:
            return (
                f"a vector of the cell is {lengths.min():.3g} angstrom long, shorter than any "
                "crystal's; correct the cell, or say its unit with --length-unit"
            )
        if distance > _SAME and np.ptp(frame.positions, axis=0).max() <= 1:
            return (
                f"{far}, and all within 1 angstrom, as fractional coordinates are; write positions "
                "in angstrom"
            )
    if distance <= _SAME and not hint:
        return "lies in the place of another atom; is its line there twice? leave one out"
    return f"{far}; these are not positions in angstrom: {hint or 'are they in another unit?'}"


def nearest_distance(frames: Frames) -> FloatArray:
    """(A,) how far each atom is from the nearest other one of its frame, angstrom; inf if alone.

    In periodic frames from the nearest image, too; inf beyond 6 angstrom.
    """
    nearest = np.full(len(frames.numbers), np.inf)
    offsets = frames.offsets
    for start in range(0, len(frames) if frames.pbc.any() else 0, _CHUNK):
        piece = frames.select(slice(start, start + _CHUNK))
        pairs = neighbour_pairs(piece, _NEAR)
        lengths = np.linalg.norm(pairs.vectors(piece.positions), axis=1)
        np.minimum.at(nearest, offsets[start] + pairs.i, lengths)
    for atoms in _alike(frames, ~frames.periodic):
        positions = frames.positions[atoms]  # (m, n, 3)
        if atoms.shape[1] > _MANY:  # all pairs of a chunk would fill the memory
            from scipy.spatial import cKDTree  # takes long to import

            trees = [cKDTree(frame).query(frame, k=2)[0][:, 1] for frame in positions]
            nearest[atoms] = np.array(trees)
            continue
        d = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)
        d[:, *np.diag_indices(d.shape[1])] = np.inf
        nearest[atoms] = d.min(axis=-1)
    return nearest


def net_torque(frames: Frames) -> bool:
    """Whether forces that sum to zero have a torque, as no isolated molecule's have.

    Atoms in another order leave the sum of the forces as it is, but not their torque.
    """
    forces: list[FloatArray] = []
    torques: list[FloatArray] = []
    for atoms in _alike(frames, ~frames.periodic):
        f, r = frames.forces[atoms], frames.positions[atoms]
        lever = np.cross(r - r.mean(axis=1, keepdims=True), f)
        for parts, vectors in ((forces, f), (torques, lever)):
            total = np.linalg.norm(vectors, axis=-1).sum(axis=1)
            net = np.linalg.norm(vectors.sum(axis=1), axis=-1)
            parts.append(net / np.where(total == 0, 1, total))
    return bool(
        np.median(np.concatenate(forces)) < 1e-3 and np.median(np.concatenate(torques)) > 0.05
    )


def _alike(frames: Frames, wanted: NDArray[np.bool_]) -> Iterator[IntArray]:
    """(m, n) atoms of up to `_CHUNK` frames of n atoms each, until every wanted one was there."""
    offsets = frames.offsets
    for n in np.unique(frames.n_atoms[wanted]):
        members = np.flatnonzero((frames.n_atoms == n) & wanted)
        for start in range(0, len(members), _CHUNK):
            yield offsets[members[start : start + _CHUNK], None] + np.arange(n)
