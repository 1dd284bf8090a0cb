"""Times of training steps as `bench time` measured them, and what they say of two rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from deepset_bench import file_version
from deepset_bench.config import Experiment, experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.reading import DAMAGED, Kinds, is_number, lacking
from deepset_bench.record import RunRecords
from deepset_bench.schema import Trainer
from deepset_bench.study.collect import Where, under
from deepset_bench.study.effect import end_text
from deepset_bench.study.statistics import CONFIDENCE
from deepset_bench.sweep.comparisons import Comparison, Row

BUSY = 0.02
"""Share of the time that others may have had the processor before milliseconds mean little."""
_KINDS: Kinds = {
    **dict.fromkeys(("measured", "processor", "system", "device"), str),
    **dict.fromkeys(("cores", "threads", "steps_a_turn", "warm_up", "order_seed"), int),
    **{"versions": dict, "waited": (int, float, type(None)), "steps": list},
}
_STEP_KINDS: Kinds = {
    **dict.fromkeys(("label", "condition", "data", "variant", "identity", "form"), str),
    **{"compiled": bool, "steps_a_run": int, "ms": list},
}


@dataclass(frozen=True)
class TimedStep:
    """A training step of one row.

    Attributes:
        label: of the row.
        condition: that it is under; empty for the usual one.
        data: the set that its frames are of.
        variant: what sets it apart, as `Experiment.variant`.
        identity: see `identity_of`.
        form: `fused` or `reference`.
        compiled: whether it was.
        steps_a_run: how many a whole run has.
        ms: milliseconds in each round.
    """

    label: str
    condition: str
    data: str
    variant: str
    identity: str
    form: str
    compiled: bool
    steps_a_run: int
    ms: tuple[float, ...]


@dataclass(frozen=True)
class Timing:
    """What one call of `bench time` measured: rows that took turns in one process.

    Attributes:
        name: of the study or comparison.
        measured: when, in ISO 8601.
        processor: its model.
        cores: of the machine.
        system: of the machine, and the kind of its processor.
        device: `cpu`, or the name of the GPU.
        threads: of the process.
        versions: of the program and what it stands on.
        steps_a_turn: of which each number is the mean.
        warm_up: rounds before those that count.
        order_seed: of the order of the rows in each round.
        waited: share of the time in which the process did not compute; None on a GPU.
        steps: a row each.
    """

    name: str
    measured: str
    processor: str
    cores: int
    system: str
    device: str
    threads: int
    versions: Mapping[str, str]
    steps_a_turn: int
    warm_up: int
    order_seed: int
    waited: float | None
    steps: tuple[TimedStep, ...]

    @property
    def rounds(self) -> int:
        """How many counted."""
        return len(self.steps[0].ms)

    @property
    def is_busy(self) -> bool:
        """Whether others had the processor, too, so that only ratios say something."""
        return self.waited is not None and self.waited > BUSY

    @property
    def words(self) -> str:
        """As in `40 rounds, 1 thread of AMD EPYC, 29 November 2026`."""
        when = datetime.fromisoformat(self.measured)
        where = f"{self.threads} thread{'s' * (self.threads > 1)} of {self.processor}"
        where = where if self.device == "cpu" else self.device
        return f"{self.rounds} rounds, {where}, {when.day} {when:%B %Y}"

    def find(self, identity: str) -> TimedStep | None:
        """The row of this identity."""
        return next((one for one in self.steps if one.identity == identity), None)

    def part(self, wanted: Collection[str]) -> Timing | None:
        """What it has of steps of these identities; None where that is nothing."""
        steps = tuple(one for one in self.steps if one.identity in wanted)
        return replace(self, steps=steps) if steps else None

    def content(self) -> dict[str, Any]:
        """As its file has it."""
        return file_version.marked({k: v for k, v in asdict(self).items() if k != "name"})


@dataclass(frozen=True)
class Median:
    """A median with its 95 % interval: NaN where fewer than six values leave none."""

    value: float
    low: float
    high: float

    @property
    def excludes_one(self) -> bool:
        """Whether there is an interval and 1 lies outside it."""
        return self.low > 1 or self.high < 1  # false for NaN

    @property
    def text(self) -> str:
        """As in `×1.93 [1.90, 1.97]`."""
        digits = 2 if self.value < 10 else 1
        low, high = (end_text(one, digits, 2, 1, _fixed) for one in (self.low, self.high))
        interval = f" [{low}, {high}]"
        return f"×{self.value:.{digits}f}{'' if math.isnan(self.low) else interval}"


def _fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


@dataclass(frozen=True)
class TimeRatio:
    """How many times as long a variant's step takes as a baseline's.

    Attributes:
        rounds: the ratio within each round.
        of: where it was measured.
    """

    rounds: tuple[float, ...]
    of: Timing

    @property
    def median(self) -> Median:
        """Over the rounds."""
        return median(self.rounds)

    @property
    def words(self) -> str:
        """As in `×1.93 [1.90, 1.97] (40 rounds, 1 thread of AMD EPYC, 29 November 2026)`."""
        return f"{self.median.text} ({self.of.words})"


def median(values: Sequence[float], confidence: float = CONFIDENCE) -> Median:
    """The median, and the order statistics that it lies between with this probability at least.

    Of n independent values the k-th from below and the k-th from above have the median of their
    distribution, whatever that is, between them but with twice the probability of fewer than k
    heads in n throws of a coin (David and Nagaraja, Order Statistics, section 7.1).
    """
    ordered, n = sorted(values), len(values)
    k, below = 0, 0  # throws with fewer than k heads, of 2^n
    while 2 * (below + math.comb(n, k)) / 2**n <= 1 - confidence:
        below += math.comb(n, k)
        k += 1
    low, high = (ordered[k - 1], ordered[n - k]) if k else (math.nan, math.nan)
    return Median(statistics.median(ordered), low, high)


def identity_of(wanted: Experiment) -> str:
    """Of a step: what determines the run but its seed and first weights, and how it is computed.

    Not where: the device and its threads are those of a measurement. Nor which epoch is kept.
    """
    data = replace(wanted.config.data, split_seed=None)
    trainer = replace(wanted.config.trainer, select=Trainer.select)
    config = replace(wanted.config, seed=0, data=data, trainer=trainer, init_sha256=None)
    checksums = catalogue.checksums(config.sets)
    run = replace(wanted, config=config).identity("+".join(checksums.values()))
    return f"{run} form={config.form} compile={str(config.compile).lower()}"


def asked(
    sweep: Comparison, conditions: Sequence[str], where: Where
) -> dict[tuple[str, str], Experiment]:
    """(label, condition) -> what a row of a comparison is; without those that cannot be."""
    found = {}
    for condition in conditions:
        for run in sweep.runs:
            with suppress(UserError):
                found[run.label, condition] = row_of(run, condition, where)
    return found


def identities(
    sweep: Comparison, conditions: Sequence[str], where: Where
) -> dict[tuple[str, str], str]:
    """(label, condition) -> `identity_of`; without rows that cannot be or have no frames here."""
    found = {}
    for row, wanted in asked(sweep, conditions, where).items():
        with suppress(UserError):
            found[row] = identity_of(wanted)
    return found


def row_of(run: Row, condition: str, where: Where) -> Experiment:
    """What a row under a condition is.

    Raises:
        UserError: it cannot take the overrides.
    """
    return experiment([*run.overrides, *where.overrides, *under(condition)])


def timings(runs: RunRecords) -> tuple[list[Timing], list[str]]:
    """What was measured, the latest first, and a line for each file that is damaged."""
    found, damaged = [], []
    for name, content in runs.times().items():
        if problem := _wrong(content):
            damaged.append(f"left out: times of {name}: {problem}")
            continue
        steps = tuple(
            TimedStep(**{k: one[k] for k in _STEP_KINDS} | {"ms": tuple(one["ms"])})
            for one in content["steps"]
        )
        found.append(Timing(name, **{key: content[key] for key in _KINDS} | {"steps": steps}))
    return sorted(found, key=lambda one: one.measured, reverse=True), damaged


def timed_ratio(
    sweep: Comparison, variant: str, baseline: str, condition: str, where: Where
) -> TimeRatio | None:
    """The latest measurement in which two rows took turns; None where there is none.

    Args:
        sweep: that they are rows of.
        variant: label of one.
        baseline: label of the other.
        condition: that both are under.
        where: which runs, beside which the times are.
    """
    rows = identities(sweep, [condition], where)
    if not {(variant, condition), (baseline, condition)} <= rows.keys():
        return None
    one, other = (rows[label, condition] for label in (variant, baseline))
    for timing in timings(where.runs)[0]:
        ours, theirs = timing.find(one), timing.find(other)
        if ours and theirs:
            return ratio(ours, theirs, timing)
    return None


def ratio(variant: TimedStep, baseline: TimedStep, timing: Timing) -> TimeRatio:
    """The ratio of two rows of one measurement."""
    return TimeRatio(tuple(a / b for a, b in zip(variant.ms, baseline.ms, strict=True)), timing)


def _wrong(content: Mapping[str, Any]) -> str:
    """What a file of times lacks, in words; empty for nothing."""
    content = dict(content)
    if content.get("state") == DAMAGED:
        return str(content["reason"])
    if newer := file_version.newer(content):
        return newer
    problem = lacking(content, _KINDS)
    if not problem:
        try:
            datetime.fromisoformat(content["measured"])
        except ValueError:
            problem = f"measured is {content['measured']!r:.40}"
    if not problem and not content["steps"]:
        problem = "it has no steps"
    for number, one in enumerate(content["steps"] if not problem else (), 1):
        wrong = lacking(one, _STEP_KINDS) if isinstance(one, dict) else "it is not a mapping"
        if not wrong and not _are_times(one["ms"], len(content["steps"][0]["ms"])):
            wrong = "ms is not a positive number for each round"
        if wrong:
            problem = f"step {number}: {wrong}"
            break
    return f"damaged ({problem})" if problem else ""


def _are_times(values: Sequence[Any], rounds: int) -> bool:
    return len(values) == rounds > 0 and all(is_number(v) and v > 0 for v in values)
