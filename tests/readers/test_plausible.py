"""What no molecule has is refused; what a molecule may have is not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.readers.plausible import check_plausible, nearest_distance, net_torque
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR, energy_ratios
from tests import toy


def where(frame: int, atom: int | None) -> str:
    return f"frame {frame}, atom {atom}"


def chain(n_atoms: int, spacings: list[float], energies: list[float]) -> Frames:
    """Atoms on a line, as far apart as the spacing of each frame says."""
    M = len(spacings)
    line = np.arange(n_atoms)[:, None] * np.array([1.0, 0, 0])
    return Frames(
        numbers=np.ones(M * n_atoms),
        positions=(np.array(spacings)[:, None, None] * line).reshape(-1, 3),
        n_atoms=np.full(M, n_atoms),
        energy=np.array(energies),
        forces=np.zeros((M * n_atoms, 3)),
        bias_forces=None,
        molecule=np.full(M, "chain"),
        index=np.arange(M),
    )


def test_nearest_distances_of_molecules_of_any_size():
    frames = Frames.concatenate([toy.frames(2, 3), toy.frames(3, 2, 1)])
    nearest = nearest_distance(frames)
    for m in range(len(frames)):
        atoms = frames.atoms_of(m)
        d = np.linalg.norm(frames.positions[atoms][:, None] - frames.positions[atoms], axis=-1)
        np.testing.assert_allclose(nearest[atoms], (d + 99 * np.eye(len(d))).min(axis=1))
    assert nearest_distance(chain(1, [1.0], [0.0])).tolist() == [np.inf]


def test_nearest_distances_of_many_atoms_are_those_of_all_pairs(monkeypatch):
    frames = toy.frames(3, 20)
    pairs = nearest_distance(frames)
    monkeypatch.setattr("deepset_bench.readers.plausible._MANY", 5)
    np.testing.assert_allclose(nearest_distance(frames), pairs, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"positions": 1e6}, "frame 2, atom 1: positions of 1e+06 angstrom"),
        ({"forces": -1e7}, "frame 2, atom 1: forces of 1e+07 eV/angstrom"),
        ({"energy": 1e10}, "frame 7, atom None: energy of 1e+10 eV"),
    ],
)
def test_numbers_beyond_measure(change, expected):
    frames = toy.frames(2, 9)
    ((name, value),) = change.items()
    array = getattr(frames, name).copy()
    array[7 if name == "energy" else 2 * 6 + 1] = value
    with pytest.raises(UserError) as caught:
        check_plausible(replace(frames, **{name: array}), where)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("factor", energy_ratios())
@pytest.mark.parametrize("first", [1, 5, 8])
def test_energies_in_two_units_at_any_place(factor, first):
    energies = -40 + np.linspace(0, 1, 9)
    energies[first:] *= factor
    if np.abs(energies).max() > 1e8:
        energies /= factor
    with pytest.raises(UserError, match=f"^frame {first}, atom None: the energies are .* times"):
        check_plausible(chain(3, [1.0] * 9, list(energies)), where)


@pytest.mark.parametrize("factor", [0.529177, 1.889726])
def test_positions_in_two_units(factor):
    with pytest.raises(UserError, match=r"^frame 3, atom None: the distances are"):
        check_plausible(chain(4, [1, 1.01, 0.98, factor, 1.01 * factor], [-1.0] * 5), where)


def test_a_bond_may_stretch_by_any_factor():
    """A scan passes by the unit's factor, with values between."""
    check_plausible(chain(2, list(np.linspace(0.7, 5, 30)), list(np.linspace(-30, -1, 30))), where)
    check_plausible(chain(2, [0.74, 1.4], [-1.0, -27.2]), where)


def test_a_few_points_of_a_scan_are_no_other_unit():
    check_plausible(chain(2, [0.74, 0.76, 1.42], [-28.19, -28.21, -26.6]), where)
    check_plausible(chain(2, [3.7, 3.8, 7.1], [-0.012, -0.011, 0.0]), where)
    check_plausible(chain(3, [0.95, 0.96, 1.81], [-156.9, -156.8, -148.2]), where)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20), st.floats(10, 1e4))
def test_total_energies_are_left_alone(spread, total):
    energies = np.array(spread) - total
    check_plausible(chain(3, [1.0] * len(energies), list(energies)), where)


@pytest.mark.parametrize("seed", range(20))
def test_energies_relative_to_a_mean_are_left_alone(seed):
    energies = np.random.default_rng(seed).normal(size=30)
    check_plausible(chain(3, [1.0] * 30, list(energies)), where)


def scaled(frames: Frames, factor: float, which: np.ndarray) -> Frames:
    """The same with the forces of some frames in another unit."""
    return replace(
        frames, forces=frames.forces * np.where(which, factor, 1)[frames.frame_of_atom, None]
    )


UNITS_OF_FORCE = [HARTREE_PER_BOHR, HARTREE, 23.0605, 96.485, 1000.0, 1.889726 * 23.0605]


@pytest.mark.parametrize("factor", [*UNITS_OF_FORCE, *(1 / f for f in UNITS_OF_FORCE)])
@pytest.mark.parametrize("first", [5, 30, 55])
def test_forces_in_two_units(factor, first):
    frames = scaled(toy.frames(3, 60), factor, np.arange(60) >= first)
    with pytest.raises(
        UserError, match=rf"^frame {first}, atom None: the forces are .* times those"
    ):
        check_plausible(frames, where)


def test_a_small_factor_shows_where_forces_are_alike():
    frames = scaled(toy.frames(8, 40, noise=0.05), 4.184, np.arange(40) % 2 == 1)
    with pytest.raises(UserError, match=r"^frame 1, atom None: the forces are"):
        check_plausible(frames, where)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 4),
    st.floats(-4, -1),
    st.floats(-4, -1),
    st.floats(0, 2),
    st.integers(0, 99),
)
def test_temperatures_may_be_mixed(n_carbons, one, other, shift, seed):
    """Minima, cold and hot runs, of conformers whose energies are as far apart as it may be."""
    cold = toy.frames(n_carbons, 20, seed, noise=10**one)
    hot = toy.frames(n_carbons, 20, seed + 1, noise=10**other)
    cold = replace(cold, energy=cold.energy + shift * np.random.default_rng(seed).random(20))
    check_plausible(Frames.concatenate([cold, hot]), where)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.floats(0.05, 0.95), st.integers(0, 99))
def test_relaxations_fall_by_orders_of_magnitude(n_carbons, rate, seed):
    numbers, rest, bonds = toy.chain(n_carbons)
    far = np.random.default_rng(seed).normal(0, 0.1, rest.shape)
    places = rest + far * rate ** np.arange(60)[:, None, None]
    labels = [toy.energy_and_forces(numbers, place, rest, bonds) for place in places]
    # Of an exact minimum no force is left.
    rest_forces = toy.energy_and_forces(numbers, rest, rest, bonds)[1]
    frames = toy.frames(n_carbons, 60)
    forces = np.concatenate([force - rest_forces for _, force in labels])
    energy = np.array([energy for energy, _ in labels])
    check_plausible(
        replace(frames, positions=places.reshape(-1, 3), energy=energy, forces=forces), where
    )


def test_a_scan_of_many_forces_is_left_alone():
    stretch = np.linspace(0.95, 1.6, 40)[:, None, None]
    numbers, rest, bonds = toy.chain(3)
    labels = [toy.energy_and_forces(numbers, rest * s, rest, bonds) for s in stretch[:, 0, 0]]
    frames = replace(
        toy.frames(3, 40),
        positions=(rest * stretch).reshape(-1, 3),
        energy=np.array([energy for energy, _ in labels]),
        forces=np.concatenate([force for _, force in labels]),
    )
    check_plausible(frames, where)


def test_forces_have_no_torque():
    frames = toy.frames(3, 20, bias=0.5)
    assert not net_torque(frames)
    assert not net_torque(replace(frames, forces=frames.labelled_forces("biased")))
    order = np.arange(len(frames.numbers)).reshape(20, 9)[:, [0, 1, 2, 5, 3, 4, 8, 6, 7]].ravel()
    assert net_torque(replace(frames, forces=frames.forces[order]))
    pushed = frames.forces[order] + [1.0, 0, 0]  # something outside acts on the molecule
    assert not net_torque(replace(frames, forces=pushed))


@pytest.mark.parametrize("name", ["but-2-ene", "pent-2-ene"])
def test_the_shipped_sets_are_plausible(name):
    frames = catalogue.load(name)
    check_plausible(frames, where)
    assert not net_torque(frames)
