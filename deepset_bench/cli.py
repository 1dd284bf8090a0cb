"""The command line: a few lines a command, no logic, and nothing heavy imported early."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from deepset_bench import (
    cli_completion,
    cli_data,
    cli_results,
    cli_study,
    grammar,
    surroundings,
)
from deepset_bench.errors import UserError
from deepset_bench.files import resource
from deepset_bench.groups import groups, is_override
from deepset_bench.registry import ENVIRONMENT
from deepset_bench.surroundings import say
from deepset_bench.sweep import folders

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_study.app, name="study", help="Make, check and list studies.")
app.add_typer(cli_data.app, name="data", help="List, show, check, import, fetch and generate data.")
app.add_typer(cli_results.app, name="results", help="Results as a table: export and import.")

INTERRUPTED = 130  # what a shell expects of a command ended by Ctrl-C
# The shipped options alone: help is for everyone, whatever their home folder holds or forbids.
GROUPS = "\n\n".join(
    ["Groups and their options, as in scalars=cub_sqrt (data= takes imported sets, too):"]
    + [f"{group}: {', '.join(options)}" for group, options in groups([resource("conf")]).items()]
    + [
        "Every command to which they mean something takes runs_dir=, data=, condition= and stack=, "
        "and takes --runs-dir, --data, --condition and --stack for the same."
    ]
)
Unit = Annotated[
    Literal["hartree", "mev"], typer.Option(help="hartree and bohr, or meV and angstrom.")
]
Condition = Annotated[
    str,
    typer.Option(
        help="Conditions to show, with commas between (default: the study's).",
        autocompletion=cli_completion.conditions,
    ),
]
DataName = Annotated[str | None, typer.Option(help="The set that runs were trained on.")]
RunsDir = Annotated[Path | None, typer.Option(help="Where the runs are (default: as bench train).")]
Results = Annotated[
    Path | None,
    typer.Option(
        "--runs-dir",
        "--results",
        help="Folder of the runs (default: as bench train), or a table of bench results export.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="group=option or key=value, in Hydra's grammar.",
        autocompletion=cli_completion.overrides,
        show_default=False,
    ),
]


def _version(asked: bool) -> None:
    if asked:
        say("\n".join(f"{name} {version}" for name, version in surroundings.versions().items()))
        raise typer.Exit


@app.callback(epilog=GROUPS)
def bench(
    variants: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of variants of your own; also behind the command, or in BENCH_VARIANTS."
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which, and end."),
    ] = False,
) -> None:
    """Train variants of a DeepSet interatomic potential and compare them honestly."""
    if variants:
        # For the processes that a sweep starts, too.
        os.environ[ENVIRONMENT] = os.pathsep.join(str(file.absolute()) for file in variants)


@app.command(epilog=GROUPS)
def train(
    overrides: Overrides = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier run.")] = False,
) -> None:
    """Train one variant with one seed; go on if it was interrupted.

    For instance: bench train trainer.epochs=20, or bench train data=NAME with NAME from
    bench data list.
    """
    from deepset_bench.config import experiment
    from deepset_bench.console import Console
    from deepset_bench.training import progress
    from deepset_bench.training.train import train

    console = Console()
    _each_once(overrides)
    wanted = experiment(overrides or []).seeds()
    with progress.live_progress(console, wanted[0].config.trainer.epochs) as on_epoch:
        outcomes = train(
            wanted,
            fresh=fresh,
            on_start=lambda folder, setup: progress.announce(console, folder, setup),
            on_epoch=lambda _, row: on_epoch(row),
            on_note=lambda _, line: console.print(line, soft_wrap=True),
        )
    for outcome in outcomes:
        progress.show_outcome(console, outcome)
    if any(outcome.result["status"] != "done" for outcome in outcomes):
        raise typer.Exit(1)


@app.command(epilog=GROUPS)
def sweep(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Overrides, of which each with several values (a,b or range or glob) is an axis; "
            "and at most one study or sweep, as in sweeps/quick.yaml. Default: the study in this "
            "folder, if there is one.",
            autocompletion=cli_completion.trained,
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Run seeds 0 to SEEDS - 1.")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes at once (default: one a GPU, else one a core)."),
    ] = None,
    stack: Annotated[
        str, typer.Option(help="Seeds trained as one model: auto (on CUDA alone) or a number.")
    ] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the runs and estimate the time.")
    ] = False,
    executor: Annotated[
        str, typer.Option(help="Where runs are trained: local, as processes of this machine.")
    ] = "local",
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Forget runs of other data or of a variant as it was before a change; what is "
            "done as asked for stays.",
        ),
    ] = False,
) -> None:
    """Train every combination, then print its table.

    What is done is not repeated, what was interrupted goes on.
    """
    from deepset_bench.sweep import sweep_command as command

    _each_once(runs)
    well = command.sweep(runs or [], seeds, jobs, stack, dry_run, executor, fresh=fresh)
    if not dry_run:
        from deepset_bench.study.tables_command import after_sweep

        after_sweep(runs or [])
    if not well:
        raise typer.Exit(1)


@app.command()
def status(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="Overrides that runs were made with, a sweep, or folders of runs. Default: every "
            "run.",
            autocompletion=cli_completion.kept,
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON a run.")] = False,
    runs_dir: Results = None,
) -> None:
    """What is queued, running, interrupted, done, failed, diverged, and why."""
    from deepset_bench.sweep import sweep_command as command

    _each_once(wanted)
    command.status(wanted or [], runs_dir, as_json=as_json)


@app.command()
def rm(
    wanted: Annotated[
        list[str],
        typer.Argument(
            help="As bench status takes it: folders of runs, a sweep, or overrides.",
            autocompletion=cli_completion.kept,
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Remove runs from disk; says which, and asks."""
    from deepset_bench.sweep.removal import remove

    _each_once(wanted)
    if not remove(wanted, runs_dir, yes=yes):
        raise typer.Exit(1)


@app.command(epilog=GROUPS)
def config(overrides: Overrides = None) -> None:
    """Print the composed configuration, the groups and their options."""
    from omegaconf import OmegaConf

    from deepset_bench.config import experiment
    from deepset_bench.config_file import as_typed

    _each_once(overrides)
    wanted = experiment(overrides or [])
    say(OmegaConf.to_yaml(OmegaConf.create(as_typed(wanted.config))))
    for group, options in groups().items():
        chosen = wanted.choices.get(group)
        say(f"# {group}: {', '.join(f'[{o}]' if o == chosen else o for o in options)}")


@app.command()
def evaluate(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|OVERRIDE",
            help="Run folders (several seeds: their mean and disagreement); data=NAME or "
            "data.KEY=VALUE and seed= for other frames than the run's own test frames; device=; "
            "scan=torsion,bond,pair for continuity along a path instead, or scan=torsion:0-1-2-3, "
            "torsion:C-O, bond:0-1, angle:0-1-2, pair:0-3 (atoms are counted from 0).",
            autocompletion=cli_completion.evaluated,
        ),
    ],
    unit: Unit = "hartree",
    steps: Annotated[
        str | None, typer.Option(help="Of the time series, for Tables 8 to 10 (default: 5,15,40).")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Names of metrics, to measure and add to the results of these runs."),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """A trained run on frames: errors, time series, atomic energies; or along a scan."""
    from deepset_bench.evaluation import evaluate_command as command

    _each_once(arguments)
    command.evaluate(arguments, unit, steps, metric or (), runs_dir)


@app.command()
def check(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a trained run.", autocompletion=cli_completion.runs),
    ],
    json: Annotated[Path | None, typer.Option(help="Write the findings to this file.")] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Examine a trained model: invariance, cutoff, unread keys; exit status 1 for a defect."""
    from deepset_bench.checks.check_command import show_findings
    from deepset_bench.evaluation.check import check_run
    from deepset_bench.runs import named_run

    if not show_findings(str(run), check_run(named_run(run, runs_dir).path), json):
        raise typer.Exit(1)


@app.command()
def tables(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="Studies, names or files of sweeps, numbers of tables, 'claims'; overrides that "
            "the runs were made with, or axes, as typed behind bench sweep. Default: the study in "
            "this folder, else the report's.",
            autocompletion=cli_completion.trained,
            show_default=False,
        ),
    ] = None,
    condition: Condition = "",
    unit: Unit = "hartree",
    style: Annotated[
        Literal["terminal", "markdown", "latex", "csv"], typer.Option("--format", help="As what.")
    ] = "terminal",
    part: Annotated[
        Literal["mean", "test", "val", "all"],
        typer.Option(help="Frames: mean of test and val, as the report ranks, or each."),
    ] = "mean",
    out: Annotated[
        Path | None, typer.Option(help="Folder for files, one a table, instead of printing.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Names of metrics to show, with commas between: energy_rmse,forces_p95."),
    ] = None,
    data: DataName = None,
    runs_dir: Results = None,
) -> None:
    """The tables of a study from the runs on disk, and whether its claims hold."""
    from deepset_bench.study.collect import Where
    from deepset_bench.study.tables_command import show

    given = _each_once([*(wanted or []), *([f"data={data}"] if data else [])])
    names = [text for text in wanted or [] if not is_override(text)]
    where = Where(tuple(given), runs_dir)
    show(names, _conditions(condition), unit, style, part, out, where, metric or ())


@app.command()
def figures(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study, or sweeps of one; names of its figures (7 is figure_7); "
            "overrides that the runs were made with. Default: every figure of the study in this "
            "folder, else of the report.",
            autocompletion=cli_completion.drawn,
            show_default=False,
        ),
    ] = None,
    condition: Condition = "",
    unit: Unit = "hartree",
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("figures"),
    runs_dir: Results = None,
) -> None:
    """A study's figures from the runs on disk: PDF, PNG, interactive HTML, and the caption."""
    from deepset_bench.figures.figures_command import show
    from deepset_bench.study.collect import Where

    given = tuple(_each_once(wanted))
    names = [text for text in wanted or [] if not is_override(text)]
    show(names, _conditions(condition), unit, out, Where(given, runs_dir))


@app.command()
def report(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study, or sweeps of one; overrides that the runs were made with, or axes. "
            "Default: the study in this folder, else the report's.",
            autocompletion=cli_completion.trained,
            show_default=False,
        ),
    ] = None,
    condition: Condition = "",
    unit: Unit = "hartree",
    out: Annotated[Path, typer.Option(dir_okay=False, help="The file.")] = Path("report.html"),
    data: DataName = None,
    runs_dir: Results = None,
) -> None:
    """The answer, claims, data, tables, figures and where numbers are from: one HTML page."""
    from deepset_bench.page.report_command import show
    from deepset_bench.study.collect import Where

    given = _each_once([*(wanted or []), *([f"data={data}"] if data else [])])
    names = [text for text in wanted or [] if not is_override(text)]
    show(names, _conditions(condition), out, unit, Where(tuple(given), runs_dir))


def _conditions(text: str) -> list[str]:
    """Those that are asked for; none, or `both`, for the study's."""
    return [] if text == "both" else [name for name in text.split(",") if name]


def _each_once(words: list[str] | None) -> list[str]:
    """The overrides among a command's words; two that contradict each other are a mistake."""
    from deepset_bench.overrides import check_once

    typed = [text for text in words or [] if is_override(text)]
    check_once(typed)
    return typed


def main() -> None:
    """Run the command line.

    A user's mistake is one line and exit status 2, a failure of the machine one and 1.
    """
    try:
        surroundings.prepare()
        try:
            folders.enter(sys.argv[1:])
            commands = typer.main.get_command(app)
            words = grammar.uniform(sys.argv[1:], commands)
            cli_completion.complete(lambda: commands(words))
        finally:
            if sys.stdout is not None:  # not when Python ends, which nobody could catch
                sys.stdout.flush()
    except UserError as error:
        say(f"error: {' '.join(str(error).splitlines())}", error=True)
        sys.exit(2)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            say("interrupted; the same command goes on where it stopped", error=True)
        raise
    except Exception as error:
        line = surroundings.failure(error)
        if line is None:
            raise
        surroundings.close_output()
        if not isinstance(error, BrokenPipeError):
            say(f"error: {line}", error=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
