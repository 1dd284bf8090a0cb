"""What a table says of wall time: ratios and milliseconds of training steps that took turns."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deepset_bench.study.collect import Where
from deepset_bench.study.times import (
    Median,
    TimedStep,
    Timing,
    identities,
    ratio,
    timings,
)
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.overview import duration

IN_MS = ("step_q1", "step", "step_q3")
NUMBERS = ("step_ratio", "step_ratio_low", "step_ratio_high", *IN_MS)
"""Columns of CSV that are of the training step of a row."""


@dataclass(frozen=True)
class RowTime:
    """The time of a row's training step.

    Attributes:
        ratio: to the baseline's step; None where that was not measured.
        quartiles: milliseconds; None where they mean little.
        seconds: of a whole run's steps; None likewise.
    """

    ratio: Median | None = None
    quartiles: tuple[float, float, float] | None = None
    seconds: float | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """As CSV has them; NaN for unknown."""
        ratio = self.ratio or Median(math.nan, math.nan, math.nan)
        values = (ratio.value, ratio.low, ratio.high, *(self.quartiles or [math.nan] * 3))
        return dict(zip(NUMBERS, values, strict=True))

    @property
    def ms(self) -> str:
        """As in `12.3 [12.1, 12.6]`; empty for unknown."""
        if self.quartiles is None:
            return ""
        low, middle, high = self.quartiles
        digits = 2 if middle < 10 else 1
        return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    @property
    def run(self) -> str:
        """As in `2.1 h`; empty for unknown."""
        return "" if self.seconds is None else duration(self.seconds)


@dataclass(frozen=True)
class TableTimes:
    """The times of the rows of a comparison.

    Attributes:
        sweep: whose.
        timing: where they are from; None where nobody measured them.
        steps: by label and condition.
        damaged: a line for each file that could not be used.
        command: what measures them.
    """

    sweep: Comparison
    timing: Timing | None
    steps: Mapping[tuple[str, str], TimedStep]
    damaged: Sequence[str] = ()
    command: str = ""

    def row(self, label: str, condition: str) -> RowTime:
        """What is known of a row; nothing where it was not measured."""
        step = self.steps.get((label, condition))
        base = self.steps.get((self.sweep.baseline, condition))
        if step is None or self.timing is None:
            return RowTime()
        times = ratio(step, base, self.timing).median if base else None
        if self.timing.is_busy:
            return RowTime(times)
        low, middle, high = np.quantile(step.ms, (0.25, 0.5, 0.75)).tolist()
        return RowTime(times, (low, middle, high), middle / 1e3 * step.steps_a_run)

    @property
    def missing(self) -> list[tuple[str, str]]:
        """What nobody measured, and the command that does."""
        lacking = self.timing is None and self.sweep.compares
        return [("wall times of training steps: not measured", self.command)] if lacking else []

    @property
    def notes(self) -> list[str]:
        """What a reader of them has to know, a line each."""
        if self.timing is None:
            return list(self.damaged)
        timing = self.timing
        steps = list(self.steps.values())
        ways = {one.compiled for one in steps}
        how = {True: "compiled", False: "eager"}
        if len(ways) == 1:
            said = how[ways.pop()]
        else:
            eager = dict.fromkeys(one.label for one in steps if not one.compiled)
            said = f"compiled, {', '.join(eager)} eager"
        found = [
            f"Wall time of a training step ({timing.words}; {said}): all rows took turns in one "
            f"process, {timing.steps_a_turn} steps a turn. ×: ratio to {self.sweep.baseline} "
            "within a round, median [95 % interval], bold where it excludes 1. ms: median "
            "[quartiles]. run: steps of a whole run times ms, without validation, scoring, start "
            "and compiling."
        ]
        if timing.is_busy:
            share = 100 * (timing.waited or 0.0)
            found.append(
                f"The machine was busy: {share:.0f} % of the time was not ours; ratios stand, "
                "milliseconds do not."
            )
        if timing.waited is None:
            found.append("Whether others used the GPU meanwhile is not known.")
        return [*self.damaged, *found]


def time_command(
    sweep: Comparison, conditions: Sequence[str], where: Where, together: Sequence[str]
) -> list[str]:
    """The words that a person types to have the training steps of a comparison measured.

    Args:
        sweep: whose.
        conditions: that are wanted.
        where: which runs.
        together: the conditions of the study, which take turns unless others are asked for.
    """
    known = ("", sweep.condition, *together)
    others = any(condition not in known for condition in conditions)
    asked = ["--condition", ",".join(conditions)] if others else []
    return ["bench", "time", *sweep.file, *where.overrides, *asked, *where.dir]


def times_of(
    sweep: Comparison, conditions: Sequence[str], where: Where, together: Sequence[str] = ()
) -> TableTimes:
    """Those of a comparison, from the measurement that has most of its rows, the latest of these.

    Args:
        sweep: whose.
        conditions: that are shown.
        where: which runs.
        together: see `time_command`.
    """
    command = shlex.join(time_command(sweep, conditions, where, together))
    found, damaged = timings(where.runs)
    if not found:
        return TableTimes(sweep, None, {}, damaged, command)
    wanted = identities(sweep, conditions, where)

    def steps(timing: Timing) -> dict[tuple[str, str], TimedStep]:
        each = {row: timing.find(identity) for row, identity in wanted.items()}
        return {row: step for row, step in each.items() if step}

    best = max(found, key=lambda timing: len(steps(timing)))
    if len(steps(best)) < 2:
        return TableTimes(sweep, None, {}, damaged, command)
    return TableTimes(sweep, best, steps(best), damaged, command)
