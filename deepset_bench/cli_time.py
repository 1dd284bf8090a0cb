"""`bench time`: how long training steps take, beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepset_bench import cli_completion
from deepset_bench.cli_words import asked, conditions


def time(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to time: a study, sweeps (names or files), numbers of tables; or overrides "
            "with several values, as in gnn=sage,edge. Default: the study in this folder, else "
            "the case study.",
            autocompletion=cli_completion.trained,
            show_default=False,
        ),
    ] = None,
    condition: Annotated[
        str,
        typer.Option(
            help="Conditions to time, separated by commas (default: those of the study).",
            autocompletion=cli_completion.conditions,
        ),
    ] = "",
    rounds: Annotated[
        int, typer.Option(min=1, help="How often each variant has its turn; 6 give an interval.")
    ] = 40,
    steps: Annotated[
        int, typer.Option(min=1, help="Training steps per turn, of which the mean counts.")
    ] = 5,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads (default: as the variants say, else 1)."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps (default: as the variants say).")
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option(
            "--compiled/--eager",
            help="Compile every step that can be, or none (default: as each run would).",
            show_default=False,
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Time training on this set.")] = None,
    runs_dir: Annotated[
        Path | None, typer.Option(help="Folder of the runs (default: as in bench train).")
    ] = None,
) -> None:
    """Time a training step of each variant of a study, all of them in turns in one process.

    In each round every variant has a turn, in random order, on the same frames. The ratio to the
    baseline within a round is what bench tables and claims about time use; it is kept in
    times/NAME.json in the folder of the runs. Use an idle machine if you need the milliseconds.

    Example: bench time table_2 --rounds 20
    """
    from deepset_bench.study.time_command import measure
    from deepset_bench.study.timed_steps import How

    names, where = asked(wanted, data, runs_dir)
    how = How(rounds, steps, threads, device, compiled)
    measure(names, conditions(condition), how, where)
