"""Errors on molecules or conformers that a run has seen and has not: an offset, a shape, a shell.

An energy error has two parts that mean different things: an offset, the same for every frame of a
molecule, which no force and no reaction barrier knows of, and what is left about the molecule's
mean, the error of the shape of the potential energy surface. The offset is only scored where the
energy reference says anything about the molecule: where its composition is a combination of those
in training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepset_bench.model.energy_reference import identified
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.selected import Selected
from deepset_bench.molecules.topology import environments
from deepset_bench.scoring.averages import mean_absolute
from deepset_bench.scoring.metrics import errors
from deepset_bench.scoring.scored import Predictions


@dataclass(frozen=True, eq=False)
class Scorer:
    """Frames to score predictions of.

    Attributes:
        frames: M of them with A atoms in all.
        forces: (A, 3) eV/angstrom, the labels; NaN in frames that have an energy alone.
        identified: (M,) whether the energy reference says anything about absolute energies.
        seen: (A,) whether an atom with the same first shell was in training.
        each: whether molecules are scored one by one, too.
    """

    frames: Frames
    forces: FloatArray
    identified: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    each: bool = True

    @classmethod
    def after(
        cls,
        train: Frames | Selected,
        frames: Frames,
        reference: str,
        labels: str,
        *,
        each: bool = True,
    ) -> Scorer:
        """What training on `train` with a kind of reference leaves unseen of `frames`."""
        compositions = (part.composition(train.species) for part in (train, frames))
        known = np.unique(np.concatenate([np.unique(environments(p)) for p in train.pieces()]))
        return cls(
            frames,
            frames.labelled_forces(labels),
            identified(reference, *compositions),
            np.isin(environments(frames), known),
            each,
        )

    @property
    def note(self) -> str:
        """Which molecules' absolute energies are not scored; empty where all are."""
        return unidentified(self.frames, self.identified)

    def where_identified(self, predictions: Predictions) -> Predictions:
        """The same with NaN for absolute energies that are not scored."""
        return replace(predictions, energy=np.where(self.identified, predictions.energy, np.nan))

    def scores(self, energy: FloatArray, forces: FloatArray) -> dict[str, Any]:
        """Errors of all frames and of each molecule, and of forces by environment.

        Args:
            energy: (M,) eV, predicted minus labelled.
            forces: (A, 3) eV/angstrom, likewise.

        Returns:
            Keys as in `Errors`; energies None where no frame is identified, forces None where no
            frame is labelled with any, `relative_` ones about each molecule's mean, of molecules
            with several frames (None where there is none: one frame is its own mean);
            `energy_offset_ev` of a molecule is the mean of its errors.
        """
        names, molecule = np.unique(self.frames.molecule, return_inverse=True)
        count = np.bincount(molecule)
        offset = np.bincount(molecule, energy) / count
        relative = energy - offset[molecule]
        several: NDArray[np.bool_] = (count > 1)[molecule]
        labelled = np.asarray(~np.isnan(self.forces).all(axis=1))

        def of(rows: IntArray) -> dict[str, Any]:
            scored, compared = rows[self.identified[rows]], rows[several[rows]]
            atoms = self.frames.atoms_in(rows)
            inside = forces[atoms[labelled[atoms]]]
            absolute = errors(energy[scored], inside).as_dict() if len(scored) else {}
            about_mean = errors(relative[compared], inside).as_dict()
            own = (about_mean.pop(f"energy_{of}_ev") for of in ("mae", "rmse"))
            mae, rmse = own if len(compared) else (None, None)
            return {
                "frames": len(rows),
                "frames_scored": len(scored),
                "energy_mae_ev": absolute.get("energy_mae_ev"),
                "energy_rmse_ev": absolute.get("energy_rmse_ev"),
                "relative_energy_mae_ev": mae,
                "relative_energy_rmse_ev": rmse,
                **about_mean,
            }

        found = of(np.arange(len(energy)))
        if self.each:
            together = np.split(np.argsort(molecule, kind="stable"), np.cumsum(count)[:-1])
            found["molecules"] = {
                str(name): {**of(rows), "energy_offset_ev": float(own)}
                for name, rows, own in zip(names, together, offset, strict=True)
            }
        return {
            **found,
            "environments": {
                name: {"atoms": int(mask.sum()), "forces_mae_ev_per_angstrom": _mae(forces[mask])}
                for name, mask in (
                    ("seen", self.seen & labelled),
                    ("unseen", ~self.seen & labelled),
                )
            },
        }


def unidentified(frames: Frames, identified: NDArray[np.bool_]) -> str:
    """Which molecules' absolute energies training does not determine, a line; empty for none."""
    outside = np.unique(frames.molecule[~identified])
    if not len(outside):
        return ""
    return (
        f"{', '.join(outside)}: absolute energy undetermined, because the composition is not a "
        "linear combination of the training compositions: energy differences within a molecule are "
        "scored, absolute energies are not"
    )


def _mae(forces: FloatArray) -> float | None:
    return mean_absolute(forces) if len(forces) else None
