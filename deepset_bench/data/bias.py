"""Biasing potentials on the rotation about a double bond.

The torsion of the chain is driven and the torsion of the other two substituents is tied to it.
Driving the chain alone leaves those two behind: the carbons turn pyramidal and the work goes into
heat, not rotation. Driving the mean of both would put most of the bias on light hydrogens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from deepset_bench.data.frames import FloatArray

Torsion = Sequence[int]


class Bias(Protocol):
    """What sampling adds to the potential; time-dependent through `advance`."""

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Bias energy in eV and bias forces (A, 3) in eV/angstrom at `positions` in angstrom."""

    def advance(self, step: int, positions: FloatArray) -> bool:
        """Update the bias before molecular-dynamics step `step`; whether it changed."""


class NoBias:
    """Plain molecular dynamics."""

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


def wrap(angle: float | FloatArray) -> float | FloatArray:
    """An angle in radians brought to [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


class TiedTorsion:
    """One torsion a across a double bond to drive, and a spring that brings a second one along.

    V = f(a) + tie/2 wrap(b - a)^2. `value_and_slope` gives f, which is what sampling adds.

    Args:
        torsions: a and b, two torsions across the same bond, each i, j, k, l.
        tie: in eV/rad^2.
    """

    def __init__(self, torsions: tuple[Torsion, Torsion], tie: float) -> None:
        self.torsions = torsions
        self.tie = tie

    def value_and_slope(self, s: float) -> tuple[float, float]:
        """f at a torsion angle `s` in rad: in eV, and its slope in eV/rad."""
        raise NotImplementedError

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Bias energy in eV and forces (A, 3) in eV/angstrom at `positions` in angstrom."""
        s, gradient = torsion(positions, self.torsions[0])
        other, gradient_other = torsion(positions, self.torsions[1])
        difference = wrap(other - s)
        value, slope = self.value_and_slope(s)
        pull = self.tie * difference
        energy = value + pull * difference / 2
        return float(energy), -slope * gradient - pull * (gradient_other - gradient)


class Metadynamics(TiedTorsion):
    """Gaussian hills of constant height left along the torsion as the simulation proceeds.

    V(s, t) = sum over hills of height exp(-(s - s_hill)^2 / 2 width^2), s periodic. Laio and
    Parrinello, Proc. Natl. Acad. Sci. 2002, 99, 12562.

    Args:
        height: of a hill in eV.
        width: standard deviation of a hill in rad.
        stride: steps between two hills.
    """

    def __init__(
        self,
        torsions: tuple[Torsion, Torsion],
        tie: float,
        height: float,
        width: float,
        stride: int,
    ) -> None:
        super().__init__(torsions, tie)
        self.height, self.width, self.stride = height, width, stride
        self._centres = np.empty(0)

    def value_and_slope(self, s: float) -> tuple[float, float]:
        distance = wrap(s - self._centres)
        hills = self.height * np.exp(-(distance**2) / (2 * self.width**2))
        return float(hills.sum()), float(-(hills * distance).sum() / self.width**2)

    def advance(self, step: int, positions: FloatArray) -> bool:
        due = step % self.stride == 0
        if due:
            self._centres = np.append(self._centres, torsion(positions, self.torsions[0])[0])
        return due


class Umbrella(TiedTorsion):
    """A harmonic window on the torsion that moves from one centre to the next.

    V(s) = strength/2 (s - centre)^2. Torrie and Valleau, J. Comput. Phys. 1977, 23, 187.

    Args:
        strength: in eV/rad^2.
        centres: the windows in rad, in the order visited.
        stride: steps spent in each window.
    """

    def __init__(
        self,
        torsions: tuple[Torsion, Torsion],
        tie: float,
        strength: float,
        centres: FloatArray,
        stride: int,
    ) -> None:
        super().__init__(torsions, tie)
        self.strength, self.centres, self.stride = strength, centres, stride
        self._window = 0

    def value_and_slope(self, s: float) -> tuple[float, float]:
        distance = float(wrap(s - self.centres[self._window]))
        return self.strength / 2 * distance**2, self.strength * distance

    def advance(self, step: int, positions: FloatArray) -> bool:
        before = self._window
        self._window = min(step // self.stride, len(self.centres) - 1)
        return self._window != before


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """np.cross of two vectors, ten times faster: every step of the dynamics takes six."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )
