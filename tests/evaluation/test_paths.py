"""Scans move what they say, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule as build
from scipy.spatial.distance import cdist, pdist

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation.paths import CONTACT, path, starting_molecule
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import Frames
from tests import toy


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


def test_one_name_for_several_molecules_means_the_first():
    """The lowest energy of all of them is that of the molecule with the most electrons."""
    small, large = toy.frames(2, 3), toy.frames(3, 3, 1)
    frames = Frames.concatenate([small, large])
    frames = replace(frames, molecule=np.full(6, "mix"))
    assert starting_molecule(frames).formula == "C2H4"
    ion = replace(small, charge=np.array([-1, 0, -1]), spin=np.array([2, 0, 2]))
    found = starting_molecule(replace(ion, energy=np.array([1.0, 0.0, 0.5])))
    assert (found.charge, found.spin) == (-1, 2)
    np.testing.assert_array_equal(found.positions, small.positions[12:])


def test_two_molecules_have_twice_the_charge_and_all_spins_parallel():
    ion = replace(of("CH3"), charge=1, spin=3)
    both, one = path("pair", ion, 4.0), path("bond:0-1", ion, 4.0)
    assert (both.charge, both.spin) == (2, 5)
    assert (one.charge, one.spin) == (1, 3)
    assert path("pair", of("CH3"), 4.0).spin == 0


@pytest.mark.parametrize(
    ("n", "spacing", "text", "closest"),
    [(2, 3.8, "pair", 2.69), (40, 1.3, "pair:0-0", 2.0)],
    ids=["argon dimer", "long chain"],
)
def test_a_pair_is_moved_apart_whatever_its_size(n, spacing, text, closest):
    positions = np.zeros((1, n, 3))
    positions[0, :, 0] = spacing * np.arange(n)
    one = starting_molecule(Frames.unlabelled("x", np.full(n, 18 if n == 2 else 6), positions))
    along = path(text, one, 4.0)
    first, last = (cdist(x[:n], x[n:]).min() for x in along.build(along.grid[[0, -1]]))
    assert first == pytest.approx(closest, abs=0.02)
    assert last == pytest.approx(4.25, abs=0.02)
    assert f"(closest atoms {closest:g} to 4.25)" in along.title


def of(name):
    """A molecule of ASE's own collection."""
    atoms = build(name)
    return starting_molecule(Frames.unlabelled(name, atoms.numbers, atoms.positions[None]))


@pytest.fixture(scope="module")
def ethanol():
    """C0, C1, O2, H3 on O, H4 and H5 on C0, H6 to H8 on C1."""
    return of("CH3CH2OH")


def chain_of(molecule, j, k):
    return (molecule.neighbours(j, k)[0], j, k, molecule.neighbours(k, j)[0])


def test_any_torsion_turns_what_is_behind_its_bond(ethanol):
    carbon, hydrogen = ethanol.neighbours(2, -1)  # of the oxygen
    i, j, k, l = chain = chain_of(ethanol, carbon, 2)  # noqa: E741
    along = path(f"torsion:{i}-{j}-{k}-{l}", ethanol, 5.0)
    assert (along.grid[0], along.grid[-1], len(along.grid)) == (-180.0, 180.0, 3601)
    assert (l, along.unit) == (hydrogen, "degrees")
    rest = [atom for atom in range(9) if atom != hydrogen]
    for t, positions in zip(along.grid[50::700], along.build(along.grid[50::700]), strict=True):
        assert np.degrees(torsion(positions, chain)[0]) == pytest.approx(t, abs=1e-9)
        np.testing.assert_allclose(positions[rest], ethanol.positions[rest], atol=1e-12)
    for same in (f"torsion:{carbon}-2", "torsion:C-O"):  # by its bond, by the bond's elements
        np.testing.assert_array_equal(path(same, ethanol, 5.0).build(along.grid[:3]),
                                      along.build(along.grid[:3]))  # fmt: skip


def test_any_bond_and_any_angle(ethanol):
    carbon, hydrogen = ethanol.neighbours(2, -1)
    stretched = path(f"bond:{carbon}-2", ethanol, 5.0)
    length = np.linalg.norm(ethanol.positions[carbon] - ethanol.positions[2])
    assert stretched.grid[0] == pytest.approx(0.85 * length, abs=0.01)
    bent = path(f"angle:{carbon}-2-{hydrogen}", ethanol, 5.0)
    assert len(bent.grid) == 801
    for t, p in zip(bent.grid[::200], bent.build(bent.grid[::200]), strict=True):
        u, v = p[[carbon, hydrogen]] - p[2]
        cosine = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
        assert np.degrees(np.arccos(cosine)) == pytest.approx(t, abs=1e-6)
        assert np.linalg.norm(v) == pytest.approx(
            np.linalg.norm(ethanol.positions[hydrogen] - ethanol.positions[2])
        )
    for t, p in zip(stretched.grid[::200], stretched.build(stretched.grid[::200]), strict=True):
        assert np.linalg.norm(p[carbon] - p[2]) == pytest.approx(t, abs=1e-12)


@pytest.mark.parametrize(("i", "j"), [(2, 2), (2, 4)])
def test_two_molecules_face_each_other_with_the_atoms_named(ethanol, i, j):
    along = path(f"pair:{i}-{j}", ethanol, 4.0)
    n = len(ethanol.numbers)
    (positions,) = along.build(along.grid[-1:])
    one, other = positions[:n], positions[n:]
    np.testing.assert_allclose(pdist(other), pdist(ethanol.positions), atol=1e-9)
    between = other.mean(axis=0) - one.mean(axis=0)
    for atom, whole, towards in ((i, one, between), (j, other, -between)):
        out = whole[atom] - whole.mean(axis=0)
        assert out @ towards == pytest.approx(np.linalg.norm(out) * np.linalg.norm(towards))
    assert min(cdist(x[:n], x[n:]).min() for x in along.build(along.grid[::20])) >= CONTACT - 1e-9


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("CH3CH2OH", "torsion:0-1-2-9", "there is no atom 9; C2H6O has atoms 0 to 8"),
        ("CH3CH2OH", "torsion:0-1-0-2", "names atom 0 twice"),
        ("CH3CH2OH", "torsion:0-1-2", "give 4 atoms, counted from 0, as in torsion:0-1-2-3"),
        ("CH3CH2OH", "torsion:4-5-6-7", "are not bonded"),
        ("CH3CH2OH", "torsion", "C2H6O has none; name another: torsion:"),
        ("CH3CH2OH", "bond:C-H", "C2H6O has 5 of them; name one: bond:"),
        ("CH3CH2OH", "bond:C-N", "needs a C-N bond; C2H6O has none"),
        ("CH3CH2OH", "angle:C-O", "give 3 atoms"),
        ("CH3CH2OH", "pair:0", "give an atom of either molecule"),
        ("CH4", "pair:0-1", "atom 0 is at the molecule's centre"),
        ("C6H6", "torsion:0-1-2-3", "is in a ring, so that nothing is behind it"),
        ("C6H6", "bond:0-1", "is in a ring"),
        ("CO2", "angle:1-0-2", "are in a line"),
        ("CO2", "torsion:1-0", "atom 1 ends the molecule"),
    ],
)
def test_a_path_that_is_none_is_one_line(name, text, message):
    with pytest.raises(UserError) as caught:
        path(text, of(name), 4.0)
    assert str(caught.value).startswith(f"scan={text}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
