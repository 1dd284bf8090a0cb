"""What a variant changes against a baseline: by how many per cent, paired over shared seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from deepset_bench.replicate import Replicate
from deepset_bench.study.draws import independent
from deepset_bench.study.statistics import CONFIDENCE, Estimate, estimate, p_value

Values = Mapping[Replicate, float]
"""Replicate -> value."""
Shown = tuple[float, str, int]
"""Of a unit: its size in eV or the like, its name, and decimals; see `Metric.shown`."""
NO_UNIT: Shown = (1.0, "", 1)
"""Of what has none, or is a ratio."""
_MORE = 3
"""Digits that an end of an interval may have beside the usual ones; what is still 0 is rounding."""


@dataclass(frozen=True)
class Change:
    """An effect with the ends of its interval, fractions of the baseline or plain differences.

    NaN where n = 1 leaves no interval and n = 0 nothing.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Effect:
    """A paired comparison over shared seeds.

    The seed draws the split and the order of the frames, so that runs of one seed share both and
    their difference scatters less than either. Where several runs share a split, changes are those
    of splits, see `independent`.

    Attributes:
        name: what is compared with what.
        changes: by seed, in ascending order, log(variant / baseline); variant - baseline where
            not `relative`. The logarithm of a ratio is as far from zero for twice as for half, and
            its interval needs no baseline that counts as exact.
        relative: whether they are ratios.
    """

    name: str
    changes: tuple[float, ...]
    relative: bool

    @property
    def n(self) -> int:
        """Independent changes: seeds that both have, or splits where several runs are of one."""
        return len(self.changes)

    @property
    def p(self) -> float:
        """Of no effect, two-sided; NaN for one seed."""
        return p_value(self.changes)

    def first(self, n: int) -> Effect:
        """The same of the first n seeds alone."""
        return replace(self, changes=self.changes[:n])

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """Mean of `changes` with its t-interval."""
        return estimate(self.changes, confidence)

    def change(self, confidence: float = CONFIDENCE) -> Change:
        """The same as a fraction of the baseline, where it is a ratio."""
        found = self.estimate(confidence)
        ends = found.mean, found.low, found.high
        if self.relative:
            ends = _ratio(ends[0]), _ratio(ends[1]), _ratio(ends[2])
        return Change(*ends, found.n)

    def text(self, shown: Shown = NO_UNIT) -> str:
        """For people, with its interval and the number of seeds.

        Args:
            shown: as of `change_text`.
        """
        found = change_text(self.change(), relative=self.relative, shown=shown)
        return f"{self.name} {found} (n={self.n})"


def effect(name: str, variant: Values, baseline: Values) -> Effect:
    """Of a variant against a baseline, over the seeds that both have.

    Args:
        name: what is compared with what.
        variant: values by seed.
        baseline: values by seed.

    Returns:
        Ratios where every value is positive, as errors are; else differences.
    """
    pairs = {one: (variant[one], baseline[one]) for one in variant.keys() & baseline.keys()}
    relative = all(a > 0 and b > 0 for a, b in pairs.values())
    changes = {one: math.log(a / b) if relative else a - b for one, (a, b) in pairs.items()}
    return Effect(name, tuple(independent(changes)), relative)


def _ratio(logarithm: float) -> float:
    """As a fraction more or less; infinite where a useless interval ends beyond all numbers."""
    return math.inf if logarithm > 700 else math.expm1(logarithm)


def change_text(change: Change, *, relative: bool, shown: Shown = NO_UNIT) -> str:
    """An effect with its interval: `−23 % [−34, −11]`, `×310 [120, 800]`, `+0.00012 Ha [...]`.

    Args:
        change: of an effect.
        relative: whether it is of ratios.
        shown: of a difference: size of the unit to show it in, its name and decimals.
    """
    numbers = (change.mean, change.low, change.high)
    if relative and change.mean > 10:
        mean, low, high = (f"{1 + one:,.3g}" for one in numbers)
        text = f"×{mean}"
    else:
        size, unit, places = shown
        if relative:
            known = [one for one in numbers if not math.isnan(one)]
            small = min(map(abs, known), default=1.0) < (0.005 if len(known) > 1 else 0.1)
            # A second digit where it tells something.
            size, unit, places = 0.01, "%", int(small or change.high - change.low < 0.2)
        text = f"{_signed(change.mean / size, places)} {unit}".rstrip()
        low, high = (end_text(one / size, places, _MORE, 0, _signed) for one in numbers[1:])
    return text if math.isnan(change.low) else f"{text} [{low}, {high}]"


def percent(fraction: float) -> str:
    """`3.1 %`, `31 %`."""
    return f"{100 * fraction:.0f} %" if fraction >= 0.1 else f"{100 * fraction:.1f} %"


def end_text(
    value: float, digits: int, more: int, limit: float, shown: Callable[[float, int], str]
) -> str:
    """An end of an interval, with so many digits that one sees on which side of a limit it is.

    Args:
        value: of the end.
        digits: that it has where they tell.
        more: digits that it may have beside these; none where they would not tell either.
        limit: as of no change.
        shown: the text of a number with so many digits.
    """
    each = range(digits, digits + more + 1)
    return shown(value, next((n for n in each if round(float(value), n) != limit), digits))


def _signed(value: float, digits: int) -> str:
    if abs(value) >= 10_000:  # the end of an interval that says nothing
        return f"{'over' if value > 0 else 'below'} {10_000 if value > 0 else -10_000:,}"
    return f"{value:+z,.{digits}f}".replace("-", "−")
