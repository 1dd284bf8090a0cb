"""Biasing potentials against finite differences and the laws a bias must obey."""

from __future__ import annotations

import numpy as np
import pytest

from deepset_bench.molecules.bias import DrivenTorsions, Metadynamics, Umbrella, torsion, wrap

CHAIN, OTHER = (0, 1, 2, 3), (4, 1, 2, 5)


def twisted(angle: float) -> np.ndarray:
    """Two substituents at either end of a bond along z, one end turned by `angle` in radians."""
    ends = [(-1.0, 0.0), (-1.0, np.pi), (2.3, angle), (2.3, angle + np.pi)]
    a, b, c, d = ([np.cos(phi), np.sin(phi), z] for z, phi in ends)
    positions = np.array([a, [0.0, 0.0, 0.0], [0.0, 0.0, 1.34], c, b, d])
    return positions + np.random.default_rng(0).normal(scale=0.05, size=(6, 3))


def numerical_gradient(function, positions: np.ndarray, step: float = 1e-5) -> np.ndarray:
    gradient = np.zeros_like(positions)
    for index in np.ndindex(positions.shape):
        shift = np.zeros_like(positions)
        shift[index] = step
        difference = function(positions + shift) - function(positions - shift)
        gradient[index] = wrap(difference) / (2 * step)
    return gradient


def metadynamics() -> Metadynamics:
    bias = Metadynamics([(CHAIN, OTHER)], tie=10.0, height=1.0, width=0.05, stride=1)
    for step, angle in enumerate([0.02, 1.5, 1.6, 3.1, -3.1]):
        bias.advance(step, twisted(angle))
    return bias


def umbrella() -> Umbrella:
    return Umbrella([(CHAIN, OTHER)], 10.0, 15.0, np.linspace([np.pi], [0.0], 5), stride=10)


def two_torsions(bias: type[DrivenTorsions]) -> DrivenTorsions:
    """Both chains driven, one of them with a tie."""
    torsions = [(CHAIN, None), (OTHER, (0, 1, 2, 5))]
    if bias is Umbrella:
        return Umbrella(torsions, 10.0, 15.0, np.array([[1.0, -2.0]]), stride=10)
    hills = Metadynamics(torsions, tie=10.0, height=1.0, width=0.3, stride=1)
    for step, angle in enumerate([0.02, 1.5, 1.6, 3.1, -3.1]):
        hills.advance(step, twisted(angle))
    return hills


@pytest.mark.parametrize("angle", [0.0, 0.6, np.pi / 2, 3.1, np.pi, -1.2])
def test_torsion_and_its_gradient(angle: float) -> None:
    positions = twisted(angle)
    value, gradient = torsion(positions, CHAIN)
    assert abs(wrap(value - angle)) < 0.4
    numerical = numerical_gradient(lambda x: torsion(x, CHAIN)[0], positions)
    np.testing.assert_allclose(gradient, numerical, atol=1e-7)


def test_torsion_has_the_sign_of_ase() -> None:
    from ase import Atoms

    positions = twisted(0.9)
    expected = Atoms("C6", positions).get_dihedral(*CHAIN)
    assert np.degrees(torsion(positions, CHAIN)[0]) % 360 == pytest.approx(expected)


BIASES = {
    "metadynamics": metadynamics(),
    "umbrella": umbrella(),
    "metadynamics of two": two_torsions(Metadynamics),
    "umbrella of two": two_torsions(Umbrella),
}


@pytest.mark.parametrize("bias", BIASES.values(), ids=BIASES)
@pytest.mark.parametrize("angle", [0.05, 1.55, 3.1, -3.05])
def test_bias_forces(bias: DrivenTorsions, angle: float) -> None:
    positions = twisted(angle)
    forces = bias(positions)[1]
    assert np.abs(forces).max() > 0.01
    step = 1e-6
    for index in np.ndindex(positions.shape):
        shift = np.zeros_like(positions)
        shift[index] = step
        slope = (bias(positions + shift)[0] - bias(positions - shift)[0]) / (2 * step)
        assert forces[index] == pytest.approx(-slope, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(np.cross(positions, forces).sum(axis=0), 0.0, atol=1e-10)


def test_the_same_geometry_feels_another_bias_later() -> None:
    bias, positions = metadynamics(), twisted(1.55)
    before = bias(positions)[1]
    assert bias.advance(5, twisted(1.52))
    assert np.abs(bias(positions)[1] - before).max() > 0.1


def test_hills_come_on_stride_and_windows_move_in_order() -> None:
    bias = Metadynamics([(CHAIN, OTHER)], 0.0, 1.0, 0.1, stride=3)
    assert [bias.advance(step, twisted(1.0)) for step in range(5)] == [1, 0, 0, 1, 0]
    windows = umbrella()
    changed = [step for step in range(70) if windows.advance(step, twisted(1.0))]
    assert changed == [10, 20, 30, 40]
