"""One run of each condition asked for a whole set, once for every figure that shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepset_bench.errors import UserError, nearest
from deepset_bench.evaluation.analysis import Analysis
from deepset_bench.evaluation.evaluate_command import Evaluation, analyse
from deepset_bench.figures.asked import Asked, narrowed
from deepset_bench.figures.figure import Figure, Gap
from deepset_bench.figures.panels import Sheet
from deepset_bench.figures.words import comparable
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.internal import Coordinate, named
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.one_molecule import Group, groups
from deepset_bench.molecules.topology import molecule_of
from deepset_bench.replicate import Replicate, words
from deepset_bench.runs import RunFolder
from deepset_bench.study.collect import IMPOSSIBLE, collect
from deepset_bench.study.columns import MEAN, usual
from deepset_bench.sweep.comparisons import Comparison, Row


@dataclass(frozen=True)
class Predicted:
    """A run and a set, or one molecule of it.

    Attributes:
        folder: of the run.
        analysis: predictions of every frame beside the labels.
        molecule: name of the molecule; empty for all there are.
    """

    folder: Path
    analysis: Analysis
    molecule: str = ""

    @cached_property
    def series(self) -> pd.DataFrame:
        """One row a frame, as `Analysis.series`."""
        whole = self.analysis.series
        if not self.molecule:
            return whole
        return whole[whole.molecule == self.molecule].reset_index(drop=True)

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

    def along(self, name: str) -> tuple[FloatArray, Coordinate]:
        """A coordinate of the molecule: (M,) of the rows of `series`, and which one it is.

        NaN for frames of its name that are another molecule.

        Args:
            name: as `molecules.internal.named` takes it.

        Raises:
            UserError: the molecule has no such coordinate.
        """
        group, molecule = self.whole
        coordinate = named(name, molecule)
        values = np.full(len(self.analysis.selection.frames), np.nan)
        values[group.rows] = coordinate(group.positions)
        return values[self.series["row"].to_numpy()], coordinate

    @property
    def whole(self) -> tuple[Group, Molecule]:
        """The frames of the molecule, and its geometry of lowest energy."""
        return of_one(self.analysis.selection.frames, self.molecule)


@cache
def predicted(folder: Path, data: str, molecule: str = "") -> Predicted:
    """The run's predictions of every frame of a set.

    Args:
        folder: of the run.
        data: name of the set.
        molecule: of the set; empty for all.

    Raises:
        UserError: the run or the set cannot be used, or it holds no such molecule.
    """
    analysis = _analysed(folder, data)
    if molecule:
        of_one(analysis.selection.frames, molecule)
    return Predicted(folder, analysis, molecule)


@cache
def _analysed(folder: Path, data: str) -> Analysis:
    return analyse(Evaluation([RunFolder(folder)], [f"data={data}"], "cpu", [], []))


def of_one(frames: Frames, molecule: str = "") -> tuple[Group, Molecule]:
    """The frames of one molecule in one order of its atoms, and its geometry of lowest energy.

    Args:
        frames: a set.
        molecule: its name; empty where there is only one.

    Raises:
        UserError: there is no such molecule, or several and none is named.
    """
    names = sorted(set(frames.molecule.tolist()))
    if not molecule and len(names) > 1:
        raise UserError(f"the set holds {', '.join(names)}: name one of them as molecule")
    if molecule and molecule not in names:
        raise UserError(f"the set holds no {molecule}; {nearest(molecule, names)}")
    chosen = next(group for group in groups(frames) if group.molecule == (molecule or names[0]))
    lowest = chosen.positions[int(np.argmin(chosen.energy))]
    return chosen, molecule_of(chosen.numbers, lowest, chosen.charge, chosen.spin)


@dataclass(frozen=True)
class Chosen:
    """The runs that a figure of one row shows.

    Attributes:
        row: whose.
        runs: condition -> folder, of those that there are.
        data: the set, or that which the row was trained on.
        missing: what is missing.
    """

    row: Row
    runs: Mapping[str, Path]
    data: str
    missing: list[Gap]

    def predicted(self, molecule: str = "") -> dict[str, Predicted]:
        """What each of them says of the set."""
        return {c: predicted(folder, self.data, molecule) for c, folder in self.runs.items()}

    @property
    def one_run(self) -> str:
        """How many runs are shown, for a caption."""
        named = (Replicate.named(folder.name) for folder in self.runs.values())
        each = " for each condition" if len(self.runs) > 1 else ""
        return f"{self.row.label}, one run{each} (n = 1, {words(one for one in named if one)})"

    def figure(
        self,
        asked: Asked,
        title: str,
        caption: str,
        sheet: Callable[[], Sheet],
        molecule: str = "",
    ) -> Figure:
        """The figure of these runs; see `Asked.figure`."""
        return asked.figure(
            title, caption, self.missing, list(self.runs.values()), sheet,
            **self.facts(molecule),
        )  # fmt: skip

    def facts(self, molecule: str) -> dict[str, str]:
        """What titles and captions may name: `data` (of one molecule, if any), `runs`, `row`."""
        data = f"{molecule} of {self.data}" if molecule else self.data
        return {"data": data, "runs": self.one_run, "row": self.row.label}


def chosen(asked: Asked, sheet: str, row: str, data: str = "") -> Chosen:
    """The run of each condition with the lowest seed among those that kept their parameters.

    Of a seed that all conditions have, where there is one: its frames are the same under each.

    Args:
        asked: the figure.
        sheet: name of it.
        row: label; none: the row with the least error.
        data: the set to look at; none: the one that the row is trained on.

    Raises:
        UserError: there is no such sheet or row, or an override that does not compose.
    """
    whole = asked.sheet(sheet)
    run = asked.row(whole, row) if row else best(asked, whole)
    only = narrowed(whole, [run])
    runs = collect(only, asked.conditions, asked.where)
    done = runs[runs.state == "done"]
    there, _ = comparable(done[np.array([one.has_parameters() for one in done.run], dtype=bool)])
    found: dict[str, Path] = {}
    missing = []
    for condition in asked.conditions_of(whole):
        own = done[done.condition == condition]
        kept = [one.path for one in there[there.condition == condition].run]
        if kept:
            found[condition] = kept[0]
            continue
        name = asked.run_named(run.label, condition)
        aside = runs[(runs.condition == condition) & (runs.state == IMPOSSIBLE)]
        if len(aside):
            missing.append((f"{name}: {aside.reason.iloc[0]}", ""))
            continue
        words = asked.where.command(run, condition, [Replicate(0)], again=not own.empty)
        what = asked.where.runs.without_parameters() if len(own) else "not run"
        missing.append((f"{name}: {what}", words))
    return Chosen(run, found, data or asked.data(only)[0], missing)


def best(asked: Asked, sheet: Comparison) -> Row:
    """The row with the least error among those that are done; the first where none is."""
    runs = collect(sheet, asked.conditions, asked.where)
    done, _ = comparable(runs[runs.state == "done"])
    if done.empty:
        return sheet.runs[0]
    column = usual()[0]
    means = done.groupby("label")[f"{column.name}_{MEAN}"].mean()
    label = means.idxmin() if column.metric.less_is_better else means.idxmax()
    return next(run for run in sheet.runs if run.label == label)
