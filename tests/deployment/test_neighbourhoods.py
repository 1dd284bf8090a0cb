"""Neighbours that are kept while atoms move: never a pair missing, whatever the system."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.deployment import neighbourhoods
from deepset_bench.deployment.neighbourhoods import CentreTable, Neighbourhoods, Systems

CUTOFF = 3.0


def systems(rng: np.random.Generator, sizes: list[int], pbc: bool) -> Systems:
    """Random atoms in a cube each of about an atom in 10 cubic angstrom."""
    n_atoms = np.array(sizes)
    sides = np.cbrt(10.0 * n_atoms)
    side = np.repeat(sides, n_atoms)[:, None]
    cell = np.eye(3) * sides[:, None, None]
    return Systems(
        numbers=np.ones(n_atoms.sum(), dtype=np.int64),
        positions=rng.random((n_atoms.sum(), 3)) * side,
        n_atoms=n_atoms,
        cell=cell if pbc else np.zeros_like(cell),
        pbc=np.full((len(sizes), 3), pbc),
    )


def within_cutoff(tables: list[CentreTable], positions: np.ndarray) -> set[tuple]:
    """Pairs (i, j, rounded vector) that tables hold within the cutoff."""
    found = []
    for centres, neighbours, shifts in tables:
        vectors = positions[centres.numpy()][:, None] - positions[neighbours.numpy()]
        vectors = vectors - shifts.numpy()
        d = np.linalg.norm(vectors, axis=-1)
        for n, slot in np.argwhere((d > 0) & (d < CUTOFF)):
            place = np.round(vectors[n, slot], 6) + 0.0
            found.append((int(centres[n]), int(neighbours[n, slot]), *place))
    assert len(found) == len(set(found))
    return set(found)


def brute_force(of: Systems) -> set[tuple]:
    """The same by looking at every image nearby."""
    start = np.cumsum(of.n_atoms) - of.n_atoms
    found = []
    for first, n, cell, pbc in zip(start, of.n_atoms, of.cell, of.pbc, strict=True):
        reach = range(-2, 3) if pbc.any() else range(1)  # of cells as large as 2.15 angstrom
        images = np.array(np.meshgrid(reach, reach, reach)).reshape(3, -1).T @ cell
        own = of.positions[first : first + n]
        vectors = own[:, None, None] - own[None, :, None] - images
        d = np.linalg.norm(vectors, axis=-1)
        for i, j, image in np.argwhere((d > 0) & (d < CUTOFF)):
            place = np.round(vectors[i, j, image], 6) + 0.0
            found.append((first + i, first + j, *place))
    return set(found)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    pbc=st.booleans(),
    local=st.booleans(),
)
def test_every_pair_is_there_once(seed: int, sizes: list[int], pbc: bool, local: bool) -> None:
    rng = np.random.default_rng(seed)
    of = systems(rng, sizes, pbc)
    find = Neighbourhoods(CUTOFF, torch.device("cpu"), local=local)
    assert within_cutoff(find(of), of.positions) == brute_force(of)


@pytest.mark.parametrize("pbc", [False, True])
def test_pairs_are_right_while_atoms_move(monkeypatch, pbc: bool) -> None:
    """Small steps keep what was found, large ones, other cells and other atoms do not."""
    searched = []
    search = neighbourhoods.neighbour_pairs
    monkeypatch.setattr(
        neighbourhoods, "neighbour_pairs", lambda *given: searched.append(1) or search(*given)
    )
    rng = np.random.default_rng(3)
    of = systems(rng, [40], pbc)
    find = Neighbourhoods(CUTOFF, torch.device("cpu"), local=True)
    for _ in range(8):
        assert within_cutoff(find(of), of.positions) == brute_force(of)
        of = of._replace(positions=of.positions + rng.normal(0, 0.07, of.positions.shape))
    assert 1 < len(searched) < 8
    before = len(searched)
    wider = of._replace(cell=1.02 * of.cell)
    assert within_cutoff(find(wider), of.positions) == brute_force(wider)
    assert len(searched) == before + pbc
    other = systems(rng, [40], pbc)
    assert within_cutoff(find(other), other.positions) == brute_force(other)


@pytest.mark.parametrize("pbc", [False, True])
def test_arrays_that_are_overwritten_are_other_places(pbc: bool) -> None:
    rng = np.random.default_rng(4)
    of = systems(rng, [40], pbc)
    find = Neighbourhoods(CUTOFF, torch.device("cpu"), local=True)
    find(of)
    for _ in range(3):
        of.positions[:] = systems(rng, [40], pbc).positions
        assert within_cutoff(find(of), of.positions) == brute_force(of)
        of.positions[:] *= 0.9
        of.cell[:] *= 0.9
        assert within_cutoff(find(of), of.positions) == brute_force(of)


def test_systems_of_one_size_in_turn() -> None:
    """A cell, a molecule in open space that needs no search, both at once, and again."""
    rng = np.random.default_rng(5)
    cell, molecule = (systems(rng, [8], pbc) for pbc in (True, False))
    both = Systems(*(np.concatenate(arrays) for arrays in zip(cell, molecule, strict=True)))
    find = Neighbourhoods(CUTOFF, torch.device("cpu"), local=True)
    for of in (molecule, cell, molecule, both, molecule, cell, both):
        assert within_cutoff(find(of), of.positions) == brute_force(of)


def test_tables_of_a_large_system_are_of_atoms_with_as_many_neighbours() -> None:
    rng = np.random.default_rng(0)
    of = systems(rng, [300], pbc=False)
    tables = Neighbourhoods(CUTOFF, torch.device("cpu"), local=True)(of)
    assert len(tables) == 5
    assert sorted(int(i) for table in tables for i in table.centres) == list(range(300))
    slots = sum(table.neighbours.numel() for table in tables)
    pairs = len(within_cutoff(tables, of.positions))
    assert slots < 1.3 * pairs
    whole = Neighbourhoods(CUTOFF, torch.device("cpu"), local=False)(of)
    assert len(whole) == 1
    assert torch.equal(whole[0].centres, torch.arange(300))
