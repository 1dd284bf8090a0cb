"""Commands that take a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from deepset_bench.cli import completion
from deepset_bench.cli.arguments import RunsDir, Unit
from deepset_bench.cli.asked_for import each_once


def evaluate(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|OVERRIDE",
            help="Run folders; for several seeds, their mean and disagreement are printed. "
            "data=NAME, data.KEY=VALUE or seed= choose other frames than the test frames of the "
            "run; device= chooses where to compute. scan=torsion,bond,pair follows the energy "
            "along a path instead; scan=torsion:0-1-2-3, torsion:C-O, bond:0-1, angle:0-1-2 or "
            "pair:0-3 names the atoms (counted from 0).",
            autocompletion=completion.evaluated,
        ),
    ],
    unit: Unit = "hartree",
    steps: Annotated[
        str | None, typer.Option(help="Steps of the time series to print (default: 5,15,40).")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metrics to measure and add to the results of these runs."),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Test a trained run: errors, time series, atomic energies; or its energy along a scan."""
    from deepset_bench.evaluation import evaluate_command as command

    each_once(arguments)
    command.evaluate(arguments, unit, steps, metric or (), runs_dir)


def check(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a trained run.", autocompletion=completion.runs),
    ],
    json: Annotated[Path | None, typer.Option(help="Write the findings to this file.")] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Check a trained model: invariance, cutoff, unread keys; exit status 1 for a defect."""
    from deepset_bench.checks.check_command import show_findings
    from deepset_bench.evaluation.check import check_run
    from deepset_bench.runs import named_run

    if not show_findings(str(run), check_run(named_run(run, runs_dir).path), json):
        raise typer.Exit(1)


def export(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a trained run.", autocompletion=completion.runs),
    ],
    file: Annotated[Path, typer.Argument(help="The file to write (.pt2; for metatomic .pt).")],
    form: Annotated[
        Literal["pt2", "metatomic"],
        typer.Option(
            "--format",
            help="pt2: compiled, for C++ and for this program. metatomic: TorchScript for LAMMPS, "
            "i-PI, PLUMED and torch-sim, of networks whose atoms see their neighbours alone "
            "(needs the extra export).",
        ),
    ] = "pt2",
    precision: Annotated[
        Literal["float32", "float64"],
        typer.Option(help="What it computes in: float32, as in training, or float64."),
    ] = "float32",
    runs_dir: RunsDir = None,
) -> None:
    """Write a trained run as one file that other programs load, and MODEL_CARD.md beside it.

    The file holds compiled code that C++ loads without Python, the program that other processors
    compile again, and what the potential is and is not for. Before it is written, it is compared
    with the run on the run's own test frames.

    Example: bench export runs/but-2-ene/corrected/baseline/seed-0 model.pt2
    """
    from deepset_bench.export.export_command import export

    export(run, file, form, precision, runs_dir)
