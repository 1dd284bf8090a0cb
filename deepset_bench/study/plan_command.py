"""`bench plan`, and the lines on power of `bench sweep --dry-run`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from deepset_bench.console import Console
from deepset_bench.errors import UserError
from deepset_bench.study.boundary import Looks
from deepset_bench.study.collect import Where, under
from deepset_bench.study.paces import paces_of
from deepset_bench.study.planning import Outlook, Scatter, fraction, outlooks
from deepset_bench.study.power import MOST, POWER, by_looks, fewest, finds, finds_equal
from deepset_bench.study.sections import DASH
from deepset_bench.study.tables_command import asked_for, conditions_shown, swept
from deepset_bench.study.verdict import ALPHA
from deepset_bench.surroundings import say
from deepset_bench.sweep import estimate
from deepset_bench.sweep import overview as display
from deepset_bench.sweep.plan import plan
from deepset_bench.sweep.registered import rule_of
from deepset_bench.sweep.studies import Study
from deepset_bench.sweep.sweep_command import share

_EFFECTS = (0.1, 0.2)


def show(
    wanted: Sequence[str], conditions: Sequence[str], where: Where, jobs: int | None = None
) -> None:
    """Print what seeds can show and how long they take, for each comparison of a study.

    Args:
        wanted: studies and comparisons, without overrides; none: the study at hand.
        conditions: to plan for; none: those of the study.
        where: runs that tell how errors scatter and how long they take.
        jobs: runs at once; None: as many as `bench sweep` would have.

    Raises:
        UserError: there is no such study, it compares nothing, or overrides do not compose.
    """
    studies, where = asked_for(wanted, where)
    console, make, is_unknown = Console(), share(jobs, "auto", []), False
    for study in studies:
        looks = _looks(study, where)
        found = list(outlooks(study, conditions_shown(study, conditions), where))
        if not found:
            raise UserError(f"{study.name}: compares no rows, so that there is nothing to plan")
        for one in found:
            words = [*one.comparison.file, *where.overrides, *where.dir]
            words += [] if one.comparison.condition else under(one.condition)
            listed = one.comparison.seeds  # which it has itself: no others are asked for
            runs = plan(words, None if listed else looks[-1]).runs
            left = [run for run in runs if not where.runs.run(run.folder.path).has_ended()]
            chosen, paces = make(runs), paces_of(runs, where)
            takes = {
                n: estimate.seconds(
                    [r for r in left if r.experiment.config.seed < n], chosen, paces
                )
                for n in looks
            }
            is_unknown |= None in takes.values()
            console.print(Text(one.name, "bold"))
            say(f"Scatter over seeds of a change: {'; '.join(map(str, one.scatters))}.")
            console.print(_detectable(one, looks, takes, chosen.jobs))
            console.print(_needed(one, looks, study.margin))
    if is_unknown:
        say(
            "The time is unknown: no run of these is done on this kind of machine, and bench time, "
            "which measures their steps in minutes, has not measured them."
        )
    say(
        f"Detectable: found with {100 * POWER:.0f} % power. alone: one comparison with just so "
        "many seeds, at 5 %. in the table: with just so many seeds, among the rows (Holm, at "
        "worst). by looks: bench sweep --until decided, at this look, among all rows and metrics "
        "of the table."
    )


def _detectable(one: Outlook, looks: Looks, takes: dict[int, float | None], jobs: int) -> Table:
    """Effects that numbers of seeds detect."""
    shown = _headed(one, "seeds")
    shown.add_column(f"time left,\n{jobs} at once", justify="right")
    for n in looks:
        each = zip(one.alone(n), one.among(n), one.looked(n, looks), strict=True)
        cells = [fraction(value) for three in each for value in three]
        known = takes[n]
        shown.add_row(str(n), *cells, "unknown" if known is None else display.duration(known))
    return shown


def _needed(one: Outlook, looks: Looks, margin: float) -> Table:
    """Seeds that effects of the margin and larger ones take, and that equality does."""
    shown = _headed(one, "seeds for")
    for size in sorted({margin, *_EFFECTS} - {0.0}):
        cells = [cell for each in one.scatters for cell in _seeds_for(one, each, size, looks)]
        shown.add_row(fraction(size), *cells)
    if margin:
        cells = []
        for scatter in one.scatters:
            how = scatter.value, margin, ALPHA
            cells += [_seeds(scatter, partial(_finds_equal, *how)), "", ""]
        shown.add_row(f"equality\nwithin {fraction(margin)}", *cells)
    return shown


def _headed(one: Outlook, first: str) -> Table:
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1))
    shown.add_column(first, justify="right")
    for scatter in one.scatters:
        for way in ("alone", "in the table", "by looks"):
            shown.add_column(f"{scatter.words}\n{way}", justify="right")
    return shown


def _seeds_for(one: Outlook, scatter: Scatter, size: float, looks: Looks) -> list[str]:
    """Of an effect: alone, among the rows, and by looks on average."""
    if math.isnan(scatter.value):
        return [DASH.text] * 3
    change = math.log1p(size)
    each = [
        _seeds(scatter, partial(_finds, change, scatter.value, level))
        for level in (ALPHA, ALPHA / one.rows)
    ]
    mean, chance = by_looks(change, scatter.value, looks, ALPHA / one.judged)
    return [*each, f"{mean:.0f}" if chance >= POWER else f"{100 * chance:.0f} % find it"]


def _seeds(scatter: Scatter, chance: Callable[[int], float]) -> str:
    if math.isnan(scatter.value):
        return DASH.text
    found = fewest(chance)
    return f"over {MOST}" if found is None else str(found)


def _finds_equal(scatter: float, margin: float, level: float, n: int) -> float:
    return finds_equal(0.0, scatter, n, margin, level)


def _finds(change: float, scatter: float, level: float, n: int) -> float:
    return finds(change, scatter, n, level)


def _looks(study: Study, where: Where) -> Looks:
    """Of the stopping rule; those of the study where a fixed number of seeds is registered."""
    return tuple(rule_of(study, where.runs_dir).get("looks", study.looks))


def brief(arguments: Sequence[str], seeds: int | None, *, looked: bool = False) -> None:
    """Lines under a dry run: what this many seeds can show.

    Args:
        arguments: of `bench sweep`.
        seeds: of each row, at most; None: those that the arguments list, or up to the last look.
        looked: whether looks decide how many there are.

    Raises:
        UserError: see `show`.
    """
    studies, conditions, where = swept(arguments)
    if seeds is None and not looked:
        seeds = len({run.experiment.config.seed for run in plan(arguments).runs})
    for study in studies:
        for one in outlooks(study, conditions_shown(study, conditions), where):
            say(_line(one, seeds, _looks(study, where) if looked else ()))


def _line(one: Outlook, seeds: int | None, looks: Looks) -> str:
    if looks:
        seeds = max((n for n in looks if n <= (seeds or n)), default=looks[0])
        among = one.looked(seeds, looks)
    elif not seeds or seeds < 2:
        return f"{one.name}: one seed of each row tells no difference from chance; try --seeds 5"
    else:
        among = one.among(seeds)
    each = [
        f"{scatter.words} {fraction(a)} alone, {fraction(b)} in the table"
        for scatter, a, b in zip(one.scatters, one.alone(seeds), among, strict=True)
    ]
    return f"{one.name}: {seeds} seeds detect an effect on {'; '.join(each)} (80 % power)"
