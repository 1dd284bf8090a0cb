"""`bench results`: runs as a table that travels, and folders of runs from one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepset_bench.cli.arguments import RunsDir
from deepset_bench.cli.plain import PLAIN

app = typer.Typer(**PLAIN, help="Export runs as a table; import them again.")


@app.command("export")
def export_(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME|OVERRIDE]... FILE",
            help="Which runs: studies, sweeps, numbers of tables, overrides (default: all); then "
            "the file to write (.csv, .csv.gz or .parquet).",
            show_default=False,
        ),
    ],
    runs_dir: RunsDir = None,
) -> None:
    """Write runs as a table, one row per run, and their epochs as a second table.

    Example: bench results export results.csv, then bench tables --results results.csv.
    """
    from deepset_bench.study.results_command import export

    export(words[:-1], Path(words[-1]), runs_dir)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A table that bench results export wrote.")],
    runs_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the runs (default: the name of the table without its ending)."
        ),
    ] = None,
) -> None:
    """Make run folders (without checkpoints) from a table; existing runs are kept."""
    from deepset_bench.study.results_command import import_

    import_(file, runs_dir)
