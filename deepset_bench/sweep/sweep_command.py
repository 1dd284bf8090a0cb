"""`bench sweep` and `bench status`."""

from __future__ import annotations

from collections.abc import Sequence

from deepset_bench.console import Console
from deepset_bench.errors import UserError
from deepset_bench.runs import runs_root
from deepset_bench.sweep import estimate
from deepset_bench.sweep import overview as display
from deepset_bench.sweep.execute import Sweep
from deepset_bench.sweep.executors.executor import executor
from deepset_bench.sweep.plan import Plan, plan
from deepset_bench.sweep.status import find, standing


def sweep(
    arguments: Sequence[str],
    seeds: int | None,
    jobs: int | None,
    stack: str,
    dry_run: bool,
    where: str,
    *,
    fresh: bool = False,
) -> bool:
    """Train every run that the arguments list; returns whether none failed or diverged.

    Args:
        arguments: see `plan`.
        seeds: see `plan`.
        jobs: how many at once; None chooses.
        stack: most seeds of a variant in one job; `auto` chooses.
        dry_run: only list the runs.
        where: name of the executor.
        fresh: see `Sweep`.

    Raises:
        UserError: nothing is trained: an argument cannot be used, or a device is missing.
    """
    if stack != "auto" and not (stack.isdecimal() and int(stack) > 0):
        raise UserError(f"--stack {stack}: give auto or a number from 1 on")
    make = executor(where)
    console = Console()
    planned = plan(arguments, seeds)
    chosen = make(planned.runs, jobs, None if stack == "auto" else int(stack))
    if planned.title:
        console.print(planned.title)
    if dry_run:
        _list(console, planned)
        seconds = estimate.seconds(planned.runs, chosen)
        known = "unknown (no run on these data is done)"
        console.print(
            f"{chosen.jobs} at once; time: "
            + (known if seconds is None else f"about {display.duration(seconds)}"),
        )
        return True
    running = Sweep(planned.runs, chosen, planned.name, fresh=fresh)
    with display.watching(console, running) as watch:
        running.execute(watch)
    return _report(console, running)


def status(runs_dir: str | None) -> None:
    """Print every run below the runs folder."""
    root = runs_root(runs_dir)
    rows = [(str(f.path.relative_to(root)), standing(f)) for f in find(root)]
    display.show_runs(Console(), rows)


def _list(console: Console, planned: Plan) -> None:
    epochs = [run.experiment.config.trainer.epochs for run in planned.runs]
    pairs = zip(planned.runs, epochs, strict=True)
    display.show_runs(console, [(run.name, standing(run.folder, n)) for run, n in pairs])
    if planned.repeated:
        console.print(f"asked for more than once: {planned.repeated}")


def _report(console: Console, ended: Sweep) -> bool:
    """Print what did not end well; returns whether everything did."""
    unwell = {r: s for r, s in ended.ended.items() if s.state in ("failed", "diverged")}
    for run, stands in unwell.items():
        text = f"{stands.state} {run.name}: {stands.reason}; see {run.folder.log}"
        console.print(text, soft_wrap=True)
    return not unwell
