"""`bench export`: a trained run as one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from deepset_bench import cli_completion


def export(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a trained run.", autocompletion=cli_completion.runs),
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
    runs_dir: Annotated[
        Path | None, typer.Option(help="Folder of the runs (default: as in bench train).")
    ] = None,
) -> None:
    """Write a trained run as one file that other programs load, and MODEL_CARD.md beside it.

    The file holds compiled code that C++ loads without Python, the program that other processors
    compile again, and what the potential is and is not for. Before it is written, it is compared
    with the run on the run's own test frames.

    Example: bench export runs/but-2-ene/corrected/baseline/seed-0 model.pt2
    """
    from deepset_bench.export.export_command import export

    export(run, file, form, precision, runs_dir)
