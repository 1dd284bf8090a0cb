"""Neighbours of atoms that move: searched for once in a while, given in tables of few shapes."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.neighbours import Pairs, neighbour_pairs

SKIN = 1.0
"""Angstrom beyond the cutoff within which neighbours are kept, so that they hold for some steps."""

ALL_PAIRS = 32
"""Atoms of a molecule up to which every other atom is taken for a neighbour, and none searched."""

AT_ONCE, AT_ONCE_ON_A_GPU = 64, 16_384
"""Centres computed in one call: what is computed of their pairs stays in a processor's cache; a GPU
has its memory to fill instead."""


class Systems(NamedTuple):
    """M systems with A atoms in all, one after another.

    `numbers` (A,), `positions` (A, 3) angstrom, `n_atoms` (M,), `cell` (M, 3, 3) angstrom and `pbc`
    (M, 3) as in `Frames`.
    """

    numbers: IntArray
    positions: FloatArray
    n_atoms: IntArray
    cell: FloatArray
    pbc: np.ndarray


class CentreTable(NamedTuple):
    """Some centres and their neighbours; see `deepset_bench.deployment.function.Deployed.forward`.

    `centres` (N,), `neighbours` (N, J), `shifts` (N, J, 3) float64 angstrom.
    """

    centres: Tensor
    neighbours: Tensor
    shifts: Tensor


class Neighbourhoods:
    """Keeps what it found for the atoms that it was asked for last.

    Args:
        cutoff: in angstrom.
        local: whether centres may be computed a few at a time.
        device: of the tables.
    """

    def __init__(self, cutoff: float, device: torch.device, *, local: bool) -> None:
        self.cutoff, self.local, self.device = cutoff, local, device
        self._searched: tuple[Systems, Pairs] | None = None
        self._everybody: tuple[IntArray, list[CentreTable]] | None = None

    def __call__(self, systems: Systems) -> list[CentreTable]:
        """Tables in which each atom is a centre once."""
        if systems.pbc.any() or systems.n_atoms.max() > ALL_PAIRS:
            return self._within_cutoff(systems)
        if self._everybody is None or not np.array_equal(self._everybody[0], systems.n_atoms):
            i, j = _everybody(systems.n_atoms)
            tables = self._tables(i, j, None, len(systems.numbers))
            self._everybody = systems.n_atoms.copy(), tables
        return self._everybody[1]

    def _within_cutoff(self, systems: Systems) -> list[CentreTable]:
        """Tables of those kept pairs that are within the cutoff now."""
        if self._searched is None or _moved(self._searched[0], systems):
            pairs = neighbour_pairs(_frames(systems), self.cutoff + SKIN)
            # The caller overwrites its arrays where its atoms move.
            self._searched = copy.deepcopy(systems), pairs
        pairs, positions = self._searched[1], systems.positions
        vectors = positions[pairs.i] - positions[pairs.j]
        shifts = pairs.shifts if systems.pbc.any() else None
        if shifts is not None:
            vectors -= shifts
        near = np.flatnonzero(np.einsum("ex,ex->e", vectors, vectors) < self.cutoff**2)
        kept = None if shifts is None else shifts[near]
        return self._tables(pairs.i[near], pairs.j[near], kept, len(systems.numbers))

    def _tables(
        self, i: IntArray, j: IntArray, shifts: FloatArray | None, n_atoms: int
    ) -> list[CentreTable]:
        """Pairs sorted by centre as tables; of atoms with about as many neighbours in each."""
        counts = np.bincount(i, minlength=n_atoms)
        first = np.cumsum(counts) - counts
        nothing = len(i)  # stands for slots without a pair
        j = np.append(j, 0)
        if shifts is not None:
            shifts = np.append(shifts, np.zeros((1, 3)), axis=0)
        at_once = AT_ONCE if self.device.type == "cpu" else AT_ONCE_ON_A_GPU
        pieces = math.ceil(n_atoms / at_once) if self.local else 1
        order = np.argsort(counts, kind="stable") if pieces > 1 else np.arange(n_atoms)
        parts = []
        for centres in np.array_split(order, pieces):
            slots = np.arange(max(int(counts[centres].max()), 2))
            pair = slots < counts[centres][:, None]  # (N, J)
            entry = np.where(pair, first[centres][:, None] + slots, nothing)
            # A slot without a pair holds the centre itself.
            neighbours = np.where(pair, j[entry], centres[:, None])
            shift = np.zeros((*pair.shape, 3)) if shifts is None else shifts[entry]
            part = centres, neighbours, shift
            parts.append(CentreTable(*(torch.from_numpy(of).to(self.device) for of in part)))
        return parts


def _moved(before: Systems, now: Systems) -> bool:
    """Whether pairs may be within the cutoff now that were not kept before."""
    for name in ("n_atoms", "cell", "pbc"):
        if not np.array_equal(getattr(before, name), getattr(now, name)):
            return True
    moved = now.positions - before.positions
    near = np.einsum("ax,ax->a", moved, moved) < (SKIN / 2) ** 2  # false of NaN
    return not bool(near.all())


def _everybody(n_atoms: IntArray) -> tuple[IntArray, IntArray]:
    """i and j of all pairs of atoms of one system, sorted."""
    sizes = np.repeat(n_atoms, n_atoms)
    start = np.repeat(np.cumsum(n_atoms) - n_atoms, n_atoms)
    i = np.repeat(np.arange(len(sizes)), sizes)
    j = np.arange(len(i)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + start[i]
    other = i != j
    return i[other], j[other]


def _frames(systems: Systems) -> Frames:
    M, A = len(systems.n_atoms), len(systems.numbers)
    return Frames(
        numbers=systems.numbers,
        positions=systems.positions,
        n_atoms=systems.n_atoms,
        energy=np.zeros(M),
        forces=np.zeros((A, 3)),
        bias_forces=None,
        molecule=np.full(M, "system"),
        index=np.arange(M),
        cell=systems.cell,
        pbc=systems.pbc,
    )
