"""What a person sees of many runs: a live table in a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, OverflowMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deepset_bench.console import Console
from deepset_bench.overrides import last_of_each
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.replicate import Replicate
from deepset_bench.surroundings import visible
from deepset_bench.sweep.execute import Sweep
from deepset_bench.sweep.plan import Run
from deepset_bench.sweep.status import Standing

_COLOURS = {"done": "green", "failed": "red", "diverged": "magenta", "running": "cyan"}
_ORDER = ("running", "interrupted", "damaged", "failed", "diverged", "queued", "done")
_REFRESH = 0.5  # seconds
_AT_ONCE = 500  # lines that are printed together
Row = tuple[str, Standing]


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def about(seconds: float | None) -> str:
    """`about 12 min`; `unknown (...)` where no run tells."""
    if seconds is None:
        return "unknown (no run on these data is done)"
    return f"about {duration(seconds)}"


def called(runs: Sequence[Run]) -> dict[Run, str]:
    """What people call each run of a sweep: by the overrides that not all of its runs have."""
    words = {run: last_of_each(run.overrides) for run in runs}
    common = set.intersection(*map(set, words.values())) if words else set()
    own = {run: " ".join(word for word in words[run] if word not in common) for run in runs}
    return {run: own[run] or ("baseline" if len(runs) > 1 else run.name) for run in runs}


def table(rows: Sequence[Row], *, one_line: bool = False) -> Table:
    """State, epoch, validation errors, time left or why it ended, of each run.

    Args:
        rows: runs, and where they stand.
        one_line: whether long names and reasons are cut, so that each run has one line.
    """
    shown = Table(box=SIMPLE_HEAD, padding=(0, 0 if one_line else 1))
    shown.add_column("run", overflow="fold", ratio=1)
    shown.add_column("state", no_wrap=True)
    for heading in ("epoch", "val E / meV", "val F / (meV/Å)"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("left, or why", overflow="fold", max_width=16 if one_line else None)

    def cut(text: str) -> Text:
        how: OverflowMethod = "ellipsis" if one_line else "fold"
        return Text(visible(text), no_wrap=one_line, overflow=how)

    for name, stands in rows:
        state = Text(stands.state, _COLOURS.get(stands.state, "dim"))
        shown.add_row(cut(name), state, *_numbers(stands), cut(_note(stands)))
    return shown


def line(name: str, stands: Standing) -> str:
    """The same in one line, for logs and scripts."""
    epoch, energy, forces = _numbers(stands)
    errors = f"val energy MAE {energy} meV, forces MAE {forces} meV/Å" if energy else ""
    words = (f"epoch {epoch}", errors, _note(stands))
    return f"{stands.state:<11} {name}  {', '.join(word for word in words if word)}"


def facts(name: str, stands: Standing) -> dict[str, Any]:
    """What `bench status --json` prints of a run; keys are added, never changed.

    Args:
        name: its folder below the runs folder, DATA/CONDITION/VARIANT/REPLICATE.
        stands: where it stands.
    """
    *_, data, condition, variant, seed = ["", "", "", *Path(name).parts]
    which = Replicate.named(seed)
    return {
        **{"run": name, "data": data, "condition": condition, "variant": variant},
        "seed": which.seed if which else None,
        "split": which.split if which else None,
        "state": stands.state,
        "reason": stands.reason,
        "epoch": stands.epoch,
        "epochs": stands.epochs,
        f"val_{ENERGY_MAE}": stands.energy,
        f"val_{FORCES_MAE}": stands.forces,
        "seconds": stands.seconds,
        "seconds_left": stands.seconds_left,
        "node": stands.node,
        "job": stands.job,
    }


def show_runs(console: Console, rows: Sequence[Row]) -> None:
    """All runs and how many are in each state."""
    show_rows(console, rows)
    console.print(counts([stands for _, stands in rows]))


def show_rows(console: Console, rows: Sequence[Row]) -> None:
    """A table in a terminal, else a line a run."""
    if console.is_terminal:
        console.print(table(rows))
        return
    lines = (line(*row) for row in rows)
    while some := "\n".join(islice(lines, _AT_ONCE)):
        print(visible(some), file=console.file)  # as rich does, in a tenth of its time


@contextmanager
def redrawn(console: Console) -> Iterator[Callable[[Sequence[Row]], None]]:
    """A function that shows rows in the place of those before; only what is new, in a file."""
    told: dict[str, str] = {}

    def news(rows: Sequence[Row]) -> None:
        for name, stands in rows:
            text = f"{stands.state} {stands.node} {stands.reason}"
            if told.get(name) != text:
                told[name] = text
                console.print(line(name, stands), soft_wrap=True)

    if not console.is_terminal:
        yield news
        return
    with Live(console=console, auto_refresh=False) as live:

        def redraw(rows: Sequence[Row]) -> None:
            listed = sorted(rows, key=lambda row: _ORDER.index(row[1].state))
            live.update(_fitting(listed, console.height), refresh=True)

        yield redraw


def counts(standings: Sequence[Standing]) -> str:
    """`7 runs: 3 done, 1 failed, 3 queued`."""
    by_state = Counter(stands.state for stands in standings)
    told = ", ".join(f"{by_state[state]} {state}" for state in _ORDER if by_state[state])
    runs = f"{len(standings)} run{'' if len(standings) == 1 else 's'}"
    return f"{runs}: {told}" if told else "no runs"


@contextmanager
def watching(console: Console, sweep: Sweep) -> Iterator[Callable[[], None]]:
    """A function to call often while the sweep runs; it shows what is new."""
    if not console.is_terminal:
        yield _lines(console, sweep)
        console.print(counts([sweep.standing(run) for run in sweep.runs]))
        return
    names = called(sweep.runs)
    with Live(console=console, auto_refresh=False) as live:
        last = 0.0

        def refresh() -> None:
            nonlocal last
            if time.monotonic() - last > _REFRESH:
                last = time.monotonic()
                live.update(_overview(sweep, names, console.height), refresh=True)

        yield refresh
        live.update(_overview(sweep, names, console.height), refresh=True)


def _lines(console: Console, sweep: Sweep) -> Callable[[], None]:
    told: dict[Run, str] = {}
    ended: set[Run] = set()
    names = called(sweep.runs)

    def changes() -> None:
        for run in sweep.begun():
            if run in ended:
                continue
            stands = sweep.standing(run)
            if run in sweep.ended:
                ended.add(run)
            if stands.state != told.get(run, "queued"):
                told[run] = stands.state
                console.print(line(names[run], stands), soft_wrap=True)

    return changes


def _overview(sweep: Sweep, names: Mapping[Run, str], height: int) -> RenderableType:
    """What fits the terminal, what is being trained first."""
    rows = [(names[run], sweep.standing(run)) for run in sweep.runs]
    standings = [stands for _, stands in rows]
    rows.sort(key=lambda row: _ORDER.index(row[1].state))
    left = seconds_left(standings, sweep.executor.jobs)
    return _fitting(rows, height, "" if left is None else f"; about {duration(left)} left")


def _fitting(rows: Sequence[Row], height: int, when: str = "") -> RenderableType:
    """The first of the rows, and how many are in each state."""
    room = max(height - 6, 3)  # beside the headings and the line below
    more = f" ({len(rows) - room} not shown)" if len(rows) > room else ""
    told = f"{counts([stands for _, stands in rows])}{more}{when}"
    return Group(table(rows[:room], one_line=True), Text(told))


def seconds_left(standings: Sequence[Standing], jobs: int) -> float | None:
    """Until all have ended, at the pace of those that have begun; None before that is known."""
    paces = [s.seconds / s.epoch * s.epochs for s in standings if s.epoch and s.epochs]
    unfinished = [s for s in standings if s.state not in ("done", "diverged", "failed")]
    if not paces or not unfinished:
        return None
    usual = sum(paces) / len(paces)
    left = [usual if s.seconds_left is None else s.seconds_left for s in unfinished]
    return max(sum(left) / jobs, max(left))


def _numbers(stands: Standing) -> tuple[str, str, str]:
    of = "" if stands.epochs is None else f"/{stands.epochs}"
    if stands.energy is None or stands.forces is None:
        return f"{stands.epoch}{of}", "", ""
    return f"{stands.epoch}{of}", f"{stands.energy * 1e3:.1f}", f"{stands.forces * 1e3:.1f}"


def _note(stands: Standing) -> str:
    left = None if stands.seconds_left is None else f"{duration(stands.seconds_left)} left"
    where = f"on {stands.node}" if stands.node else ""
    return ", ".join(filter(None, (where, stands.reason or left)))
