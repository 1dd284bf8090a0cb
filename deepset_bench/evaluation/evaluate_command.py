"""`bench evaluate`: what is asked, what is computed, where it goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.text import Text

from deepset_bench.config import experiment
from deepset_bench.console import Console
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation import printing as display
from deepset_bench.evaluation.analysis import STEPS, Analysis
from deepset_bench.evaluation.completing import complete
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.evaluation.results import place, write
from deepset_bench.evaluation.scan_command import show as show_scans
from deepset_bench.evaluation.scores import scores
from deepset_bench.evaluation.selection import select
from deepset_bench.groups import is_override
from deepset_bench.runs import RunFolder, named_run
from deepset_bench.scoring.scored import ScoredRun

_DATA = ("data", "seed", "part")


@dataclass(frozen=True)
class Evaluation:
    """The arguments of `bench evaluate`, sorted out.

    Attributes:
        folders: run folders.
        data: overrides that choose the frames.
        device: as in the configuration.
        scans: names of geometry scans, as `paths.path` takes them; none: evaluate on frames.
        steps: of the time series, for the tables of atomic energies and of neighbours.
    """

    folders: list[RunFolder]
    data: list[str]
    device: str
    scans: list[str]
    steps: list[int]


def parse(
    arguments: Sequence[str], steps: str | None, runs_dir: str | Path | None = None
) -> Evaluation:
    """Tell run folders from overrides.

    Raises:
        UserError: no run, or an override that evaluation does not take.
    """
    folders, data, scans, device = [], [], [], "auto"
    for text in arguments:
        key, _, value = text.lstrip("+").partition("=")
        if not is_override(text):
            folders.append(named_run(text, runs_dir))
        elif key == "scan":
            names = [name for name in value.split(",") if name]
            if not names:
                raise UserError(f"{text}: name a scan, as in scan=torsion,bond,pair")
            scans += names
        elif key == "device":
            device = experiment([text]).config.device
        elif key.split(".")[0] in _DATA:
            data.append(text)
        else:
            raise UserError(
                f"{text}: evaluation takes data=, data.KEY=, seed=, part=, device= and scan=; "
                "everything else is as the run was trained"
            )
    if not folders:
        raise UserError("name the folder of a trained run, e.g. runs/but-2-ene/.../seed-0")
    try:
        numbers = [int(word) for word in steps.split(",")] if steps else list(STEPS)
        if min(numbers) < 0:
            raise ValueError
    except ValueError:
        raise UserError(
            f"--steps {steps}: give whole numbers from 0, separated by commas"
        ) from None
    return Evaluation(folders, data, device, scans, numbers)


def evaluate(
    arguments: Sequence[str],
    unit: str,
    steps: str | None,
    metrics: Sequence[str] = (),
    runs_dir: str | Path | None = None,
) -> None:
    """Evaluate runs on frames or along scans, print tables and write files.

    Args:
        arguments: run folders and overrides.
        unit: `hartree` or `mev`, of what is printed; files are in eV and angstrom.
        steps: comma list; None for the report's.
        metrics: names of those to measure and keep instead, of each run by itself.
        runs_dir: where runs are that are not named by their path.

    Raises:
        UserError: an argument, a run or a set that cannot be used; nothing is written then.
    """
    request = parse(arguments, steps, runs_dir)
    console = Console()
    if metrics:
        if request.scans or request.data:
            raise UserError("--metric measures the frames of the run itself; give only run folders")
        complete(console, request.folders, metrics, request.device, unit)
        return
    if request.scans:
        show_scans(console, request.folders, request.data, request.device, request.scans, unit)
        return
    analysis = analyse(request)
    notes = [*_unfinished(request.folders), *analysis.selection.notes]
    notes += [*_without_forces(analysis), *_true_forces(analysis)]
    measured = scores(analysis, notes.append)
    notes = list(dict.fromkeys(notes))  # a metric that fails does so twice
    # Before anything is printed: a reader that stops early, such as `head`, ends the program.
    kept = _write(request, analysis, measured, notes)
    for folder in request.folders:
        console.print(Text(str(folder.path), "bold"), soft_wrap=True)
    console.print(f"{analysis.selection.title}: {len(analysis.series)} frames")
    for note in notes:
        console.print(note, soft_wrap=True)
    display.show(console, analysis, measured, request.steps, unit)
    console.print(kept, soft_wrap=True)


def analyse(request: Evaluation) -> Analysis:
    """Predict the frames that are asked for."""
    ensemble = Ensemble([folder.path for folder in request.folders], request.device)
    selection = select(request.folders, ensemble.members, request.data)
    sampling = catalogue.datasheet(selection.data).get("sampling")
    first = ensemble.members[0]
    parameters = sum(p.numel() for p in first.potential.parameters())
    return Analysis(
        selection,
        ensemble(selection.frames),
        selection.frames.labelled_forces(first.config.condition.labels),
        sampling.get("interval_fs") if isinstance(sampling, dict) else None,
        first.reference(selection.frames),
        ScoredRun(parameters, math.nan, first.config),
    )


def _unfinished(folders: Sequence[RunFolder]) -> list[str]:
    states = {folder.path: folder.status().get("state", "unknown") for folder in folders}
    return [
        f"{path} is {state}: its best epoch so far is evaluated"
        for path, state in states.items()
        if state != "done"
    ]


def _without_forces(analysis: Analysis) -> list[str]:
    """How many frames have an energy alone."""
    count = int((~analysis.selection.frames.has_forces).sum())
    if not count:
        return []
    return [f"{count} of {len(analysis.series)} frames have no forces: their energies are scored"]


def _true_forces(analysis: Analysis) -> list[str]:
    """What biased labels hide."""
    true, labels = analysis.selection.frames.forces, analysis.forces
    if np.array_equal(labels, true, equal_nan=True):
        return []
    labelled = analysis.labelled
    ours = float(np.abs(analysis.predictions.forces - true)[labelled].mean())
    floor = float(np.abs(labels - true)[labelled].mean())
    return [
        f"the labels hold a bias: against the true forces the MAE is {ours:.4f} eV/angstrom, and "
        f"the true forces themselves have an error of {floor:.4f} against these labels"
    ]


def _write(
    request: Evaluation, analysis: Analysis, measured: Mapping[str, Any], notes: Sequence[str]
) -> str:
    selection = analysis.selection
    target = place([folder.path for folder in request.folders], selection.name)
    known = not (selection.seen == "unknown").any()
    largest = analysis.largest().items()
    content = {
        "data": selection.data,
        "checksum": catalogue.checksum(selection.data),
        "frames": selection.title,
        "notes": list(notes),
        "training_fraction": (selection.seen == "train").mean() if known else None,
        "errors": analysis.errors(),
        "metrics": measured,
        "elements": analysis.elements(),
        "largest": {name: _records(rows.drop(columns="row")) for name, rows in largest},
        "uncertainty": analysis.uncertainty(),
        "sum_of_atomic_energies_error_ev": analysis.predictions.sum_error,
    }
    tables = {
        "time_series": analysis.series.drop(columns="row"),
        "atomic_energies": analysis.atoms,
        "neighbours": analysis.neighbours(request.steps).drop(columns="row", errors="ignore"),
    }
    return write(target, "evaluation", request.folders, content, tables)


def _records(rows: pd.DataFrame) -> list[Any]:
    """For JSON, which has no NaN: None where nothing was labelled."""
    return rows.astype(object).where(rows.notna(), None).to_dict("records")
