"""From frames and predictions to tables of errors; energies also relative to each molecule's mean.

An energy error has two parts that mean different things: an offset, the same for every frame of a
molecule, which no force and no reaction barrier knows of, and what is left about the molecule's
mean, the error of the shape of the potential energy surface.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from numpy.typing import NDArray

from deepset_bench.evaluation.ensemble import EnsemblePredictions
from deepset_bench.evaluation.selection import Selection
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.scoring.averages import mean_absolute, root_mean_square
from deepset_bench.scoring.metrics import errors
from deepset_bench.scoring.scored import ScoredRun

STEPS = (5, 15, 40)
"""The steps of the report's Table 10."""
LARGEST = 5


@dataclass(frozen=True)
class Analysis:
    """Predictions beside labels.

    Attributes:
        selection: M frames with A atoms in all.
        predictions: of them.
        forces: (A, 3) eV/angstrom, the labels that the run was trained on; NaN in frames that have
            an energy alone, whose errors are NaN or None then.
        interval: fs between frames, None where it is not known.
        reference: (M,) eV, what the energy reference says of the frames (of several runs, the
            first's).
        run: what metrics are told of it.
    """

    selection: Selection
    predictions: EnsemblePredictions
    forces: FloatArray
    interval: float | None
    reference: FloatArray
    run: ScoredRun

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """(A,) whether an atom is labelled with a force."""
        return np.asarray(~np.isnan(self.forces).all(axis=1))

    @cached_property
    def series(self) -> pd.DataFrame:
        """One row a frame, in the order of time: `step` counts them within each molecule.

        Energies in eV with the reference, `*_relative_ev` to the mean of the molecule's frames;
        forces in eV/angstrom; `worst_atom` has the largest error of a component.
        """
        frames, predicted = self.selection.frames, self.predictions
        wrong = np.abs(predicted.forces - self.forces)
        offsets = frames.offsets[:-1]
        largest = np.maximum.reduceat(wrong.max(axis=1), offsets)
        atom = np.arange(len(frames.numbers)) - offsets[frames.frame_of_atom]
        worst = np.where(wrong.max(axis=1) == largest[frames.frame_of_atom], atom, atom.max() + 1)
        atoms = pd.Series(np.minimum.reduceat(worst, offsets), dtype="Int64")
        atoms = atoms.mask(~self.labelled[offsets])
        table = pd.DataFrame(
            {
                "molecule": frames.molecule,
                "frame": frames.index,
                "seen": self.selection.seen,
                "identified": self.selection.identified,
                "energy_ev": frames.energy,
                "predicted_energy_ev": predicted.energy,
                "energy_error_ev": predicted.energy - frames.energy,
                "forces_mae_ev_per_angstrom": np.add.reduceat(wrong.mean(axis=1), offsets)
                / frames.n_atoms,
                "forces_largest_error_ev_per_angstrom": largest,
                "worst_atom": atoms,
            }
        )
        means = table.groupby("molecule")
        for name in ("energy", "predicted_energy", "energy_error"):
            column = table[f"{name}_ev"]
            table[f"{name}_relative_ev"] = column - means[f"{name}_ev"].transform("mean")
        if self.interval is not None:
            table["time_fs"] = table["frame"] * self.interval
        if predicted.energy_uncertainty is not None:
            assert predicted.forces_uncertainty is not None
            spread = predicted.forces_uncertainty.mean(axis=1)
            table["energy_uncertainty_ev"] = predicted.energy_uncertainty
            table["forces_uncertainty_ev_per_angstrom"] = (
                np.add.reduceat(spread, offsets) / frames.n_atoms
            )
        table["row"] = np.arange(len(table))
        table = table.sort_values(["molecule", "frame"], kind="stable", ignore_index=True)
        table.insert(0, "step", table.groupby("molecule").cumcount())
        return table

    @cached_property
    def atoms(self) -> pd.DataFrame:
        """One row an atom of a frame, in the order of `series`; energies in eV, with reference."""
        frames, offsets = self.selection.frames, self.selection.frames.offsets
        order = self.series["row"].to_numpy()
        n = frames.n_atoms[order]
        rows = np.concatenate([np.arange(offsets[m], offsets[m + 1]) for m in order])
        wrong = np.abs(self.predictions.forces - self.forces).mean(axis=1)
        return pd.DataFrame(
            {
                "molecule": np.repeat(frames.molecule[order], n),
                "frame": np.repeat(frames.index[order], n),
                "step": np.repeat(self.series["step"].to_numpy(), n),
                "atom": np.concatenate([np.arange(k) for k in n]),
                "element": np.array(chemical_symbols)[frames.numbers[rows]],
                "energy_ev": self.predictions.atomic_energies[rows],
                "forces_mae_ev_per_angstrom": wrong[rows],
            }
        )

    def errors(self) -> list[dict[str, Any]]:
        """Errors of all frames, of each molecule if there are several, and by `seen` if mixed.

        `energy` errors are None where the reference is not identified; `relative` are about the
        mean of each molecule with several frames (one frame is its own mean) and `offset` is what
        that takes off, None over several molecules;
        `trivial` is what the molecule's own mean and zero force score.
        """
        return self._of_groups

    @cached_property
    def _of_groups(self) -> list[dict[str, Any]]:
        table = self.series.sort_values("row", ignore_index=True)
        table["several"] = table.groupby("molecule")["row"].transform("size") > 1
        groups: list[tuple[str, IntArray]] = [("all", np.arange(len(table)))]
        for column, prefix in (("molecule", ""), ("seen", "in ")):
            rows = table.groupby(column, sort=True).indices
            if len(rows) > 1:
                groups += [
                    (f"{prefix}{name}" if name != "held out" else name, np.asarray(of))
                    for name, of in rows.items()
                ]
        return [{"of": name, **self._errors(rows, table)} for name, rows in groups]

    def _errors(self, rows: IntArray, table: pd.DataFrame) -> dict[str, Any]:
        atoms = self.selection.frames.atoms_in(rows)
        of_atom = atoms[self.labelled[atoms]]
        forces = self.predictions.forces[of_atom] - self.forces[of_atom]
        chosen = table.iloc[rows]
        scored = chosen[chosen["identified"]]
        several = chosen[chosen["several"]]
        about_mean = errors(several["energy_error_relative_ev"].to_numpy(), forces)
        of_forces = about_mean.as_dict()
        result: dict[str, Any] = {
            "frames": len(rows),
            "frames_scored": len(scored),
            "atoms": len(of_atom),
        }
        absolute = None
        if len(scored):
            absolute = errors(scored["energy_error_ev"].to_numpy(), forces)
        one = chosen["molecule"].nunique() == 1
        return result | {
            "energy_mae_ev": absolute.energy_mae_ev if absolute else None,
            "energy_rmse_ev": absolute.energy_rmse_ev if absolute else None,
            "energy_offset_ev": float(chosen["energy_error_ev"].mean()) if one else None,
            "relative_energy_mae_ev": _known(about_mean.energy_mae_ev),
            "relative_energy_rmse_ev": _known(about_mean.energy_rmse_ev),
            "trivial_relative_energy_mae_ev": _known(several["energy_relative_ev"].abs().mean()),
            "forces_mae_ev_per_angstrom": of_forces["forces_mae_ev_per_angstrom"],
            "forces_rmse_ev_per_angstrom": of_forces["forces_rmse_ev_per_angstrom"],
            "trivial_forces_mae_ev_per_angstrom": _known(mean_absolute(self.forces[of_atom])),
        }

    def elements(self) -> list[dict[str, Any]]:
        """Force errors of each element, and mean and spread of its atomic energies."""
        symbols = np.array(chemical_symbols)[self.selection.frames.numbers]
        rows = []
        for element in np.unique(symbols):
            every = symbols == element
            mask = every & self.labelled
            wrong = self.predictions.forces[mask] - self.forces[mask]
            energies = self.predictions.atomic_energies[every]
            rows.append(
                {
                    "element": str(element),
                    "atoms": int(mask.sum()),
                    "forces_mae_ev_per_angstrom": _known(mean_absolute(wrong)),
                    "forces_rmse_ev_per_angstrom": _known(root_mean_square(wrong)),
                    "trivial_forces_mae_ev_per_angstrom": _known(mean_absolute(self.forces[mask])),
                    "atomic_energy_mean_ev": float(energies.mean()),
                    "atomic_energy_std_ev": float(energies.std()),
                }
            )
        return rows

    def largest(self) -> dict[str, pd.DataFrame]:
        """The rows of `series` with the largest energy errors (about the mean) and force errors."""
        by = {
            "energy": self.series["energy_error_relative_ev"].abs(),
            "forces": self.series["forces_largest_error_ev_per_angstrom"],
        }
        return {
            name: self.series.loc[size.dropna().sort_values(ascending=False).index[:LARGEST]]
            for name, size in by.items()
        }

    def uncertainty(self) -> dict[str, float | None] | None:
        """Whether the disagreement of seeds tells where errors are; None for one run.

        Mean uncertainties in eV and eV/angstrom (of energies, where they are scored), the rank
        correlation (Spearman) of a scored frame's uncertainty with its absolute error, None where
        either is the same everywhere, and the root
        mean square error over the root mean square uncertainty: about 1 if the runs scatter about
        the truth as they do about each other, 2 if errors are twice what the spread says.
        """
        if self.predictions.energy_uncertainty is None:
            return None
        result: dict[str, float | None] = {}
        known = self.series[self.series["identified"]]
        for name, frames, error in (
            ("energy_uncertainty_ev", known, known["energy_error_ev"].abs()),
            (
                "forces_uncertainty_ev_per_angstrom",
                self.series,
                self.series["forces_mae_ev_per_angstrom"].dropna(),
            ),
        ):
            result[f"mean_{name}"] = _known(float(frames[name].mean()))
            spread = frames.loc[error.index, name]
            quantity = name.partition("_")[0]
            ranked = spread.nunique() > 1 and error.nunique() > 1
            rank = float(spread.rank().corr(error.rank())) if ranked else None
            result[f"{quantity}_rank_correlation"] = rank
        scored = self.series["identified"].to_numpy()
        wrong = {
            "energy": self.series["energy_error_ev"].to_numpy()[scored],
            "forces": (self.predictions.forces - self.forces)[self.labelled],
        }
        assert self.predictions.forces_uncertainty is not None
        spreads = {
            "energy": self.series["energy_uncertainty_ev"].to_numpy()[scored],
            "forces": self.predictions.forces_uncertainty[self.labelled],
        }
        for quantity, error in wrong.items():
            size = np.square(spreads[quantity]).mean() if error.size else 0.0
            ratio = float(np.sqrt(np.square(error).mean() / size)) if size else None
            result[f"{quantity}_rmse_over_uncertainty"] = ratio
        return result

    def neighbours(self, steps: Sequence[int]) -> pd.DataFrame:
        """Chosen steps of each molecule between the frames next to them in true energy.

        What the report's Table 10 leaves open: whether an error is small against the difference
        between one frame and the next. `of` is the step that a row belongs to and `place` is
        `below`, `step` or `above`.
        """
        rows = []
        for _, group in self.series.groupby("molecule", sort=True):
            ranked = group.sort_values("energy_ev", kind="stable").reset_index(drop=True)
            for step in steps:
                found = ranked.index[ranked["step"] == step]
                if not len(found):
                    continue
                for shift, place in ((-1, "below"), (0, "step"), (1, "above")):
                    rank = int(found[0]) + shift
                    if 0 <= rank < len(ranked):
                        rows.append({"of": step, "place": place, **ranked.loc[rank]})
        return pd.DataFrame(rows)


def _known(value: float) -> float | None:
    """For JSON: None where nothing was labelled."""
    return None if math.isnan(value) else value
