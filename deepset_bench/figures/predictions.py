"""One run of each condition asked for a whole trajectory, once for every figure that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.evaluation.analysis import Analysis
from deepset_bench.evaluation.evaluate_command import Request, analyse
from deepset_bench.evaluation.paths import starting_molecule
from deepset_bench.figures.figure import Gap
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.topology import double_bond_torsions
from deepset_bench.runs import RunFolder
from deepset_bench.study.collect import IMPOSSIBLE, Where, collect
from deepset_bench.study.comparisons import Comparison, Row

RUN = Row("x3 sqrt", ("scalars=cub_sqrt",))
"""The report's best variant; `bench figures 15 scalars=none` asks for another."""


@dataclass(frozen=True)
class Predicted:
    """A run and a trajectory.

    Attributes:
        folder: of the run.
        analysis: predictions of every frame beside the labels.
    """

    folder: Path
    analysis: Analysis

    @property
    def series(self) -> pd.DataFrame:
        """One row a frame, as `Analysis.series`."""
        return self.analysis.series

    @cached_property
    def others(self) -> NDArray[np.bool_]:
        """(M,) mask of the rows of `series` that the run was not trained on."""
        return np.asarray(self.series["seen"] != "train")

    @property
    def time(self) -> tuple[FloatArray, str]:
        """(M,) of the rows of `series`, and the label of its axis."""
        if "time_fs" in self.series:
            return self.series["time_fs"].to_numpy() / 1000, "time / ps"
        return self.series["frame"].to_numpy(), "frame"

    @cached_property
    def chain(self) -> Sequence[int]:
        """The four atoms of the torsion about the double bond.

        Raises:
            UserError: there are several molecules, or theirs has no C=C bond outside rings.
        """
        frames = self.analysis.selection.frames
        if len(names := np.unique(frames.molecule)) > 1:
            raise UserError(
                f"a torsion is of one molecule, and {', '.join(names)} are {len(names)}"
            )
        return starting_molecule(frames).torsions_across()[0]

    @cached_property
    def torsion(self) -> FloatArray:
        """(M,) absolute torsion of the chain about the double bond, of the rows of `series`.

        In degrees, 0 for cis and 180 for trans. Raises what `chain` does.
        """
        _ = self.chain  # of one molecule, or refused
        angles = double_bond_torsions(self.analysis.selection.frames)
        return angles[self.series["row"].to_numpy()]


@cache
def predicted(folder: Path, data: str) -> Predicted:
    """The run's predictions of every frame of a set.

    Args:
        folder: of the run.
        data: name of the set.

    Raises:
        UserError: the run or the set cannot be used.
    """
    request = Request([RunFolder(folder)], [f"data={data}"], "cpu", [], [])
    return Predicted(folder, analyse(request))


def data_name(where: Where) -> str:
    """The set that the runs of `chosen` were trained on."""
    return experiment(where.of_data).config.data.name


def chosen(conditions: Sequence[str], where: Where) -> tuple[dict[str, Path], list[Gap]]:
    """The run of each condition with the lowest seed among those that kept their parameters."""
    sweep = Comparison(name="", title="", table=None, baseline="", common=(), runs=(RUN,), file="")
    runs = collect(sweep, conditions, where)
    found: dict[str, Path] = {}
    missing = []
    for condition in conditions:
        own = runs[(runs.condition == condition) & (runs.state == "done")]
        kept = [Path(folder) for folder in own.folder if RunFolder(folder).best.exists()]
        if kept:
            found[condition] = kept[0]
            continue
        aside = runs[(runs.condition == condition) & (runs.state == IMPOSSIBLE)]
        if len(aside):
            missing.append((f"{RUN.label}, {condition}: {aside.reason.iloc[0]}", ""))
            continue
        words = where.command(RUN, condition, [0], again=not own.empty)
        what = "no run has kept its parameters" if len(own) else "not run"
        missing.append((f"{RUN.label}, {condition}: {what}", words))
    return found, missing
