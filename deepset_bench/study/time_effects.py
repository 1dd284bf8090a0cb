"""Effects on wall time, judged as effects on errors are, from rounds in place of seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deepset_bench.study.collect import Where
from deepset_bench.study.effect import NO_UNIT, Effect, Shown
from deepset_bench.study.statistics import CONFIDENCE, Estimate
from deepset_bench.study.times import TimeRatio, median, timed_ratio
from deepset_bench.sweep.comparisons import Comparison


@dataclass(frozen=True)
class MedianEstimate(Estimate):
    """A median with the ends of its interval, which need not be as far from it."""

    ends: tuple[float, float]

    @property
    def low(self) -> float:
        """See `Estimate`."""
        return self.ends[0]

    @property
    def high(self) -> float:
        """See `Estimate`."""
        return self.ends[1]


@dataclass(frozen=True)
class TimedEffect(Effect):
    """How much longer a step takes; `changes` are logarithms of ratios, one of each round."""

    ratio: TimeRatio

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """The median of `changes`: one round in a busy moment does not move it."""
        found = median(self.changes, confidence)
        half = (found.high - found.low) / 2
        return MedianEstimate(found.value, half, self.n, (found.low, found.high))

    def text(self, shown: Shown = NO_UNIT) -> str:
        """See `Effect`."""
        return f"{self.name} {self.ratio.words}"


def timed_effect(
    sweep: Comparison, variant: str, baseline: str, condition: str, where: Where
) -> Effect:
    """How much longer a variant's step takes than a baseline's; of no round where nobody measured.

    Args:
        sweep: that both are rows of.
        variant: label of one.
        baseline: label of the other.
        condition: that both are under.
        where: which runs, beside which the times are.
    """
    name = f"{variant} against {baseline}"
    found = timed_ratio(sweep, variant, baseline, condition, where)
    if found is None:
        return Effect(name, (), relative=True)
    return TimedEffect(name, tuple(map(math.log, found.rounds)), True, found)
