"""What a person sees of an evaluation in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from deepset_bench.console import Console
from deepset_bench.evaluation.analysis import Analysis
from deepset_bench.scoring.table import metrics, with_unit
from deepset_bench.units import UNITS

MOST_ATOMS = 30
MOST_MOLECULES = 4
"""Whose atoms and steps are printed; the CSV files have them all."""
_CAUTION = (
    "only the molecular sum is a label; atomic energies are not unique, do not interpret them (the "
    "energy reference is divided among the elements by a least-squares fit)"
)


def table(headings: Sequence[str], title: str = "") -> Table:
    """An empty table, its first column to the left and numbers to the right."""
    drawn = Table(
        box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, padding=(0, 1)
    )
    for position, heading in enumerate(headings):
        drawn.add_column(heading, justify="right" if position else "left", no_wrap=not position)
    return drawn


def show(
    console: Console,
    analysis: Analysis,
    measured: Mapping[str, Any],
    steps: Sequence[int],
    unit: str,
) -> None:
    """Every table of an evaluation."""
    drawn = [_energies(analysis, unit), _forces(analysis, unit)]
    drawn += [_metrics(measured, unit), _largest(analysis, unit)]
    for one in drawn:
        console.print(one)
    dim(
        console,
        "relative: after removing each molecule's mean offset; offset: that mean error; trivial: "
        "error of predicting the mean energy of the molecule and zero force",
    )
    if found := analysis.uncertainty():
        console.print(_uncertainty(found, unit))
        dim(
            console,
            "uncertainty: standard deviation over the runs; rank correlation: of the "
            "uncertainty with a frame's error; RMSE / uncertainty: 1 = calibrated, above 1 = "
            "overconfident",
        )
    every = analysis.atoms["molecule"].unique()
    shown = list(every[:MOST_MOLECULES])
    for molecule in shown:
        group = analysis.atoms[analysis.atoms["molecule"] == molecule]
        console.print(_atoms(str(molecule), group, analysis, steps, unit))
    dim(console, f"{_CAUTION}; {_sum_check(analysis)}")
    neighbours = analysis.neighbours(steps)
    if len(neighbours):
        console.print(_neighbours(neighbours[neighbours["molecule"].isin(shown)], unit))
        dim(console, "each chosen step, with the frames next to it in true energy")
    if len(every) > len(shown):
        dim(console, f"{len(shown)} of {len(every)} molecules; the files have them all")


def dim(console: Console, text: str) -> None:
    """A remark under a table."""
    console.print(Text(text, style="dim"))


def number(value: float | None, size: float, digits: int) -> str:
    """A value in units of `size`, or a dash for none."""
    return "—" if value is None or math.isnan(value) else f"{value / size:z.{digits}f}"


def _ratio(row: dict[str, Any], name: str) -> str:
    own, trivial = row[name], row[f"trivial_{name}"]
    return f"{100 * own / trivial:.1f} %" if trivial and own is not None else "—"


def _energies(analysis: Analysis, unit: str) -> Table:
    size, name, digits = UNITS[unit]["energy"]
    drawn = table([f"energy / {name}", "frames", "MAE", "RMSE", "offset", "trivial", "ratio"])
    for row in analysis.errors():
        absolute = [
            number(row[key], size, digits)
            for key in ("energy_mae_ev", "energy_rmse_ev", "energy_offset_ev")
        ]
        drawn.add_row(row["of"], str(row["frames_scored"]), *absolute)
        mae = "relative_energy_mae_ev"
        keys = (mae, "relative_energy_rmse_ev")
        relative = [number(row[key], size, digits) for key in keys]
        trivial = number(row[f"trivial_{mae}"], size, digits)
        drawn.add_row("  relative", str(row["frames"]), *relative, "", trivial, _ratio(row, mae))
    return drawn


def _forces(analysis: Analysis, unit: str) -> Table:
    size, name, digits = UNITS[unit]["forces"]
    drawn = table([f"forces / ({name})", "components", "MAE", "RMSE", "trivial", "ratio"])
    mae = "forces_mae_ev_per_angstrom"
    elements = [{"of": row["element"], **row} for row in analysis.elements()]
    for row in [*analysis.errors(), *elements]:
        keys = (mae, "forces_rmse_ev_per_angstrom", f"trivial_{mae}")
        numbers = [number(row[key], size, digits) for key in keys]
        drawn.add_row(row["of"], str(3 * row["atoms"]), *numbers, _ratio(row, mae))
    return drawn


def _metrics(measured: Mapping[str, Any], unit: str) -> Table:
    """Every metric of all frames together; a row for each member of a family."""
    drawn = table(["metric", "all", "trivial"])
    for metric in metrics():
        if metric.key not in measured:
            continue
        size, name, digits = metric.shown(unit)
        columns = list(measured[metric.key].values())
        family = columns[0] if isinstance(columns[0], Mapping) else {"": None}
        for member in family:
            words = f"{metric.words}: {member}" if member else metric.words
            values = [c.get(member) if isinstance(c, Mapping) else c for c in columns]
            numbers = [number(value, size, digits) for value in values]
            drawn.add_row(with_unit(words, name) + metric.remark, *numbers)
    return drawn


def _largest(analysis: Analysis, unit: str) -> Table:
    (e_size, e_name, e_digits), (f_size, f_name, f_digits) = UNITS[unit].values()
    drawn = table(
        ["largest errors", "frame", f"relative energy\n/ {e_name}", f"force\n/ ({f_name})", "atom"]
    )
    several = analysis.series["molecule"].nunique() > 1
    for name, rows in analysis.largest().items():
        for place, row in enumerate(rows.itertuples()):
            drawn.add_row(
                f"of {name}" if not place else "",
                f"{row.molecule} {row.frame}" if several else str(row.frame),
                number(float(row.energy_error_relative_ev), e_size, e_digits),  # type: ignore[arg-type]
                number(float(row.forces_largest_error_ev_per_angstrom), f_size, f_digits),  # type: ignore[arg-type]
                "—" if row.worst_atom is pd.NA else str(row.worst_atom),
            )
    return drawn


def _uncertainty(found: dict[str, float | None], unit: str) -> Table:
    drawn = table(["uncertainty", "mean", "rank correlation", "RMSE / uncertainty"])
    for metric, key in (
        ("energy", "mean_energy_uncertainty_ev"),
        ("forces", "mean_forces_uncertainty_ev_per_angstrom"),
    ):
        size, name, digits = UNITS[unit][metric]
        rank = number(found[f"{metric}_rank_correlation"], 1.0, 2)
        unit_name = name if metric == "energy" else f"({name})"
        ratio = number(found[f"{metric}_rmse_over_uncertainty"], 1.0, 2)
        drawn.add_row(f"{metric} / {unit_name}", number(found[key], size, digits), rank, ratio)
    return drawn


def _atoms(
    molecule: str, group: pd.DataFrame, analysis: Analysis, steps: Sequence[int], unit: str
) -> Table:
    """Mean and spread of each element's and each atom's energy, and its energy at chosen steps."""
    size, name, digits = UNITS[unit]["energy"]
    there = [step for step in steps if step in set(group["step"])]
    drawn = table(
        ["atom", "mean", "std", *(f"step {step}" for step in there)],
        title=f"atomic energies of {molecule} / {name}",
    )
    for element, atoms in group.groupby("element"):
        energies = atoms["energy_ev"]
        drawn.add_row(
            f"every {element}",
            *(number(float(x), size, digits) for x in (energies.mean(), energies.std(ddof=0))),
        )
    drawn.add_section()
    wide = group.pivot(index="step", columns="atom", values="energy_ev")
    symbols = group.groupby("atom")["element"]
    if wide.isna().to_numpy().any() or (symbols.nunique() > 1).any():
        return drawn  # several molecules under one name: their atoms have nothing in common
    columns = list(wide.columns)[:MOST_ATOMS]
    for atom in columns:
        energies = wide[atom]
        numbers = [energies.mean(), energies.std(ddof=0), *(energies[step] for step in there)]
        symbol = symbols.get_group(atom).iloc[0]
        drawn.add_row(f"{atom} {symbol}", *(number(float(x), size, digits) for x in numbers))
    drawn.add_section()
    total = wide.sum(axis=1)
    numbers = [total.mean(), total.std(ddof=0), *(total[step] for step in there)]
    drawn.add_row("sum", *(number(float(x), size, digits) for x in numbers))
    truth = analysis.series[analysis.series["molecule"] == molecule].set_index("step")["energy_ev"]
    numbers = [truth.mean(), truth.std(ddof=0), *(truth[step] for step in there)]
    drawn.add_row("true energy", *(number(float(x), size, digits) for x in numbers))
    return drawn


def _sum_check(analysis: Analysis) -> str:
    error = analysis.predictions.sum_error
    return f"each sum equals the total energy of the model to {error:.0e} eV"


def _neighbours(neighbours: pd.DataFrame, unit: str) -> Table:
    size, name, digits = UNITS[unit]["energy"]
    drawn = table([f"energy / {name}", "step", "frame", "true", "predicted", "error", "relative"])
    for row in neighbours.to_dict("records"):
        own = row["place"] == "step"
        numbers = [
            number(row[key], size, digits)
            for key in ("energy_ev", "predicted_energy_ev", "energy_error_ev")
        ]
        several = neighbours["molecule"].nunique() > 1
        drawn.add_row(
            f"step {row['of']}" if own else f"  next {row['place']}",
            str(row["step"]),
            f"{row['molecule']} {row['frame']}" if several else str(row["frame"]),
            *numbers,
            number(row["energy_error_relative_ev"], size, digits),
            style="bold" if own else "",
            end_section=row["place"] == "above",
        )
    return drawn
