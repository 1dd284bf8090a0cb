"""`bench results`: runs as a table that travels, and folders of runs from one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Results as a table: export and import.")


@app.command("export")
def export_(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME|OVERRIDE]... FILE",
            help="The table to write (.csv, .csv.gz or .parquet), behind the studies, sweeps or "
            "numbers of tables whose runs it is to hold, and overrides that they were made with. "
            "Without a name: every run there is.",
            show_default=False,
        ),
    ],
    runs_dir: Annotated[
        Path | None, typer.Option(help="Where the runs are (default: as bench train).")
    ] = None,
) -> None:
    """Write runs as a table, a row each, and their epochs as another beside it.

    For instance: bench results export results.csv, then bench tables --results results.csv.
    """
    from deepset_bench.study.results_command import export

    export(words[:-1], Path(words[-1]), runs_dir)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A table of bench results export.")],
    runs_dir: Annotated[
        Path | None,
        typer.Option(help="Where to put the runs (default: the table's name without its ending)."),
    ] = None,
) -> None:
    """Make folders of runs from a table, without checkpoints; runs that are there stay."""
    from deepset_bench.study.results_command import import_

    import_(file, runs_dir)
