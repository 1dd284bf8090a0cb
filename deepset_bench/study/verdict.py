"""When a claim holds: one rule for every claim that runs can decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deepset_bench.replicate import Replicate
from deepset_bench.study.statistics import CONFIDENCE, Estimate, paired

HOLDS, SMALLER, REVERSED, UNDECIDED = "holds", "smaller", "reversed", "undecided"
RULE = (
    "holds: all 95 % intervals lie on the claimed side of zero; reversed: at least one lies on the "
    "other side; smaller: at least one does not reach the claimed size; undecided: all other "
    "cases. Intervals that speak against a claim are widened for its number of comparisons."
)
"""`judge` in the words of the table's footnote."""
EQUAL_RULE = (
    "A claim that two errors are equal holds if all 95 % intervals of their difference lie within "
    "± {margin:.3g} % of the baseline; it is reversed if at least one lies outside."
)
"""The same of `judge_equal`."""

Values = Mapping[Replicate, float]
"""Replicate -> value."""


@dataclass(frozen=True)
class Effect:
    """A paired difference over shared seeds.

    Attributes:
        name: what is compared with what.
        usual: with its 95 % interval.
        strict: the same with an interval for several comparisons at once (Bonferroni).
    """

    name: str
    usual: Estimate
    strict: Estimate


def effect(
    name: str, variant: Values, baseline: Values, comparisons: int, *, relative: bool
) -> Effect:
    """The difference of variant and baseline.

    Args:
        name: what is compared with what.
        variant: values by seed.
        baseline: values by seed.
        comparisons: how many effects the claim consists of.
        relative: divide by the baseline's mean over the shared seeds, which counts as exact, so
            that the interval excludes zero where the difference's does.
    """
    shared = variant.keys() & baseline.keys()
    size = float(np.mean([baseline[seed] for seed in shared])) if relative and shared else 1.0
    confidences = (CONFIDENCE, 1 - (1 - CONFIDENCE) / comparisons)
    scale = 1 / size if size else math.nan
    usual, strict = (paired(variant, baseline, c).scaled(scale) for c in confidences)
    return Effect(name, usual, strict)


def judge(effects: Sequence[Effect], direction: int, size: float | None) -> str:
    """Whether a claim about every one of the effects is true.

    * `reversed`: some interval lies on the other side of zero.
    * `smaller`: otherwise, if some interval ends short of the claimed size.
    * `holds`: otherwise, if every 95 % interval lies on the claimed side of zero.
    * `undecided`: anything else; so always with one seed, which has no interval.

    The intervals that can speak against a claim are 95 % for all of its comparisons together
    (Bonferroni): one chance deviation among many must not. Those that speak for it need no
    correction, because all of them have to.

    Args:
        effects: what was measured.
        direction: +1 where the claim says more, -1 where it says less.
        size: of the claimed effects, positive, in their unit; None where the claim has none.
    """
    if any(e.strict.excludes_zero and e.strict.mean * direction < 0 for e in effects):
        return REVERSED
    far = [direction * e.strict.mean + e.strict.half for e in effects]
    if size is not None and any(end < size for end in far):  # never NaN, which has no interval
        return SMALLER
    if all(e.usual.excludes_zero and e.usual.mean * direction > 0 for e in effects):
        return HOLDS
    return UNDECIDED


def judge_equal(effects: Sequence[Effect], margin: float) -> str:
    """Whether every one of the effects is none that matters.

    * `reversed`: some interval, widened for the number of comparisons, lies outside the margin.
    * `holds`: otherwise, if every 95 % interval lies within it.
    * `undecided`: anything else.

    Args:
        effects: what was measured, as fractions of the baselines.
        margin: up to this fraction an effect does not matter.
    """
    if any(abs(e.strict.mean) - e.strict.half > margin for e in effects):  # never NaN
        return REVERSED
    if all(abs(e.usual.mean) + e.usual.half <= margin for e in effects):
        return HOLDS
    return UNDECIDED
