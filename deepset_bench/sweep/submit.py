"""`bench sweep executor=slurm` and `bench cancel`: runs that a batch system trains."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from deepset_bench.console import Console
from deepset_bench.results.opening import opened
from deepset_bench.runs import runs_root
from deepset_bench.surroundings import say
from deepset_bench.sweep.execute import Sweep
from deepset_bench.sweep.executors import queue, submitted
from deepset_bench.sweep.executors.executor import Submitting
from deepset_bench.sweep.executors.local import Local
from deepset_bench.sweep.executors.ranges import shortened
from deepset_bench.sweep.listed import listed
from deepset_bench.sweep.plan import Plan


def submit(
    planned: Plan,
    where: Submitting,
    words: Sequence[str],
    *,
    fresh: bool = False,
    only_print: bool = False,
) -> None:
    """Submit what is neither done nor anybody's, and say so; or print the script alone.

    Args:
        planned: the sweep.
        where: takes it.
        words: that a person typed for it.
        fresh: see `Sweep`.
        only_print: whether nothing is submitted.

    Raises:
        UserError: the batch system refuses, or is not there.
    """
    root = runs_root(planned.runs[0].experiment.config.runs_dir)
    if only_print:
        say(where.script(planned.runs, root, planned.name))
        return
    console = Console()
    folders = where.taken(root)
    taken = {run for run in planned.runs if submitted.below(run.folder.path, root) in folders}
    sweep = Sweep(planned.runs, Local(1, None, (), 1), planned.name, fresh=fresh)  # starts none
    free = sweep.free(taken)
    counts = {
        "done": sum(stands.state == "done" for stands in sweep.ended.values()),
        "diverged": sum(stands.state == "diverged" for stands in sweep.ended.values()),
        "queued or running in Slurm": len(taken),
        "in another process": len(sweep.elsewhere),
        "to submit": len(free),
    }
    told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    console.print(f"{len(planned.runs)} run{'s' * (len(planned.runs) != 1)}: {told}")
    for run, stands in sweep.ended.items():
        if stands.state == "failed":
            console.print(f"left alone {run.name}: {stands.reason}", soft_wrap=True)
    if free:
        for line in where.submit(free, root, planned.name):
            console.print(line, soft_wrap=True)
    if free or taken:
        watch = shlex.join(["bench", "status", *words, "--watch"])
        console.print(f"watch them: {watch}", soft_wrap=True)
        console.print(f"end them: {shlex.join(['bench', 'cancel', *words])}", soft_wrap=True)


def cancel(words: Sequence[str], runs_dir: str | Path | None) -> None:
    """End the tasks that train, or will train, runs that the words mean.

    Args:
        words: see `listed`.
        runs_dir: where the runs are; None as for `bench train`.

    Raises:
        UserError: see `listed`; or the batch system refuses, or is not there.
    """
    root = runs_root(runs_dir)
    meant = {submitted.below(run.path, root) for run in listed(words, opened(runs_dir))}
    going = queue.going()
    tasks: dict[str, set[int]] = {}  # of each job
    for folder, (one, task) in submitted.places(root).items():
        if folder in meant and (one.job, task) in going:
            tasks.setdefault(one.job, set()).add(task)
    if not tasks:
        say("nothing of these is in Slurm's queue")
        return
    names = [_called(job, numbers) for job, numbers in tasks.items()]
    queue.told(["scancel", *names])
    number = sum(map(len, tasks.values()))
    say(f"cancelled {number} task{'s' * (number != 1)}: {' '.join(names)}")
    say("checkpoints are kept: the same bench sweep goes on from them")


def _called(job: str, tasks: Collection[int]) -> str:
    """Tasks of a job as scancel takes them: `7_3`, `7_[0-2,5]`."""
    return f"{job}_{next(iter(tasks))}" if len(tasks) == 1 else f"{job}_[{shortened(tasks)}]"
