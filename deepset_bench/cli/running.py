"""Commands that train, and that look after what is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from deepset_bench.cli import completion
from deepset_bench.cli.arguments import Overrides, Results, Runs, RunsDir
from deepset_bench.cli.asked_for import each_once
from deepset_bench.errors import UserError
from deepset_bench.groups import groups
from deepset_bench.surroundings import say
from deepset_bench.sweep import folders


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


def sweep(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Overrides; where some have several values (a,b or range() or glob()), every "
            "combination is trained. Also one study or sweep file, e.g. sweeps/quick.yaml. "
            "Default: the study in this folder, if there is one.",
            autocompletion=completion.trained,
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
            if print_sbatch:
                raise UserError("--print-sbatch is for executor=slurm, --until decided is not")
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


def status(
    wanted: Runs = None,
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


def cancel(
    wanted: Runs = None,
    runs_dir: RunsDir = None,
) -> None:
    """End the tasks of Slurm that train, or will train, these runs; checkpoints are kept."""
    from deepset_bench.sweep.submit import cancel as end

    each_once(wanted)
    end(wanted or [], runs_dir)


def rm(
    wanted: Annotated[
        list[str],
        typer.Argument(
            help="Which runs: overrides, a sweep, or folders of runs.",
            autocompletion=completion.kept,
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
