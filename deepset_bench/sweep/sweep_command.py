"""`bench sweep` and `bench status`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.text import Text

from deepset_bench.console import Console
from deepset_bench.errors import UserError
from deepset_bench.holding import elsewhere, try_locks
from deepset_bench.overrides import last_of_each
from deepset_bench.record import RunRecord, RunRecords
from deepset_bench.results.opening import opened
from deepset_bench.runs import runs_root
from deepset_bench.surroundings import say
from deepset_bench.sweep import estimate, submit
from deepset_bench.sweep import overview as display
from deepset_bench.sweep.execute import Sweep
from deepset_bench.sweep.executors import chosen as executors
from deepset_bench.sweep.executors.executor import Executor, Share, Submitting
from deepset_bench.sweep.executors.slurm_states import with_slurm
from deepset_bench.sweep.listed import listed
from deepset_bench.sweep.plan import Plan, Run, plan, trainable
from deepset_bench.sweep.status import Standing, standing
from deepset_bench.training import stopping

_PAUSE = 5.0  # seconds between two looks at runs that are watched: controllers serve many


@dataclass(frozen=True)
class Shown:
    """What of a sweep is shown instead of training it.

    Attributes:
        dry_run: the runs, and how long they take.
        as_json: of them one object of JSON a run.
        sbatch: what would be submitted to Slurm.
    """

    dry_run: bool = False
    as_json: bool = False
    sbatch: bool = False


def sweep(
    arguments: Sequence[str],
    seeds: int | None,
    jobs: int | None,
    stack: str,
    where: Sequence[str],
    shown: Shown,
    *,
    fresh: bool = False,
    wait: bool = True,
) -> bool | None:
    """Train every run that the arguments list, or have them trained.

    Returns whether none failed or diverged; None where they were only listed or submitted.

    Args:
        arguments: see `plan`.
        seeds: see `plan`.
        jobs: how many at once; None chooses.
        stack: most seeds of a variant in one job; `auto` chooses.
        where: words that choose the executor.
        shown: what is shown instead.
        fresh: see `Sweep`.
        wait: see `Sweep`.

    Raises:
        Stopped: this process was asked to stop.
        UserError: nothing is trained: an argument cannot be used, or a device is missing.
    """
    if shown.as_json and not shown.dry_run:
        raise UserError("--json lists the runs, so it needs --dry-run")
    make = share(jobs, stack, where)
    console = Console()
    planned, missing = trainable(plan(arguments, seeds))
    chosen = make(planned.runs)
    if shown.sbatch and not isinstance(chosen, Submitting):
        raise UserError("--print-sbatch is for executor=slurm")
    if shown.as_json:
        for run in planned.runs:
            say(json.dumps(_described(run, fresh=fresh)))
        return None
    if planned.title and not shown.sbatch:
        console.print(planned.title)
    for line in missing:
        console.print(Text(line), soft_wrap=True)
    if shown.dry_run:
        show(console, planned, chosen, fresh=fresh)
        return None
    if isinstance(chosen, Submitting):
        submit.submit(planned, chosen, arguments, fresh=fresh, only_print=shown.sbatch)
        return None
    return train(console, planned.name, planned.runs, chosen, fresh=fresh, wait=wait)


def share(
    jobs: int | None, stack: str, where: Sequence[str]
) -> Callable[[Sequence[Run]], Executor[Any] | Submitting]:
    """What makes the executor of runs, as a person asks for it.

    Args:
        jobs: how many at once; None chooses.
        stack: most seeds of a variant in one job; `auto` chooses.
        where: words that choose the executor.

    Raises:
        UserError: there is no such executor, or `stack` is no number.
    """
    if stack != "auto" and not (stack.isdecimal() and int(stack) > 0):
        raise UserError(f"--stack {stack}: give auto or a number from 1 on")
    make, settings = executors.chosen(where)
    return lambda runs: make(runs, jobs, None if stack == "auto" else int(stack), settings)


def watched(
    jobs: int | None, stack: str, where: Sequence[str]
) -> Callable[[Sequence[Run]], Executor[Any]]:
    """The same, of an executor whose runs end while a person watches.

    Raises:
        UserError: it is another one; see also `share`.
    """
    make = share(jobs, stack, where)

    def made(runs: Sequence[Run]) -> Executor[Any]:
        executor = make(runs)
        if isinstance(executor, Submitting):
            raise UserError(
                f"{' '.join(where)}: returns before its runs end, and --until decided looks at "
                "them when they have; give it to a job of your own with executor=local"
            )
        return executor

    return made


def train(
    console: Console,
    name: str,
    runs: Sequence[Run],
    chosen: Executor[Any],
    *,
    fresh: bool,
    wait: bool,
) -> bool:
    """Train runs while a person watches; returns whether none failed or diverged.

    Args:
        console: of the person.
        name: of the group of runs in W&B.
        runs: see `Sweep`.
        chosen: where they are trained.
        fresh: see `Sweep`.
        wait: see `Sweep`.
    """
    if said := try_locks(runs_root(runs[0].experiment.config.runs_dir)):
        console.print(said, soft_wrap=True)
    running = Sweep(runs, chosen, name, fresh=fresh, wait=wait)
    with display.watching(console, running) as watch:
        running.execute(watch)
    if running.stopping:
        raise stopping.Stopped
    return _report(console, running)


def status(
    words: Sequence[str], runs_dir: str | Path | None, *, as_json: bool, watch: bool = False
) -> None:
    """Print the runs that the words mean, by data and condition; or one object of JSON a run.

    Args:
        words: see `listed`.
        runs_dir: where the runs are, or a table of them; None as for `bench train`.
        as_json: whether to print JSON.
        watch: whether to go on until none of them is queued or running.

    Raises:
        UserError: see `listed`.
    """
    runs = opened(runs_dir)
    console = Console()
    if watch:
        # To stop watching, people press Ctrl-C, which ends nothing else.
        with suppress(KeyboardInterrupt), display.redrawn(console) as redraw:
            while True:
                rows = [(_below(one.path, runs.root), s) for one, s in _standings(words, runs)]
                redraw(rows)
                if not any(stands.state in ("queued", "running") for _, stands in rows):
                    break
                time.sleep(_PAUSE)
        return
    found = _standings(words, runs)
    if as_json:
        for run, stands in found:
            say(json.dumps(display.facts(_below(run.path, runs.root), stands)))
        return
    for home, group in groupby(found, key=lambda one: one[0].path.parents[1]):
        console.print(Text(_below(home, runs.root), "bold"), soft_wrap=True)
        display.show_rows(console, [(str(f.path.relative_to(home)), stands) for f, stands in group])
    console.print(display.counts([stands for _, stands in found]))


def _standings(words: Sequence[str], runs: RunRecords) -> list[tuple[RunRecord, Standing]]:
    """The runs that the words mean, and where they stand."""
    found = with_slurm([(run, standing(run)) for run in listed(words, runs)], runs.root)
    return [
        (run, replace(stands, node=elsewhere(run.path)) if stands.state == "running" else stands)
        for run, stands in found
    ]


def _below(path: Path, root: Path) -> str:
    """Its path below the runs folder, where it is there."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _planned(run: Run, *, fresh: bool) -> Standing:
    """How a run of a sweep that has not begun stands."""
    epochs = run.experiment.config.trainer.epochs
    if not run.is_taken:
        return standing(run.folder, epochs)
    if fresh:
        return Standing("queued", epochs=epochs)
    return Standing("failed", run.folder.occupied(run.experiment, run.checksums), epochs=epochs)


def _described(run: Run, *, fresh: bool) -> dict[str, Any]:
    """A run for other programs: what `bench status --json` says of it, and how to train it."""
    return {
        **display.facts(run.name, _planned(run, fresh=fresh)),
        "folder": str(run.folder.path),
        "overrides": last_of_each(run.overrides),
        "command": run.command,
    }


def show(
    console: Console,
    planned: Plan,
    chosen: Share,
    *,
    fresh: bool,
    paces: Mapping[Path, estimate.Paces] | None = None,
) -> None:
    """List runs, where they stand and how long those that are not done will take.

    Args:
        console: of the person.
        planned: the runs.
        chosen: where they would be trained.
        fresh: see `Sweep`.
        paces: see `estimate.seconds`.
    """
    names = display.called(planned.runs)
    display.show_runs(console, [(names[run], _planned(run, fresh=fresh)) for run in planned.runs])
    if planned.repeated:
        console.print(f"asked for more than once: {planned.repeated}")
    seconds = estimate.seconds(planned.runs, chosen, paces, fresh)
    console.print(f"{chosen.jobs} at once; time: {display.about(seconds)}")


def _report(console: Console, ended: Sweep) -> bool:
    """Print what did not end well; returns whether everything did."""
    unwell = {r: s for r, s in ended.ended.items() if s.state in ("failed", "diverged")}
    names = display.called(ended.runs)
    for run, stands in unwell.items():
        text = f"{stands.state} {names[run]}: {stands.reason}; see {run.folder.log}"
        console.print(text, soft_wrap=True)
    return not unwell
