"""What a metric is given: predictions, labels, and what there is to know of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.schema import Config


@dataclass(frozen=True, eq=False)
class Predictions:
    """Of M frames with A atoms in all, in the order of the labels.

    Attributes:
        energy: (M,) eV per molecule, without what the energy reference says of its composition, as
            the labels are. NaN where the reference says nothing about a molecule, so that its
            absolute energy is not scored.
        forces: (A, 3) eV/angstrom.
        stress: (M, 3, 3) eV/angstrom^3, zero in frames without a volume; None where no frame is
            periodic.
    """

    energy: FloatArray
    forces: FloatArray
    stress: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """What the run was to learn, of the same frames.

    Attributes:
        energy: (M,) eV per molecule, likewise.
        forces: (A, 3) eV/angstrom; with the bias where the run was trained on biased labels. NaN
            in frames that have an energy alone.
        frames: positions, cells, stress, molecules and whatever else the set holds.
    """

    energy: FloatArray
    forces: FloatArray
    frames: Frames

    @property
    def numbers(self) -> IntArray:
        """(A,) atomic numbers."""
        return self.frames.numbers

    @property
    def has_force(self) -> NDArray[np.bool_]:
        """(A,) whether an atom is labelled with a force."""
        return np.asarray(~np.isnan(self.forces).all(axis=1))

    @property
    def frame_of_atom(self) -> IntArray:
        """(A,) which of the M frames an atom is in."""
        return self.frames.frame_of_atom


@dataclass(frozen=True)
class ScoredRun:
    """What made the predictions.

    Attributes:
        parameters: how many; none for the mean energy and zero force.
        seconds_a_step: wall time over optimisation steps; it depends on the machine. NaN for the
            mean energy and zero force.
        config: of the run; `device` is the one to compute on.
        folder: that holds the trained potential, as `DeepSetCalculator` takes it; None where a
            metric is not `of="potential"`.
    """

    parameters: int
    seconds_a_step: float
    config: Config
    folder: Path | None = None
