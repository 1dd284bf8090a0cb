"""The tests' own potential: what other tests take for exact is exact."""

import numpy as np

from tests import toy


def test_forces_are_minus_the_gradient_of_the_energy():
    numbers, rest, bonds = toy.chain(3)
    positions = rest + np.random.default_rng(0).normal(0, 0.1, rest.shape)
    _, forces = toy.energy_and_forces(numbers, positions, rest, bonds)
    step = 1e-4
    for component in np.ndindex(*positions.shape):
        shift = np.zeros_like(positions)
        shift[component] = step
        up, _ = toy.energy_and_forces(numbers, positions + shift, rest, bonds)
        down, _ = toy.energy_and_forces(numbers, positions - shift, rest, bonds)
        # Truncation: step^2 / 6 times the third derivative, at most k / d^2 ~ 20 eV / angstrom^3.
        assert abs((up - down) / (2 * step) + forces[component]) < 1e-7


def test_bias_forces_carry_no_net_force_and_no_torque():
    frames = toy.frames(3, 4, bias=0.5)
    bias = frames.bias_forces.reshape(4, -1, 3)
    positions = frames.positions.reshape(4, -1, 3)
    assert np.abs(bias).max() > 0.1
    np.testing.assert_allclose(bias.sum(1), 0.0, atol=1e-14)
    np.testing.assert_allclose(np.cross(positions, bias).sum(1), 0.0, atol=1e-14)
