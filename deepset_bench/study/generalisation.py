"""The table of what runs make of molecules and conformers that they have not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from deepset_bench.reading import is_number
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.scoring.table import TRIVIAL
from deepset_bench.study import disagreement
from deepset_bench.study.collect import Where, collect, conditions_of, named
from deepset_bench.study.columns import OOD, TEST
from deepset_bench.study.draws import independent
from deepset_bench.study.gaps import LEFT_OUT, gaps, left_out
from deepset_bench.study.layout import DASH, Cell, Page, Section, number
from deepset_bench.study.published import Published, published
from deepset_bench.study.statistics import NOTHING, Estimate, estimate
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.studies import Study
from deepset_bench.units import UNITS

COLUMNS: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    (TEST, "energy"): ("energy", (TEST, ENERGY_MAE)),
    (TEST, "relative"): ("energy", (TEST, f"relative_{ENERGY_MAE}")),
    (TEST, "forces"): ("forces", (TEST, FORCES_MAE)),
    (OOD, "energy"): ("energy", (OOD, ENERGY_MAE)),
    (OOD, "relative"): ("energy", (OOD, f"relative_{ENERGY_MAE}")),
    (OOD, "forces"): ("forces", (OOD, FORCES_MAE)),
    (OOD, "seen"): ("forces", (OOD, "environments", "seen", FORCES_MAE)),
    (OOD, "unseen"): ("forces", (OOD, "environments", "unseen", FORCES_MAE)),
}
"""Part and heading -> metric and key in result.json's metrics."""

_OF_MOLECULE = {
    "energy": ("energy", "energy_rmse_ev"),
    "relative": ("energy", "relative_energy_rmse_ev"),
    "forces": ("forces", "forces_rmse_ev_per_angstrom"),
}
"""Heading -> metric and key in result.json, of one molecule."""

NOTES = [
    "MAE: mean over n seeds, ± half its 95 % t-interval. test: in distribution, frames of what was "
    "trained on; ood: out of distribution, frames of the task, the same for every seed.",
    "Energies are per molecule: absolute, and relative (after removing each molecule's mean "
    "offset). Forces are per component, also by atoms whose first shell (bonded elements with "
    "their numbers of bonds) was (seen) or was not (unseen) in training.",
    "—: not run, or nothing to score: no such atoms, or the energy of the molecule is "
    "undetermined, because its composition is not a linear combination of the training "
    "compositions.",
]

RMSE_NOTE = (
    "RMSE: root mean square error, mean over n seeds, ± half its 95 % t-interval. Energies are per "
    "molecule, forces per component; relative: after removing the mean offset of these frames. "
    "Rows in italics are printed in the publications."
)

NO_BETTER = "‡"
NO_BETTER_NOTE = (
    f"{NO_BETTER}: no smaller than the error of predicting the mean energy, or zero force, of the "
    "same frames."
)


def rows(study: Study, conditions: Sequence[str], where: Where) -> pd.DataFrame:
    """One row a run that is done: what tells it from others, each column in eV and eV/angstrom.

    `attrs[LEFT_OUT]` says which results were not used, a line each.

    Raises:
        UserError: overrides that do not compose.
    """
    found, aside = [], []
    for sweep in study.unseen:
        runs = collect(sweep, conditions, where)
        aside += left_out(runs)
        for run in runs[runs.state == "done"].to_dict("records"):
            values = {
                f"{part} {name}": _at(run["metrics"], keys)
                for (part, name), (_, keys) in COLUMNS.items()
            }
            first = {
                "sweep": sweep.name,
                "row": run["label"],
                "condition": run["condition"],
                "seed": run["seed"],
                "split": run["split"],
            }
            found.append({**first, **values})
    frame = pd.DataFrame(found)
    frame.attrs[LEFT_OUT] = aside
    return frame


def page(study: Study, conditions: Sequence[str], unit: str, where: Where) -> Page:
    """A block for each comparison of the study's `unseen` that has a run.

    Args:
        study: whose.
        conditions: that are shown.
        unit: `hartree` or `mev`.
        where: which runs.

    Raises:
        UserError: overrides that do not compose.
    """
    blocks, missing, printed = [], [], published(study)
    for sweep in study.unseen:
        for condition in conditions_of(sweep, conditions):
            runs = collect(sweep, [condition], where)
            beside = condition if len(conditions) > 1 else ""
            if (runs.state == "done").any():
                blocks.append(_block(sweep, runs, unit, beside))
            blocks += [
                _of_molecule(sweep, runs, molecule, table, printed, unit, beside)
                for molecule, table in printed.unseen(sweep.name).items()
            ]
            done = runs[runs.state == "done"]
            together, unread = disagreement.block(sweep, done, unit, where.runs, beside)
            blocks += [together] if together else []
            missing += [*unread, *gaps(sweep, runs, [condition], where)]
    marked = any(NO_BETTER in cell.text for block in blocks for row in block.rows for cell in row)
    has_rmse = any(printed.unseen(sweep.name) for sweep in study.unseen)
    notes = [*NOTES, *[RMSE_NOTE] * has_rmse, *[NO_BETTER_NOTE] * marked, disagreement.NOTE]
    title = study.title if not study.tables else "Molecules and conformers that were not seen"
    return Page(study.name, title, blocks, notes, missing)


def _block(sweep: Comparison, runs: pd.DataFrame, unit: str, condition: str) -> Section:
    done = runs[runs.state == "done"]
    drawn, means = [], dict[tuple[str, str], list[float]]()
    trivial = dict[tuple[str, str], list[float]]()
    own_tasks = all(_sets_task(run.overrides[len(sweep.common) :]) for run in sweep.runs)
    for run in sweep.runs:
        members = done[done.label == run.label].to_dict("records")
        cells = [Cell(run.label), Cell(str(len(members)))]
        for column, (metric, keys) in COLUMNS.items():
            found = _estimate(members, "metrics", keys)
            nothing = _estimate(members, "baselines", keys).mean
            cell = _cell(found.mean, found.half, metric, unit)
            cells.append(replace(cell, text=NO_BETTER) if found.mean >= nothing else cell)
            if not math.isnan(found.mean):
                means.setdefault(column, []).append(found.mean)
            if (own_tasks or run is sweep.runs[0]) and not math.isnan(nothing):
                trivial.setdefault(column, []).append(nothing)
        drawn.append(cells)
    averages = [("mean of these", means)] if own_tasks else []
    for name, averaged in [*averages, (TRIVIAL, trivial)]:
        cells = [Cell(name, italic=True), Cell()]
        for column, (metric, _) in COLUMNS.items():
            cells.append(_cell(estimate(averaged.get(column, [])).mean, math.nan, metric, unit))
        drawn.append(cells)
    (_, energy, _), (_, forces, _) = UNITS[unit].values()
    heading = f"{named(sweep.title, condition)}: MAE in {energy} and {forces}"
    return Section(heading, [("", "variant"), ("", "n"), *COLUMNS], drawn)


def _of_molecule(
    sweep: Comparison,
    runs: pd.DataFrame,
    molecule: str,
    table: Mapping[str, Any],
    printed: Published,
    unit: str,
    condition: str,
) -> Section:
    """Root mean square errors of the frames of one molecule, beside those that are printed."""
    done = runs[runs.state == "done"]
    drawn = []
    for run in sweep.runs:
        members = done[done.label == run.label].to_dict("records")
        cells = [Cell(run.label), Cell(str(len(members)))]
        for metric, key in _OF_MOLECULE.values():
            found = _estimate(members, "metrics", (OOD, "molecules", molecule, key))
            cells.append(_cell(found.mean, found.half, metric, unit))
        drawn.append(cells)
    for column in table.get("columns", ()):
        cells = [Cell(column["label"], italic=True), Cell()]
        for name, (metric, _) in _OF_MOLECULE.items():
            value = column.get(f"{OOD}_{metric}_rmse") if name != "relative" else None
            size = math.nan if value is None else float(value) * printed.size(metric)
            cells.append(_cell(size, math.nan, metric, unit))
        drawn.append(cells)
    (_, energy, _), (_, forces, _) = UNITS[unit].values()
    heading = f"{named(table.get('title', molecule), condition)}: RMSE in {energy} and {forces}"
    return Section(heading, [("", "variant"), ("", "n"), *(("", n) for n in _OF_MOLECULE)], drawn)


def _sets_task(overrides: Sequence[str]) -> bool:
    """Whether a row has a task of its own, so that a mean over rows is one over tasks."""
    return any(text.startswith("task") for text in overrides)


def _cell(mean: float, half: float, metric: str, unit: str) -> Cell:
    size, _, digits = UNITS[unit][metric]
    return number(mean, half, size, digits, DASH)


def _estimate(members: Sequence[Mapping[Any, Any]], source: str, keys: tuple[str, ...]) -> Estimate:
    """Mean over runs with its interval, those of one split as one; NaN where none has a number."""
    values = {one["replicate"]: _at(one[source], keys) for one in members}
    known = {which: value for which, value in values.items() if value is not None}
    return estimate(independent(known)) if known else NOTHING


def _at(content: Mapping[str, Any], keys: tuple[str, ...]) -> float | None:
    """The value under nested keys; None where it is null, or there is none."""
    value: Any = content
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if is_number(value) else None
