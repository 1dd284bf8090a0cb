"""Biasing potentials on torsions, one or several driven together.

Across a double bond the torsion of the chain is driven and the torsion of the other two
substituents is tied to it. Driving the chain alone leaves those two behind: the carbons turn
pyramidal and the work goes into heat, not rotation. Driving the mean of both would put most of the
bias on light hydrogens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import Protocol, TypeVar

import numpy as np

from deepset_bench.molecules.frames import FloatArray

Torsion = Sequence[int]
Angle = TypeVar("Angle", float, FloatArray)


class Bias(Protocol):
    """What sampling adds to the potential; time-dependent through `advance`.

    Attributes:
        state: all that changes with time.
    """

    state: FloatArray

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Bias energy in eV and bias forces (A, 3) in eV/angstrom at `positions` in angstrom."""

    def advance(self, step: int, positions: FloatArray) -> bool:
        """Update the bias before molecular-dynamics step `step`; whether it changed."""


class NoBias:
    """Plain molecular dynamics."""

    state = np.empty(0)

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        return 0.0, np.zeros_like(positions)

    def advance(self, step: int, positions: FloatArray) -> bool:
        return False


def torsion(positions: FloatArray, atoms: Torsion) -> tuple[float, FloatArray]:
    """The dihedral angle of four atoms in radians, (-pi, pi], and its gradient.

    Blondel and Karplus, J. Comput. Chem. 1996, 17, 1132, equation 27: free of the 1/sin
    singularity at 0 and 180 degrees.

    Args:
        positions: (A, 3) in angstrom.
        atoms: i, j, k, l along the torsion.

    Returns:
        The angle and d(angle)/d(positions), (A, 3) in rad/angstrom.
    """
    i, j, k, l = atoms  # noqa: E741 - the names in the paper
    F = positions[i] - positions[j]
    G = positions[j] - positions[k]
    H = positions[l] - positions[k]
    A, B = _cross(F, G), _cross(H, G)
    A2, B2, length = A @ A, B @ B, np.sqrt(G @ G)
    angle = np.arctan2(_cross(B, A) @ G / length, A @ B)
    end_i, end_l = -length / A2 * A, length / B2 * B
    shift = (F @ G) / (A2 * length) * A - (H @ G) / (B2 * length) * B
    gradient = np.zeros_like(positions)
    gradient[i] = end_i
    gradient[j] = shift - end_i
    gradient[k] = -shift - end_l
    gradient[l] = end_l
    return float(angle), gradient


def wrap(angle: Angle) -> Angle:
    """An angle in radians brought to [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


class DrivenTorsions(ABC):
    """T torsions s to drive, and springs that bring a second torsion b along with each.

    V = f(s) + sum_t tie/2 wrap(b_t - s_t)^2. `value_and_slopes` gives f, which is what sampling
    adds; `state` is all of it that changes with time.

    Args:
        torsions: T pairs of i, j, k, l: the torsion to drive, and one across the same bond that is
            tied to it or None.
        tie: in eV/rad^2.
    """

    state: FloatArray

    def __init__(self, torsions: Sequence[tuple[Torsion, Torsion | None]], tie: float) -> None:
        self.torsions = torsions
        self.tie = tie

    @abstractmethod
    def value_and_slopes(self, s: FloatArray) -> tuple[float, FloatArray]:
        """f at torsion angles `s` (T,) in rad: in eV, and its derivatives (T,) in eV/rad."""

    def angles(self, positions: FloatArray) -> FloatArray:
        """(T,) the driven torsions in rad."""
        return np.array([torsion(positions, chain)[0] for chain, _ in self.torsions])

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Bias energy in eV and forces (A, 3) in eV/angstrom at `positions` in angstrom."""
        driven = [torsion(positions, chain) for chain, _ in self.torsions]
        energy, slopes = self.value_and_slopes(np.array([s for s, _ in driven]))
        forces = []
        for (s, gradient), slope, (_, tied) in zip(driven, slopes, self.torsions, strict=True):
            if tied is None:
                forces.append(-slope * gradient)
                continue
            other, gradient_other = torsion(positions, tied)
            difference = wrap(other - s)
            pull = self.tie * difference
            energy += float(pull * difference / 2)
            forces.append(-slope * gradient - pull * (gradient_other - gradient))
        return energy, reduce(np.add, forces)


class Metadynamics(DrivenTorsions):
    """Gaussian hills of constant height left at the torsions as the simulation proceeds.

    V(s, t) = sum over hills of height exp(-|s - s_hill|^2 / 2 width^2), s periodic. Laio and
    Parrinello, Proc. Natl. Acad. Sci. 2002, 99, 12562. `state` has the hills' centres, (T, hills).

    Args:
        height: of a hill in eV.
        width: standard deviation of a hill in rad.
        stride: steps between two hills.
    """

    def __init__(
        self,
        torsions: Sequence[tuple[Torsion, Torsion | None]],
        tie: float,
        height: float,
        width: float,
        stride: int,
    ) -> None:
        super().__init__(torsions, tie)
        self.height, self.width, self.stride = height, width, stride
        self.state = np.empty((len(torsions), 0))

    def value_and_slopes(self, s: FloatArray) -> tuple[float, FloatArray]:
        distance = wrap(s[:, None] - self.state)
        hills = self.height * np.exp(-(distance**2).sum(axis=0) / (2 * self.width**2))
        slopes = [-(hills * along).sum() / self.width**2 for along in distance]
        return float(hills.sum()), np.array(slopes)

    def advance(self, step: int, positions: FloatArray) -> bool:
        due = step % self.stride == 0
        if due:
            self.state = np.append(self.state, self.angles(positions)[:, None], axis=1)
        return due


class Umbrella(DrivenTorsions):
    """A harmonic window on the torsions that moves from one centre to the next.

    V(s) = strength/2 |s - centre|^2. Torrie and Valleau, J. Comput. Phys. 1977, 23, 187. `state`
    is the centre, (T,).

    Args:
        strength: of the umbrella windows in eV/rad^2.
        centres: (W, T) the windows in rad, in the order visited.
        stride: steps spent in each window.
    """

    def __init__(
        self,
        torsions: Sequence[tuple[Torsion, Torsion | None]],
        tie: float,
        strength: float,
        centres: FloatArray,
        stride: int,
    ) -> None:
        super().__init__(torsions, tie)
        self.strength, self.centres, self.stride = strength, centres, stride
        self.state = centres[0]

    def value_and_slopes(self, s: FloatArray) -> tuple[float, FloatArray]:
        distance = wrap(s - self.state)
        return float(self.strength / 2 * (distance**2).sum()), self.strength * distance

    def advance(self, step: int, positions: FloatArray) -> bool:
        before = self.state
        self.state = self.centres[min(step // self.stride, len(self.centres) - 1)]
        return not np.array_equal(before, self.state)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """np.cross of two vectors, ten times faster: every step of the dynamics takes six."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )
