"""Scans move what they say, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import molecule as build
from scipy.spatial.distance import cdist, pdist

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation.paths import CONTACT, path, starting_molecule
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import Frames


@pytest.fixture(scope="module")
def butene():
    return starting_molecule(catalogue.load("but-2-ene"))


def test_the_double_bond_is_read_off_the_geometry(butene):
    frames = catalogue.load("but-2-ene")
    lowest = frames.atoms_of(int(np.argmin(frames.energy)))
    np.testing.assert_array_equal(butene.positions, frames.positions[lowest])
    assert butene.double_bonds == ((1, 2),)
    datasheet = catalogue.datasheet("but-2-ene")
    driven = [*datasheet["torsions"], *datasheet["tied_torsions"]]
    assert [list(t) for t in butene.torsions_across()] == driven


def test_torsion_turns_one_side_as_a_rigid_body(butene):
    along = path("torsion", butene, 5.0)
    geometries = along.build(along.grid[::300])
    chain, tied = butene.torsions_across()
    left, right = [0, 1, 4, 5, 6, 7], [2, 3, 8, 9, 10, 11]
    offset = None
    for t, positions in zip(along.grid[::300], geometries, strict=True):
        assert abs(np.degrees(torsion(positions, chain)[0])) == pytest.approx(t, abs=1e-9)
        # Hydrogens follow: the angle between both torsions stays.
        both = np.degrees(torsion(positions, tied)[0] - torsion(positions, chain)[0]) % 360
        offset = both if offset is None else offset
        assert both == pytest.approx(offset, abs=1e-9)
        for side in (left, right):
            np.testing.assert_allclose(
                pdist(positions[side]), pdist(butene.positions[side]), atol=1e-12
            )


def test_bond_moves_one_side_along_the_bond(butene):
    along = path("bond", butene, 5.0)
    for t, positions in zip(along.grid[::100], along.build(along.grid[::100]), strict=True):
        assert np.linalg.norm(positions[1] - positions[2]) == pytest.approx(t, abs=1e-12)
        assert torsion(positions, (0, 1, 2, 3))[0] == pytest.approx(
            torsion(butene.positions, (0, 1, 2, 3))[0], abs=1e-9
        )


def test_pair_goes_through_the_cutoff(butene):
    along = path("pair", butene, 4.0)
    n = len(butene.numbers)
    np.testing.assert_array_equal(along.numbers, np.tile(butene.numbers, 2))
    closest = [cdist(x[:n], x[n:]).min() for x in along.build(along.grid)]
    assert closest[0] == pytest.approx(CONTACT, abs=0.02)
    assert min(closest) >= CONTACT
    assert closest[-1] == pytest.approx(4.25, abs=0.02)
    for positions in along.build(along.grid[::600]):
        for half in (positions[:n], positions[n:]):
            np.testing.assert_allclose(pdist(half), pdist(butene.positions), atol=1e-12)


@pytest.mark.parametrize("name", ["CH4", "cyclobutene", "C6H6"])
def test_without_a_double_bond_outside_rings(name):
    atoms = build(name)
    frames = Frames.unlabelled(name, atoms.numbers, atoms.positions[None])
    found = starting_molecule(frames)
    assert found.double_bonds == ()
    with pytest.raises(
        UserError, match=r"scan=torsion needs a C=C bond outside rings; .* has none"
    ):
        path("torsion", found, 5.0)
    assert path("pair", found, 5.0).grid[0] > 0
