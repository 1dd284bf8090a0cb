"""The command line: a few lines a command, no logic, and nothing heavy imported early."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from deepset_bench import (
    cli_completion,
    cli_data,
    cli_export,
    cli_log,
    cli_results,
    cli_study,
    cli_time,
    grammar,
    surroundings,
)
from deepset_bench.cli_help import PLAIN
from deepset_bench.cli_words import asked, conditions, each_once
from deepset_bench.errors import UserError
from deepset_bench.files import resource
from deepset_bench.groups import groups
from deepset_bench.registry import ENVIRONMENT
from deepset_bench.surroundings import say
from deepset_bench.sweep import folders

app = typer.Typer(
    **PLAIN,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_study.app, name="study", help="Make, check, register and list studies.")
app.add_typer(cli_data.app, name="data", help="List, show, check, import, fetch and generate data.")
app.add_typer(cli_log.app, name="log", help="Send what W&B has recorded offline.")
app.add_typer(cli_results.app, name="results", help="Export runs as a table; import them again.")

INTERRUPTED = 130  # what a shell expects of a command ended by Ctrl-C
# The shipped options alone: help is for everyone, whatever their home folder holds or forbids.
GROUPS = "\n\n".join(
    ["Groups and their options, e.g. scalars=cub_sqrt (data= also takes imported sets):"]
    + [f"{group}: {', '.join(options)}" for group, options in groups([resource("conf")]).items()]
    + [
        "runs_dir=, data=, condition= and stack= may also be written --runs-dir, --data, "
        "--condition and --stack."
    ]
)
Unit = Annotated[
    Literal["hartree", "mev"], typer.Option(help="hartree and bohr, or meV and angstrom.")
]
Condition = Annotated[
    str,
    typer.Option(
        help="Conditions to show, separated by commas (default: those of the study).",
        autocompletion=cli_completion.conditions,
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
            help="A Python file with variants of your own; may also follow the command, or be in "
            "BENCH_VARIANTS."
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Train variants of neural-network potentials for molecules and compare their errors."""
    if variants:
        # For the processes that a sweep starts, too.
        os.environ[ENVIRONMENT] = os.pathsep.join(str(file.absolute()) for file in variants)


@app.command(epilog=GROUPS)
def train(
    overrides: Overrides = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete an earlier run and train again.")
    ] = False,
) -> None:
    """Train one variant with one seed; resume it if it was interrupted.

    Examples: bench train trainer.epochs=20; bench train data=NAME. bench data list prints names.
    """
    from deepset_bench.config import experiment
    from deepset_bench.console import Console
    from deepset_bench.sweep.registered import carried_by
    from deepset_bench.training import progress
    from deepset_bench.training.train import train

    console = Console()
    each_once(overrides)
    wanted = experiment(overrides or []).seeds()
    epochs = wanted[0].config.trainer.epochs
    with _stoppable(), progress.live_progress(console, epochs) as on_epoch:
        outcomes = train(
            wanted,
            fresh=fresh,
            registered=carried_by(folders.stood_in(), wanted[0].config.runs_dir),
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
            help="Overrides; where some have several values (a,b or range() or glob()), every "
            "combination is trained. Also one study or sweep file, e.g. sweeps/quick.yaml. "
            "Default: the study in this folder, if there is one.",
            autocompletion=cli_completion.trained,
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Train with seeds 0 to SEEDS - 1.")
    ] = None,
    until: Annotated[
        Literal["decided"] | None,
        typer.Option(
            help="Add seeds look by look, to rows whose comparisons are open, until tables and "
            "claims are decided (docs/deciding.md); SEEDS at most.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="With --until: no look begins that would take longer than this, e.g. 6h or 90min."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at the same time (default: one per GPU, else per core)."),
    ] = None,
    stack: Annotated[
        str, typer.Option(help="Seeds to train together as one model: auto (on a GPU only), or N.")
    ] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the runs and estimate the time.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="With --dry-run: one line of JSON per run, with the command that trains it.",
        ),
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait",
            help="Whether to wait for runs that other processes train, once none is left to start.",
        ),
    ] = True,
    print_sbatch: Annotated[
        bool,
        typer.Option(
            "--print-sbatch",
            help="With executor=slurm: only print the script that would be submitted.",
        ),
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Delete and repeat runs whose data or variant has changed since; keep those that "
            "are done and still valid.",
        ),
    ] = False,
) -> None:
    """Train every combination, then print its table.

    Runs that are done are not repeated; interrupted runs are resumed. executor=slurm submits them.
    """
    from deepset_bench.sweep.executors.chosen import apart

    each_once(runs)
    where, words = apart(runs or [])
    well: bool | None
    with _stoppable():
        if until:
            from deepset_bench.study.until import sweep_until_decided

            if as_json:
                raise UserError("--json lists all runs; --until decided chooses them look by look")
            how = jobs, stack, where
            well = sweep_until_decided(
                words, seeds, budget, *how, dry_run=dry_run, fresh=fresh, wait=wait
            )
        elif budget:
            raise UserError(f"--budget {budget}: is for --until decided")
        else:
            from deepset_bench.sweep import sweep_command as command

            shown = command.Shown(dry_run, as_json, print_sbatch)
            how = jobs, stack, where
            well = command.sweep(words, seeds, *how, shown, fresh=fresh, wait=wait)
    if dry_run and not as_json:
        from deepset_bench.study.plan_command import brief

        brief(words, seeds, looked=until is not None)
    elif well is not None and not dry_run:
        from deepset_bench.study.tables_command import after_sweep

        after_sweep(words)
    if well is False:
        raise typer.Exit(1)


@app.command("plan")
def plan_(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study or sweep, and overrides; or the overrides that you would give to bench "
            "sweep. Default: the study in this folder, else the case study.",
            autocompletion=cli_completion.trained,
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


@app.command()
def status(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="Which runs: overrides, a sweep, or folders of runs. Default: all.",
            autocompletion=cli_completion.kept,
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per run.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until none of them is queued or running.")
    ] = False,
    runs_dir: Results = None,
) -> None:
    """List runs: queued, running, interrupted, done, failed or diverged, and why.

    Runs that were submitted to Slurm also say how they stand there.
    """
    from deepset_bench.sweep import sweep_command as command

    each_once(wanted)
    command.status(wanted or [], runs_dir, as_json=as_json, watch=watch)


@app.command()
def cancel(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="Which runs: overrides, a sweep, or folders of runs. Default: all.",
            autocompletion=cli_completion.kept,
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """End the tasks of Slurm that train, or will train, these runs; checkpoints are kept."""
    from deepset_bench.sweep.submit import cancel as end

    each_once(wanted)
    end(wanted or [], runs_dir)


@app.command()
def rm(
    wanted: Annotated[
        list[str],
        typer.Argument(
            help="Which runs: overrides, a sweep, or folders of runs.",
            autocompletion=cli_completion.kept,
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Delete runs from disk, after listing them and asking."""
    from deepset_bench.sweep.removal import remove

    each_once(wanted)
    if not remove(wanted, runs_dir, yes=yes):
        raise typer.Exit(1)


@app.command(epilog=GROUPS)
def config(overrides: Overrides = None) -> None:
    """Print the configuration that a run would have, with all groups and options."""
    from omegaconf import OmegaConf

    from deepset_bench.config import experiment
    from deepset_bench.config_file import as_typed

    each_once(overrides)
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
            help="Run folders; for several seeds, their mean and disagreement are printed. "
            "data=NAME, data.KEY=VALUE or seed= choose other frames than the test frames of the "
            "run; device= chooses where to compute. scan=torsion,bond,pair follows the energy "
            "along a path instead; scan=torsion:0-1-2-3, torsion:C-O, bond:0-1, angle:0-1-2 or "
            "pair:0-3 names the atoms (counted from 0).",
            autocompletion=cli_completion.evaluated,
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


@app.command()
def check(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a trained run.", autocompletion=cli_completion.runs),
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


app.command("export")(cli_export.export)
app.command("time")(cli_time.time)


@app.command()
def tables(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to show: a study, a sweep (name or file), the number of a table, or "
            "'claims'; or the overrides that you gave to bench sweep. Default: the study in "
            "this folder, else the case study.",
            autocompletion=cli_completion.trained,
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


@app.command()
def figures(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study or its sweeps; names of its figures (7 means figure_7); overrides that "
            "the runs were made with. Default: all figures of the study in this folder, else of "
            "the case study.",
            autocompletion=cli_completion.drawn,
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


@app.command()
def report(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study or its sweeps; or the overrides that you gave to bench sweep. Default: "
            "the study in this folder, else the case study.",
            autocompletion=cli_completion.trained,
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


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGUSR1 and SIGTERM stop training with a checkpoint, and say so by the exit status."""
    from deepset_bench.training import stopping

    with stopping.listening():
        try:
            yield
        except stopping.Stopped:
            say("stopped on request, with a checkpoint; the same command goes on", error=True)
            raise typer.Exit(stopping.REQUEUE) from None


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
            say("interrupted; the same command resumes where it stopped", error=True)
        raise
    except Exception as error:
        line = surroundings.failure(error)
        if line is None:
            raise
        surroundings.close_output()
        if not isinstance(error, BrokenPipeError):
            say(f"error: {UserError(' '.join(line.splitlines()))}", error=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
