"""Commands that say what runs say, or could say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from deepset_bench.cli import completion
from deepset_bench.cli.arguments import Condition, DataName, Results, RunsDir, Unit
from deepset_bench.cli.asked_for import asked, conditions


def plan(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study or sweep, and overrides; or the overrides that you would give to bench "
            "sweep. Default: the study in this folder, else the case study.",
            autocompletion=completion.trained,
            show_default=False,
        ),
    ] = None,
    condition: Condition = "",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at the same time (default: as in bench sweep)."),
    ] = None,
    data: DataName = None,
    runs_dir: Results = None,
) -> None:
    """Say what numbers of seeds can show, and how long they take, before anything runs."""
    from deepset_bench.study.plan_command import show

    names, where = asked(wanted, data, runs_dir)
    show(names, conditions(condition), where, jobs)


def time(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to time: a study, sweeps (names or files), numbers of tables; or overrides "
            "with several values, as in gnn=sage,edge. Default: the study in this folder, else "
            "the case study.",
            autocompletion=completion.trained,
            show_default=False,
        ),
    ] = None,
    condition: Annotated[
        str,
        typer.Option(
            help="Conditions to time, separated by commas (default: those of the study).",
            autocompletion=completion.conditions,
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
    runs_dir: RunsDir = None,
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


def tables(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to show: a study, a sweep (name or file), the number of a table, or "
            "'claims'; or the overrides that you gave to bench sweep. Default: the study in "
            "this folder, else the case study.",
            autocompletion=completion.trained,
            show_default=False,
        ),
    ] = None,
    condition: Condition = "",
    unit: Unit = "hartree",
    style: Annotated[
        Literal["terminal", "markdown", "latex", "csv"], typer.Option("--format", help="Format.")
    ] = "terminal",
    part: Annotated[
        Literal["held_out", "ood", "mean", "test", "val", "all"] | None,
        typer.Option(
            help="Errors on which frames; mean: of test and val. Default: ood, frames that a task "
            "asks about, or held_out, all frames that training did not use, where runs have them; "
            "mean beside printed numbers.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write one file per table to this folder instead of printing."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metrics to show, separated by commas, e.g. energy_rmse,forces_p95."),
    ] = None,
    data: DataName = None,
    runs_dir: Results = None,
) -> None:
    """Print the tables of a study from the runs on disk, and whether its claims hold."""
    from deepset_bench.study.tables_command import show

    names, where = asked(wanted, data, runs_dir)
    show(names, conditions(condition), unit, style, part, out, where, metric or ())


def figures(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study or its sweeps; names of its figures (7 means figure_7); overrides that "
            "the runs were made with. Default: all figures of the study in this folder, else of "
            "the case study.",
            autocompletion=completion.drawn,
            show_default=False,
        ),
    ] = None,
    condition: Condition = "",
    unit: Unit = "hartree",
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("figures"),
    runs_dir: Results = None,
) -> None:
    """Draw the figures of a study from the runs on disk: PDF, PNG, HTML and captions."""
    from deepset_bench.figures.figures_command import show

    names, where = asked(wanted, None, runs_dir)
    show(names, conditions(condition), unit, out, where)


def report(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study or its sweeps; or the overrides that you gave to bench sweep. Default: "
            "the study in this folder, else the case study.",
            autocompletion=completion.trained,
            show_default=False,
        ),
    ] = None,
    condition: Condition = "",
    unit: Unit = "hartree",
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="File to write; FILE.md: its words alone.")
    ] = Path("report.html"),
    data: DataName = None,
    runs_dir: Results = None,
) -> None:
    """Write one HTML page: answer, claims, data, tables, figures, and the runs behind them."""
    from deepset_bench.page.report_command import show

    names, where = asked(wanted, data, runs_dir)
    show(names, conditions(condition), out, unit, where)
