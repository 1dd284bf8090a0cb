"""Where the numbers of a page are from: every run with its command, versions and date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from deepset_bench.study.collect import Where
from deepset_bench.study.columns import MEAN
from deepset_bench.study.layout import DASH, Cell
from deepset_bench.study.published import METRICS
from deepset_bench.study.stated import registrations
from deepset_bench.study.tables import Table
from deepset_bench.units import UNITS


@dataclass
class SeedGroup:
    """The runs of one variant under one condition, which differ in the seed.

    Attributes:
        folder: that holds theirs.
        command: makes them again.
        tables: names of the sweeps that they are in.
        seeds: one row a run; see `Provenance.columns`.
    """

    folder: Path
    command: str
    tables: list[str] = field(default_factory=list)
    seeds: list[list[Cell]] = field(default_factory=list)


@dataclass(frozen=True)
class Provenance:
    """Every variant, the columns of its runs, and what the runs were computed with.

    Attributes:
        software: versions and machine, and the mark by which a run names them, as in `(1)`.
        registered: what the runs carry of registrations of a study, a line each.
    """

    variants: list[SeedGroup]
    columns: list[str]
    software: dict[str, str]
    registered: list[str]


def provenance(tables: Sequence[Table], unit: str, where: Where) -> Provenance:
    """The runs that are done, in the order in which tables show them."""
    found: dict[Path, SeedGroup] = {}
    software: dict[str, str] = {}
    results: list[Mapping[str, Any]] = []
    for table in tables:
        runs = {run.label: run for run in table.sweep.runs}
        done = table.runs[table.runs.state == "done"]
        for (label, condition), group in done.groupby(["label", "condition"], sort=False):
            home = group.folder.iloc[0].parent
            if home not in found:
                every = list(group.replicate)
                command = where.command(runs[str(label)], str(condition), every)
                ordered = group.sort_values("replicate")
                rows = [_row(row, unit, software) for _, row in ordered.iterrows()]
                results += list(group.result)
                found[home] = SeedGroup(home, command, seeds=rows)
            found[home].tables.append(table.sweep.name)
    names = [f"{metric} MAE / ({UNITS[unit][metric][1]})" for metric in METRICS]
    columns = ["seed", *names, "best epoch", "time / s", "device", "with", "ended", "run"]
    return Provenance(list(found.values()), columns, software, registrations(results))


def _row(run: pd.Series, unit: str, software: dict[str, str]) -> list[Cell]:
    result, status = run["result"], run["run"].status()
    versions = ", ".join(f"{name} {number}" for name, number in result.get("versions", {}).items())
    used = f"{versions}; {result.get('machine', 'unknown machine')}"
    mark = software.setdefault(used, f"({len(software) + 1})")
    errors = []
    for metric in METRICS:
        size, _, digits = UNITS[unit][metric]
        errors.append(Cell(value=run[f"{metric}_{MEAN}"] / size, digits=digits))
    best = f"{result.get('best_epoch', '?')} of {result.get('epochs', '?')}"
    ended = str(status.get("updated", ""))[:16].replace("T", " ")
    return [
        Cell(run["replicate"].number),
        *errors,
        Cell(best),
        Cell(value=run["seconds"]),
        Cell(run["device"]),
        Cell(mark),
        Cell(ended) if ended else DASH,
        Cell(result.get("run", "")) if result.get("run") else DASH,
    ]
