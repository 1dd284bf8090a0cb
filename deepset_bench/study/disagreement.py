"""Several seeds as one out of distribution: their mean's errors, and whether their spread tells."""

from __future__ import annotations

import math
import shlex
from typing import Any

import pandas as pd

from deepset_bench.evaluation.results import place
from deepset_bench.record import ENERGY_MAE, FORCES_MAE, RunRecord, RunRecords
from deepset_bench.study.collect import named
from deepset_bench.study.columns import OOD
from deepset_bench.study.layout import DASH, Cell, Section, number
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.units import UNITS

NOTE = (
    "Seeds as one: MAE of the mean of their predictions, and the mean over frames (components) of "
    "the standard deviation over seeds; rank: correlation (Spearman) of a frame's with its error; "
    "RMSE / σ: 1 = calibrated, above 1 = overconfident."
)
_KEYS = {
    "energy": (ENERGY_MAE, "mean_energy_uncertainty_ev"),
    "forces": (FORCES_MAE, "mean_forces_uncertainty_ev_per_angstrom"),
}


def block(
    sweep: Comparison, done: pd.DataFrame, unit: str, records: RunRecords, condition: str
) -> tuple[Section | None, list[tuple[str, str]]]:
    """A row for each variant with several seeds, as `bench evaluate SEEDS part=ood` left them.

    Args:
        sweep: the runs.
        done: rows of `collect` of those that are done.
        unit: `hartree` or `mev`.
        records: where these are.
        condition: that they are under, to be named; empty where it need not be.

    Returns:
        None where nothing has several seeds; and what is missing, with the command that makes it.
    """
    rows, gaps = [], []
    for run in sweep.runs:
        members = done[done.label == run.label].sort_values("replicate").run.tolist()
        if len(members) < 2:
            continue
        found = _evaluation(members, records)
        cells = []
        try:
            for metric, keys in _KEYS.items():
                cells += _cells(found, metric, keys, unit)
        except (LookupError, TypeError):  # damaged, as good as not there
            found, cells = {}, [DASH] * 4 * len(_KEYS)
        rows.append([Cell(run.label), Cell(str(len(members))), *cells])
        if not found:
            command = shlex.join(
                ["bench", "evaluate", *(str(one.path) for one in members), f"part={OOD}"]
            )
            gaps.append((f"{named(run.label, condition)}: its seeds as one", command))
    if not rows:
        return None, gaps
    headings = [(m, name) for m in _KEYS for name in ("MAE", "σ", "rank", "RMSE / σ")]
    (_, energy, _), (_, forces, _) = UNITS[unit].values()
    what = f"seeds as one, out of distribution, in {energy} and {forces}"
    heading = f"{named(sweep.title, condition)}: {what}"
    return Section(heading, [("", "variant"), ("", "n"), *headings], rows), gaps


def _evaluation(members: list[RunRecord], records: RunRecords) -> dict[str, Any]:
    """What is kept of these runs as they are now; empty for none."""
    home = members[0].path.parent
    beside = place([member.path for member in members], "").relative_to(home).as_posix()
    identities = [member.identity() for member in members]
    for name, content in records.together(home).items():
        of_these = name.startswith(f"{beside}/") and name.endswith(f"-{OOD}")
        if of_these and content.get("run") == identities:
            return content
    return {}


def _cells(found: dict[str, Any], metric: str, keys: tuple[str, str], unit: str) -> list[Cell]:
    if not found:
        return [DASH] * 4
    size, _, digits = UNITS[unit][metric]
    first, spread = found["errors"][0], found["uncertainty"]
    mae, sigma = first[keys[0]], spread[keys[1]]
    ratios = (spread[f"{metric}_{name}"] for name in ("rank_correlation", "rmse_over_uncertainty"))
    return [
        number(math.nan if mae is None else mae, math.nan, size, digits, DASH),
        number(sigma, math.nan, size, digits, DASH),
        *(number(math.nan if r is None else r, math.nan, 1.0, 2, DASH) for r in ratios),
    ]
