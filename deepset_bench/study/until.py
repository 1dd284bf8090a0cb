"""`bench sweep --until decided`: seeds for what is open, look by look."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from deepset_bench import stamps
from deepset_bench.console import Console
from deepset_bench.errors import UserError
from deepset_bench.groups import is_override
from deepset_bench.stamps import Stamp
from deepset_bench.study.boundary import Looks
from deepset_bench.study.claimed import Claim, claimed
from deepset_bench.study.collect import Where
from deepset_bench.study.open_questions import Question, left_open, questions
from deepset_bench.study.paces import paces_of
from deepset_bench.study.tables_command import conditions_shown, swept
from deepset_bench.surroundings import say, visible
from deepset_bench.sweep import estimate, registered
from deepset_bench.sweep import overview as display
from deepset_bench.sweep.axes import combinations
from deepset_bench.sweep.plan import Plan, Run, plan, trainable
from deepset_bench.sweep.studies import Study
from deepset_bench.sweep.sweep_command import show, train, watched

_BUDGET = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>s|min|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def sweep_until_decided(
    arguments: Sequence[str],
    seeds: int | None,
    budget: str | None,
    jobs: int | None,
    stack: str,
    where: Sequence[str],
    *,
    dry_run: bool = False,
    fresh: bool = False,
    wait: bool = True,
) -> bool:
    """Train seeds until looks have decided every comparison, or there are no more of them.

    At each look the rows of open comparisons get as many seeds as it asks for, with the baselines
    that they are compared with. What is decided, and what to train next, follows from the runs that
    are done, so that the same command goes on where it stopped.

    Args:
        arguments: of `bench sweep`.
        seeds: that a row gets at most; None: as many as the last look asks for.
        budget: of wall time, as in `6h`; None: as long as it takes. A look that is estimated to
            take longer than what is left does not begin.
        jobs: see `sweep`.
        stack: see `sweep`.
        where: words that choose the executor.
        dry_run: only say what is open and what the next look takes.
        fresh: see `Sweep`.
        wait: see `Sweep`.

    Returns:
        Whether no run failed or diverged.

    Raises:
        UserError: nothing is trained: an argument cannot be used, or nothing is compared.
    """
    started, left = time.monotonic(), None if budget is None else _seconds(budget)
    make, console = watched(jobs, stack, where), Console()
    asked = _asked(arguments)
    looks = [n for n in asked.looks if n <= (seeds or n)]
    if not looks:
        raise UserError(f"--seeds {seeds}: the first look is at {asked.looks[0]} seeds")
    planned, missing = trainable(_planned(asked, arguments, looks[-1]))
    for line in missing:
        say(line)
    found = asked.questions()
    if not found:
        raise UserError(f"{asked.study.name}: compares no rows, so that nothing can be decided")
    if not dry_run:
        stamp = _stated(asked)
        planned = replace(planned, runs=[replace(one, stamps=stamp) for one in planned.runs])
    well = True
    for n in looks:
        wanted = _needed(planned.runs, found, n)
        if not wanted:
            continue
        _show(console, found)
        chosen = make(wanted)
        paces = paces_of(wanted, asked.where)
        takes = estimate.seconds(wanted, chosen, paces, fresh)
        console.print(
            f"next: look at {n} seeds, {len(wanted)} runs, {chosen.jobs} at once; "
            f"time: {display.about(takes)}"
        )
        if dry_run:
            show(console, replace(planned, runs=wanted), chosen, fresh=fresh, paces=paces)
            return True
        spent = time.monotonic() - started
        if left is not None and spent + (takes or 0.0) > left:
            console.print(
                f"stopped: {display.duration(max(left - spent, 0))} of the budget of {budget} are "
                "left; the same command goes on"
            )
            return well
        well = train(console, planned.name, wanted, chosen, fresh=fresh, wait=wait) and well
        found = asked.questions()
        if any(run.folder.is_held() for run in wanted):  # the look cannot be made yet
            console.print("stopped: others train runs of this look; later the same command goes on")
            return well
    _show(console, found)
    if any(one.is_open for one in found):
        later = [n for n in asked.looks if n > looks[-1]]
        console.print(
            f"the next look is at {later[0]} seeds, which --seeds {seeds} leaves out"
            if later
            else f"the look at {looks[-1]} seeds was the last; what is open stays so"
        )
    return well


@dataclass(frozen=True)
class _Asked:
    """What a person wants to be decided."""

    study: Study
    conditions: list[str]
    where: Where
    looks: Looks

    def questions(self) -> list[Question]:
        return questions(self.study, self.conditions, self.where, self.looks)


def _asked(arguments: Sequence[str]) -> _Asked:
    studies, conditions, where = swept(arguments)
    if len(studies) != 1:
        raise UserError(
            f"{' '.join(arguments) or 'bench sweep'}: --until decided takes one study, sweep or "
            "overrides with several values"
        )
    study = studies[0]
    listed = [line for one in study.tables for line in one.seeds]
    for line in [*filter(is_override, arguments), *listed]:
        _check_seeds(line)
    rule = registered.rule_of(study, where.runs_dir)
    if "looks" not in rule:
        raise UserError(
            f"{study.name}: is registered with {rule['seeds']} seeds a row: bench sweep --seeds "
            f"{rule['seeds']}; or register looks: bench study register --looks 3,5,8"
        )
    return _Asked(study, conditions_shown(study, conditions), where, tuple(rule["looks"]))


def _check_seeds(line: str) -> None:
    """Refuse an override that says how many seeds or splits there are."""
    key = line.lstrip("+").partition("=")[0]
    if key == "seed":
        raise UserError(f"{line}: --until decided chooses the seeds; leave this out")
    if key == "data.split_seed" and len(combinations([line])) > 1:
        raise UserError(
            f"{line}: --until decided adds seeds, and splits would stay as few as these; leave "
            "this out, so that every seed draws its split, or give one split"
        )


def _planned(asked: _Asked, arguments: Sequence[str], most: int) -> Plan:
    """All runs that may be made: also those that only claims are about."""
    found = plan(arguments, most)
    if not asked.study.whole or asked.study.folder is None:
        return found
    overrides = [text for text in arguments if is_override(text)]
    if not any(text.lstrip("+").startswith("condition=") for text in overrides):
        overrides += [f"condition={','.join(asked.conditions)}"] * bool(asked.study.conditions)
    shown = {one.name for one in asked.study.tables}
    for name in dict.fromkeys(one.runs for one in claimed(asked.study) if isinstance(one, Claim)):
        if name not in shown:
            one = asked.study.comparison(name, "claims")
            own = [] if one.condition else overrides
            found.runs.extend(plan([*one.file, *own], most).runs)
    each = {run.folder.path: run for run in reversed(found.runs)}
    return replace(found, runs=[run for run in found.runs if each[run.folder.path] is run])


def _stated(asked: _Asked) -> tuple[Stamp, ...]:
    """The stopping rule for the runs to carry: what they are for is registered before they start.

    What is no study, such as axes that are typed, is stated in its runs alone.
    """
    rule, study = {"looks": list(asked.looks)}, asked.study
    if study.folder is None:
        hashed = registered.hash_of(registered.what_decides(study), rule)
        return ({"study": study.name, "hash": hashed, "time": stamps.now(), "rule": rule},)
    entry, path = registered.register(study, rule, asked.where.runs_dir)
    if path is not None:
        say(f"{study.name}: registered {entry} ({path})")
    return ()


def _needed(runs: Sequence[Run], found: Sequence[Question], n: int) -> list[Run]:
    """The runs that a look at n seeds needs and that have not ended."""
    homes = {home for one in found if one.is_open for home in one.homes}
    return [
        run
        for run in runs
        if run.experiment.config.seed < n
        and run.folder.path.parent.absolute() in homes
        and (run.is_taken or not run.folder.has_ended())
    ]


def _show(console: Console, found: Sequence[Question]) -> None:
    """How many of each group are decided, and which are open."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for heading in ("", "decided", "open"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "decided")
    for group, members in groupby(found, key=lambda one: one.group):
        every = list(members)
        decided = sum(not one.is_open for one in every)
        left = visible(left_open(every))
        table.add_row(Text(visible(group)), f"{decided} of {len(every)}", Text(left))
    console.print(table)


def _seconds(budget: str) -> float:
    found = _BUDGET.fullmatch(budget.strip())
    if not found:
        raise UserError(f"--budget {budget}: must be a time, as in 6h, 90min or 2d")
    return float(found["number"]) * _SECONDS[found["unit"]]
