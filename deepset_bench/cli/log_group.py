"""`bench log`: what the loggers of runs have kept."""

from __future__ import annotations

from typing import Annotated

import typer

from deepset_bench.cli import completion
from deepset_bench.cli.arguments import RunsDir
from deepset_bench.cli.plain import PLAIN

app = typer.Typer(**PLAIN, help="Send what W&B has recorded offline.")


@app.callback()
def log() -> None:
    """Send what W&B has recorded offline."""


@app.command()
def sync(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="Which runs: a study, sweeps, overrides or folders (default: all).",
            autocompletion=completion.trained,
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Send the runs that W&B has recorded offline; what was sent is not sent again.

    Runs that died are marked as failed in MLflow, where they are logged there.

    Example: bench log sync my_study
    """
    from deepset_bench.sweep import log_command as command

    command.sync(wanted or [], runs_dir)
