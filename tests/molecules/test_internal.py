"""Coordinates are what ASE measures under the names that a person gives them."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import molecule as build

from deepset_bench.errors import UserError
from deepset_bench.molecules.internal import Coordinate, check_name, named, turnable
from deepset_bench.molecules.topology import molecule_of


def of(name):
    atoms = build(name)
    return atoms, molecule_of(atoms.numbers, atoms.positions)


@pytest.mark.parametrize(
    ("text", "measured", "unit"),
    [
        ("bond:0-1", lambda a: a.get_distance(0, 1), "angstrom"),
        ("distance:3-8", lambda a: a.get_distance(3, 8), "angstrom"),
        ("angle:0-1-6", lambda a: a.get_angle(0, 1, 6), "degrees"),
        ("torsion:2-0-1-7", lambda a: a.get_dihedral(2, 0, 1, 7), "degrees"),
    ],
)
def test_what_is_measured(text, measured, unit):
    atoms, molecule = of("CH3CH2OH")
    rng = np.random.default_rng(0)
    frames = atoms.positions + rng.normal(0, 0.2, (5, 9, 3))
    found = named(text, molecule)
    assert (found.words, found.unit) == (text.replace(":", " "), unit)
    for value, frame in zip(found(frames), frames, strict=True):
        atoms.positions = frame
        expected = measured(atoms)
        assert value == pytest.approx(expected - 360 * (expected > 180), abs=1e-9)


def test_a_torsion_by_its_bond_takes_the_heaviest_ends():
    _, molecule = of("CH3CH2OH")
    carbon, hydrogen = molecule.neighbours(2, -1)
    (other,) = (a for a in molecule.neighbours(carbon, 2) if molecule.numbers[a] == 6)
    expected = Coordinate("torsion", (other, carbon, 2, hydrogen))
    assert named(f"torsion:{carbon}-2", molecule) == named("torsion:C-O", molecule) == expected


@pytest.mark.parametrize(
    ("name", "n"), [("CH3CH2OH", 2), ("C6H6", 0), ("CH4", 0), ("C2H2", 0), ("trans-butane", 3)]
)
def test_bonds_that_something_can_turn_about(name, n):
    """None in a ring, none to a hydrogen, none in the middle of a line."""
    _, molecule = of(name)
    assert len(turnable(molecule)) == n


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("angel:0-1-2", "unknown coordinate 'angel:0-1-2'; did you mean angle?"),
        ("distance", "distance: give 2 atoms"),
        ("bond:0-1-2", "bond:0-1-2: give 2 atoms, counted from 0, as in bond:0-1"),
        ("bond:1-1", "names atom 1 twice"),
    ],
)
def test_names_that_no_molecule_has(text, message):
    with pytest.raises(UserError) as caught:
        check_name(text)
    assert message in str(caught.value)
