"""Energies are learned relative to a reference that is a sum over atoms, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepset_bench.errors import UserError, chosen
from deepset_bench.molecules.distinct import distinct_rows
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.selected import Selected


@dataclass(frozen=True)
class EnergyReference:
    """reference(frame) = constant + sum over its atoms of energies[z], in eV.

    Attributes:
        species: (s,) atomic numbers.
        energies: (s,) eV per atom of each.
        constant: eV per molecule, whatever the molecule: the report's offset, wrong for any other.
        rank: rank of the training compositions; below s the per-element energies are one choice of
            many, right for compositions in the training row space only.
        molecules: `distinct_molecules` of training; None in checkpoints of version 0.1.0.
    """

    species: IntArray
    energies: FloatArray
    constant: float
    rank: int
    molecules: IntArray | None = None

    def __call__(self, frames: Frames | Selected) -> FloatArray:
        """(M,) eV.

        Raises:
            UserError: a frame holds an element that the reference was not fitted on.
        """
        self._check(frames)
        return frames.composition(self.species) @ self.energies + self.constant

    def per_atom(self, frames: Frames) -> FloatArray:
        """(A,) eV; the atoms of a frame share the constant equally. Raises as the whole does."""
        self._check(frames)
        energies = self.energies[np.searchsorted(self.species, frames.numbers)]
        return energies + (self.constant / frames.n_atoms)[frames.frame_of_atom]

    def _check(self, frames: Frames | Selected) -> None:
        unknown = np.setdiff1d(frames.species, self.species)
        if len(unknown):  # whatever the reference: the model has learned nothing about it either
            raise UserError(
                f"atomic number {unknown[0]} has no reference energy: it does not occur in training"
            )


def fit_reference(
    kind: str, frames: Frames | Selected, isolated_atoms: dict[int, float] | None = None
) -> EnergyReference:
    """The reference of a training set.

    `molecule_mean` is the mean energy (the report's); `composition` the least-squares energy per
    element, minimum norm where compositions do not identify it; `isolated_atoms` the given ones.
    """
    energies, constant, rank = chosen("reference.kind", kind, _FITS)(frames, isolated_atoms or {})
    return EnergyReference(frames.species, energies, constant, rank, distinct_molecules(frames))


Fit = tuple[FloatArray, float, int]
"""(s,) energies in eV per atom, constant in eV, rank: see `EnergyReference`."""


def _molecule_mean(frames: Frames | Selected, given: Mapping[int, float]) -> Fit:
    return np.zeros(len(frames.species)), float(frames.energy.mean()), 0


def _composition(frames: Frames | Selected, given: Mapping[int, float]) -> Fit:
    composition = frames.composition(frames.species)
    solution, _, rank, _ = np.linalg.lstsq(composition, frames.energy, rcond=None)
    return solution.astype(np.float64), 0.0, int(rank)


def _isolated_atoms(frames: Frames | Selected, given: Mapping[int, float]) -> Fit:
    missing = [int(z) for z in frames.species if z not in given]
    if missing:
        raise UserError(
            f"reference=isolated_atoms has no energy for atomic number {missing[0]}: no frame of "
            f"the set is that atom alone; add reference.energies_ev.{missing[0]}=..."
        )
    return np.array([given[int(z)] for z in frames.species]), 0.0, len(frames.species)


_FITS: dict[str, Callable[[Frames | Selected, Mapping[int, float]], Fit]] = {
    "molecule_mean": _molecule_mean,
    "composition": _composition,
    "isolated_atoms": _isolated_atoms,
}


def isolated_energies(frames: Frames) -> dict[int, float]:
    """Atomic number -> lowest energy in eV of the frames that are one neutral atom."""
    found: dict[int, float] = {}
    for m in np.flatnonzero(frames.lone_atoms):
        Z, energy = int(frames.numbers[frames.offsets[m]]), float(frames.energy[m])
        found[Z] = min(energy, found.get(Z, energy))
    return found


def distinct_molecules(frames: Frames | Selected) -> IntArray:
    """(m, s + 2) atoms of each of the s elements, charge and spin multiplicity, each row once."""
    composition = frames.composition(frames.species)
    columns = np.column_stack([composition, frames.charge, frames.multiplicity])
    return distinct_rows(columns)[0]


def identified(kind: str, training: FloatArray, compositions: FloatArray) -> NDArray[np.bool_]:
    """Whether a reference says anything about the absolute energies of molecules.

    Args:
        kind: of the reference. `isolated_atoms` are known for every molecule; `composition` for
            combinations of the training compositions; `molecule_mean` for these alone.
        training: (m, s) number of atoms of each element in each training frame.
        compositions: (M, s) the same of the molecules in question.

    Returns:
        (M,) false where the reference is an extrapolation without any data behind it.
    """
    rules: dict[str, Callable[[], NDArray[np.bool_]]] = {
        "isolated_atoms": lambda: np.ones(len(compositions), dtype=bool),
        "molecule_mean": lambda: _among(training, compositions),
        "composition": lambda: _spanned(training, compositions),
    }
    return chosen("reference.kind", kind, rules)()


def _among(training: FloatArray, compositions: FloatArray) -> NDArray[np.bool_]:
    same = compositions[:, None] == np.unique(training, axis=0)
    return np.asarray(same.all(axis=-1).any(axis=-1))


def _spanned(training: FloatArray, compositions: FloatArray) -> NDArray[np.bool_]:
    _, sizes, directions = np.linalg.svd(np.unique(training, axis=0), full_matrices=False)
    basis = directions[sizes > 1e-9 * sizes.max()]
    beside = compositions - compositions @ basis.T @ basis
    near = np.linalg.norm(beside, axis=-1) < 1e-6 * np.linalg.norm(compositions, axis=-1)
    return np.asarray(near)
