"""Energy references: what they recover, where they extrapolate, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.errors import UserError
from deepset_bench.model.energy_reference import fit_reference, isolated_energies
from deepset_bench.molecules.frames import Frames
from tests import toy

PLANTED = {1: -10.9, 6: -47.3, 8: -70.1}


def frame(formula: dict[int, int], energy: float) -> Frames:
    numbers = np.repeat(list(formula), list(formula.values()))
    n = len(numbers)
    return Frames(
        numbers=numbers,
        positions=np.arange(3.0 * n).reshape(n, 3),
        n_atoms=np.array([n]),
        energy=np.array([energy]),
        forces=np.zeros((n, 3)),
        bias_forces=None,
        molecule=np.array(["m"]),
        index=np.zeros(1),
    )


def planted(*formulas: dict[int, int]) -> Frames:
    """Frames whose energy is exactly the sum of the planted atomic energies."""
    return Frames.concatenate(
        frame(f, sum(PLANTED[z] * count for z, count in f.items())) for f in formulas
    )


WATER, METHANE, CO2, METHANOL = {1: 2, 8: 1}, {6: 1, 1: 4}, {6: 1, 8: 2}, {6: 1, 1: 4, 8: 1}


def test_composition_recovers_planted_energies():
    reference = fit_reference("composition", planted(WATER, METHANE, CO2))
    assert reference.rank == 3
    assert reference.constant == 0.0
    np.testing.assert_array_equal(reference.species, [1, 6, 8])
    # Condition number of the three compositions is below 10.
    np.testing.assert_allclose(reference.energies, list(PLANTED.values()), rtol=1e-13)
    np.testing.assert_allclose(reference(planted(METHANOL)), planted(METHANOL).energy, rtol=1e-13)


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5), other=st.integers(1, 30))
def test_collinear_compositions_extrapolate_exactly(sizes, other):
    """Finding 9: all alkenes C(n)H(2n) lie on one line, so one energy per CH2 serves them all."""
    reference = fit_reference("composition", planted(*({6: n, 1: 2 * n} for n in sizes)))
    unseen = planted({6: other, 1: 2 * other})
    assert reference.rank == 1
    np.testing.assert_allclose(reference(unseen), unseen.energy, rtol=1e-12)


def test_composition_is_least_squares():
    """Noise orthogonal to the compositions changes nothing: +e and -e on the same molecule."""
    frames = planted(WATER, WATER, METHANE, CO2)
    noisy = Frames.concatenate(
        frame(f, energy + noise)
        for f, energy, noise in zip(
            (WATER, WATER, METHANE, CO2), frames.energy, (0.5, -0.5, 0, 0), strict=True
        )
    )
    reference = fit_reference("composition", noisy)
    np.testing.assert_allclose(reference.energies, list(PLANTED.values()), rtol=1e-13)


def test_molecule_mean_is_the_reports_offset():
    frames = Frames.concatenate([toy.frames(2, 5), toy.frames(3, 7)])
    reference = fit_reference("molecule_mean", frames)
    np.testing.assert_allclose(reference(frames), np.full(12, frames.energy.mean()), rtol=1e-15)
    # The same whatever the molecule: wrong for any other.
    np.testing.assert_allclose(reference(planted(METHANE)), frames.energy.mean(), rtol=1e-15)


def test_isolated_atoms_are_the_given_energies():
    reference = fit_reference("isolated_atoms", planted(WATER), {1: -1.0, 8: -2.0, 6: -5.0})
    np.testing.assert_array_equal(reference(planted(WATER)), [-4.0])


def test_isolated_atoms_are_frames_of_the_set(own_folders):
    """As files with `config_type=IsolatedAtom` have them, of the method of all labels."""
    from deepset_bench.data import catalogue
    from tests.training.tiny import prepared

    one = np.zeros((1, 3))
    atoms = [toy.geometry(np.array([z]), one) for z in (1, 6, 6, 1)]
    energies, charges = (-13.5, -1030.0, -1031.0, 0.0), (0, 0, 0, 1)
    atoms = [
        replace(atom, energy=np.array([energy]), charge=np.array([charge]))
        for atom, energy, charge in zip(atoms, energies, charges, strict=True)
    ]
    frames = Frames.concatenate([toy.frames(3, 60), *atoms])
    assert isolated_energies(frames) == {1: -13.5, 6: -1031.0}
    catalogue.register("tiny", frames, {})
    setup, _ = prepared("reference=isolated_atoms")
    np.testing.assert_array_equal(setup.reference.energies, [-13.5, -1031.0])
    assert setup.notes == []


def test_an_isolated_atom_without_energy_is_the_users_mistake():
    with pytest.raises(UserError, match=r"atomic number 8: .*add reference\.energies_ev\.8=") as e:
        fit_reference("isolated_atoms", planted(WATER), {1: -1.0})
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("kind", ["composition", "isolated_atoms", "molecule_mean"])
def test_an_element_that_was_not_in_training_is_the_users_mistake(kind):
    reference = fit_reference(kind, planted(METHANE), PLANTED)
    with pytest.raises(UserError, match="atomic number 8 has no reference energy") as caught:
        reference(planted(METHANE, METHANOL))
    assert "\n" not in str(caught.value)
