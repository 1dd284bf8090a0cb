"""The command line: a few lines a command, no logic, and nothing heavy imported early."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deepset_bench import grammar, registry, surroundings
from deepset_bench.cli import (
    completion,
    data_group,
    log_group,
    potentials,
    results_group,
    running,
    showing,
    study_group,
)
from deepset_bench.cli.plain import PLAIN, refused
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
app.add_typer(study_group.app, name="study", help="Make, check, register and list studies.")
app.add_typer(
    data_group.app, name="data", help="List, show, check, import, fetch and generate data."
)
app.add_typer(log_group.app, name="log", help="Send what W&B has recorded offline.")
app.add_typer(results_group.app, name="results", help="Export runs as a table; import them again.")

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


# In the order in which help lists them; the groups' options follow where overrides are taken.
app.command(epilog=GROUPS)(running.train)
app.command(epilog=GROUPS)(running.sweep)
app.command()(showing.plan)
app.command()(running.status)
app.command()(running.cancel)
app.command()(running.rm)
app.command(epilog=GROUPS)(running.config)
app.command()(potentials.evaluate)
app.command()(potentials.check)
app.command()(potentials.export)
app.command()(showing.time)
app.command()(showing.tables)
app.command()(showing.figures)
app.command()(showing.report)


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
            completion.complete(
                lambda: sys.exit(commands(words, prog_name="bench", standalone_mode=False) or 0)
            )
        finally:
            if sys.stdout is not None:  # not when Python ends, which nobody could catch
                sys.stdout.flush()
    except UserError as error:
        say(f"error: {' '.join(str(error).splitlines())}", error=True)
        sys.exit(2)
    except typer.TyperException as error:
        say(refused(error), error=True)
        sys.exit(2)
    except typer.Abort:
        say("given up; nothing was done", error=True)
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            say("interrupted; the same command resumes where it stopped", error=True)
        raise
    except Exception as error:
        line = surroundings.failure(error)
        if line is None and (fault := registry.fault(error)):
            say(f"error: {UserError(fault)}", error=True)
            sys.exit(2)
        if line is None:
            raise
        surroundings.close_output()
        if not isinstance(error, BrokenPipeError):
            say(f"error: {UserError(' '.join(line.splitlines()))}", error=True)
        sys.exit(1)
