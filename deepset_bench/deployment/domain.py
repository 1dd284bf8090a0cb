"""What a potential was trained on, and so what it can be asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepset_bench.errors import UserError, chosen
from deepset_bench.model.energy_reference import identified
from deepset_bench.molecules.frames import Frames, IntArray


@dataclass(frozen=True, eq=False)
class Domain:
    """The elements, compositions, charges and spins of training.

    Attributes:
        species: (s,) atomic numbers.
        kind: of the energy reference, as `reference.kind` has it.
        rank: of the training compositions.
        molecules: `distinct_molecules` of training; None where they are not known.
    """

    species: IntArray
    kind: str
    rank: int
    molecules: IntArray | None

    @property
    def charges(self) -> list[int]:
        """Total charges in units of e; the potential cannot tell them apart."""
        return [0] if self.molecules is None else np.unique(self.molecules[:, -2]).tolist()

    @property
    def multiplicities(self) -> list[int]:
        """Spin multiplicities, likewise; empty where they are not known."""
        return [] if self.molecules is None else np.unique(self.molecules[:, -1]).tolist()

    def identified(self, frames: Frames) -> NDArray[np.bool_]:
        """(M,) whether the energy reference says anything about absolute energies."""
        if self.molecules is not None:
            known = self.molecules[:, :-2].astype(np.float64)
            return identified(self.kind, known, frames.composition(self.species))
        whole = self.rank == len(self.species)
        enough = {"isolated_atoms": True, "composition": whole, "molecule_mean": False}
        return np.full(len(frames), chosen("reference.kind", self.kind, enough))

    def check_elements(self, numbers: IntArray) -> None:
        """Raise `UserError` of an atomic number that was not in training."""
        known = self.species.tolist()
        unknown = [int(z) for z in np.unique(numbers) if z not in known]
        if unknown:
            raise UserError(
                f"atomic number {unknown[0]} was not in training; this run knows "
                f"{', '.join(map(str, known))}"
            )
