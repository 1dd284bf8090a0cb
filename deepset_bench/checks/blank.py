"""Labels that were never written: exact zeros where other frames of a molecule have none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepset_bench.checks.finding import Finding, ranges
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.geometry import bonds

_APART = 1.0  # eV an atom: no two geometries of a set are so far apart


def blank(subject: Subject) -> Finding:
    """Energies of exactly 0, and forces that are all exactly 0, of however few frames.

    Not where they may be right: energies may be relative to one of the set, and no forces act in
    the geometry of the lowest energy, between atoms out of each other's reach, and by symmetry in a
    crystal.
    """
    check, frames = "blank labels", subject.frames
    without_energy: list[int] = []
    without_forces: list[int] = []
    _, kinds = np.unique(frames.composition(frames.species), axis=0, return_inverse=True)
    forceless = _forceless(subject)
    for kind in np.unique(kinds[(frames.energy == 0) | forceless]):
        rows = np.flatnonzero(kinds == kind)
        zero = frames.energy[rows] == 0
        if zero.any() and _far(frames.energy[rows[~zero]], int(frames.n_atoms[rows[0]])):
            without_energy += rows[zero].tolist()
            rows = rows[~zero]
        if forceless[rows].all():
            continue
        lowest = frames.energy[rows].min()
        still = rows[forceless[rows] & (frames.energy[rows] > lowest)]
        without_forces += [row for row in still.tolist() if _bonded(frames, row)]
        without_forces += [row for row in without_energy if forceless[row] and kinds[row] == kind]
    found = [
        f"{what} of frame{'s' * (len(rows) > 1)} {ranges(frames.index[rows].tolist())} {is_zero}"
        for what, rows, is_zero in (
            ("the energy", without_energy, "is exactly 0, far from that of the other frames"),
            ("all forces", without_forces, "are exactly 0"),
        )
        if rows
    ]
    bad = np.unique([*without_energy, *without_forces]).astype(np.int64)
    if not found:
        return Finding(check, "ok", "no energy and no frame's forces are left at zero", 0.0)
    text = f"{'; '.join(found)} (counted from 0): never written"
    advice = "leave these frames out, or compute their labels"
    where = tuple(sorted(frames.index[bad].tolist()))
    return Finding(check, "defect", text, float(len(bad)), "", where, (), advice)


def _forceless(subject: Subject) -> NDArray[np.bool_]:
    """(M,) which molecules of two atoms or more have forces that are all exactly 0."""
    frames = subject.frames
    acts = (frames.labelled_forces(subject.labels) != 0).any(axis=1)  # NaN is no zero
    zero: NDArray[np.bool_] = ~np.logical_or.reduceat(acts, frames.offsets[:-1])
    return zero & (frames.n_atoms > 1) & ~frames.periodic


def _far(energy: FloatArray, n_atoms: int) -> bool:
    """Whether a zero is above some energies by more than they are apart, or may be."""
    return len(energy) > 0 and bool(-energy.max() > max(np.ptp(energy), _APART * n_atoms))


def _bonded(frames: Frames, row: int) -> bool:
    """Whether some two atoms of a frame are bonded: a force acts but at a stationary point."""
    atoms = frames.atoms_in(np.array([row]))
    return len(bonds(frames.numbers[atoms], frames.positions[atoms][None])[0]) > 0
