"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from deepset_bench.cli import completion

Unit = Annotated[
    Literal["hartree", "mev"], typer.Option(help="hartree and bohr, or meV and angstrom.")
]
Condition = Annotated[
    str,
    typer.Option(
        help="Conditions to show, separated by commas (default: those of the study).",
        autocompletion=completion.conditions,
    ),
]
DataName = Annotated[str | None, typer.Option(help="Show runs that were trained on this set.")]
RunsDir = Annotated[
    Path | None, typer.Option(help="Folder of the runs (default: as in bench train).")
]
Results = Annotated[
    Path | None,
    typer.Option(
        "--runs-dir",
        "--results",
        help="Folder of the runs (default: as in bench train), or a table that bench results "
        "export wrote.",
    ),
]
Runs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Which runs: overrides, a sweep, or folders of runs. Default: all.",
        autocompletion=completion.kept,
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="group=option or key=value, in Hydra's grammar.",
        autocompletion=completion.overrides,
        show_default=False,
    ),
]
