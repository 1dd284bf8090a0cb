"""What the frames alone say about themselves, cheaply enough for every training run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii

from deepset_bench.data.frames import Frames

BROKEN = 1.6
"""A bond stretched beyond this multiple of its first length is broken."""


@dataclass(frozen=True)
class Verdict:
    """`ok`, `suspect` or `defect`, and one line for everything found."""

    verdict: str
    findings: list[str]


def bonds(frames: Frames, frame: int) -> np.ndarray:
    """(b, 2) atoms of one frame closer than 1.25 times the sum of their covalent radii."""
    atoms = frames.atoms_of(frame)
    positions, radii = frames.positions[atoms], covalent_radii[frames.numbers[atoms]]
    d = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    close = d < 1.25 * (radii[:, None] + radii[None])
    return np.argwhere(np.triu(close, k=1))


def bond_stretch(frames: Frames) -> np.ndarray:
    """(M,) longest bond of each frame over its length in the first frame of the same molecule."""
    stretch = np.ones(len(frames))
    for molecule in np.unique(frames.molecule):
        members = np.flatnonzero(frames.molecule == molecule)
        part = frames.select(members)
        if len(np.unique(part.n_atoms)) > 1:
            continue  # several molecules under one name: nothing to compare with
        pairs = bonds(part, 0)
        if not len(pairs):
            continue
        positions = part.positions.reshape(len(part), -1, 3)
        length = np.linalg.norm(positions[:, pairs[:, 0]] - positions[:, pairs[:, 1]], axis=-1)
        stretch[members] = (length / length[0]).max(axis=1)
    return stretch


def cheap_checks(frames: Frames, labels: str) -> Verdict:
    """Whether the labels can be forces and the molecules are whole.

    Args:
        frames: the whole data set.
        labels: `potential` or `biased`, what the condition trains on.
    """
    defects, suspicions = [], []
    broken = np.flatnonzero(bond_stretch(frames) > BROKEN)
    if len(broken):
        defects.append(
            f"a bond is stretched over {BROKEN} times its first length in {len(broken)} of "
            f"{len(frames)} frames, first in frame {frames.index[broken[0]]}"
        )
    if frames.bias_forces is None:
        suspicions.append(
            "nothing shows that the forces are the gradient of the energy; "
            "bench data import --relabel gfn1 computes labels that are"
        )
    elif labels == "biased" and np.abs(frames.bias_forces).max() > 0:
        bias, true = np.abs(frames.bias_forces).mean(), np.abs(frames.forces).mean()
        defects.append(
            "the labels hold a bias that is not the gradient of the energy: mean absolute "
            f"component {bias:.3f} eV/angstrom, against {true:.3f} of the true force"
        )
    verdict = "defect" if defects else "suspect" if suspicions else "ok"
    return Verdict(verdict, defects + suspicions)
