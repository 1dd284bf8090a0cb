"""What an effect is, and when a claim about effects holds: one rule for everything that is judged.

Three questions are kept apart, because the answer to one says nothing of the others: which way an
error changes, by how much, and whether that matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deepset_bench.study.effect import Effect
from deepset_bench.study.statistics import CONFIDENCE, Estimate

ALPHA = 1 - CONFIDENCE
"""How often chance alone may decide."""

LESS, MORE, EQUAL, UNDECIDED = "less", "more", "equal", "undecided"
HOLDS, IN_DIRECTION, SMALLER, LARGER = "holds", "direction holds", "smaller", "larger"
NOT_ALL, REVERSED = "not all", "reversed"
WORDS = (HOLDS, IN_DIRECTION, SMALLER, LARGER, NOT_ALL, EQUAL, REVERSED, UNDECIDED)
"""What a claim's verdict may be, in the order in which they are counted."""
YES, NO, AS_CLAIMED = "yes", "no", "as claimed"
RULE = (
    "Verdicts. Changes are means of log ratios over shared seeds, with 95 % t-intervals. "
    "Direction: yes if all intervals lie on the claimed side of zero, reversed if at least one is "
    "on the other side. Size: smaller or larger if at least one interval ends short of the claimed "
    "size or begins beyond it, as claimed if all lie within {margin} of it. Beyond the margin of "
    "{margin}: yes if all intervals lie outside it, no if all changes are equal to none, which two "
    "one-sided tests at 5 % decide, not all if at least one is. Intervals that speak against a "
    "claim are widened for its number of comparisons (Bonferroni)."
)
"""`judge` in the words of the table's footnote."""
EQUAL_RULE = (
    "A claim that two errors are equal: yes if two one-sided tests show every change to be within "
    "± {margin}, reversed if at least one interval lies beyond it."
)
"""The same of a claim of equality."""


def margin_text(margin: float) -> str:
    """`5 %`, `12.5 %`: with the digits that a person chose."""
    return f"{100 * margin:.3g} %"


def sign(effect: Effect, margin: float) -> str:
    """Which way an effect goes.

    Args:
        effect: what was measured.
        margin: up to this fraction an effect does not matter.

    Returns:
        LESS or MORE where the interval excludes zero; else EQUAL where it is shown to lie within
        the margin (two one-sided tests; D. Schuirmann, J. Pharmacokinet. Biopharm. 15, 657, 1987),
        else UNDECIDED.
    """
    found = effect.estimate()
    if found.excludes_zero:
        return MORE if found.mean > 0 else LESS
    return EQUAL if is_equal(effect, margin) else UNDECIDED


def is_equal(effect: Effect, margin: float, alpha: float = ALPHA) -> bool:
    """Whether an effect is shown to be none that matters: its 1 - 2 alpha interval is within."""
    return effect.relative and _within(effect.estimate(1 - 2 * alpha), 0.0, margin)


@dataclass(frozen=True)
class Judged:
    """What the runs say of a claim.

    Attributes:
        direction: YES, REVERSED or UNDECIDED.
        size: AS_CLAIMED, SMALLER, LARGER or UNDECIDED; empty where none is claimed.
        matters: whether the effects are beyond the margin: YES all, NO none, NOT_ALL if at least
            one is shown not to be, else UNDECIDED; empty of a claim of equality, whose direction is
            within the margin, and of differences.
        at: how many seeds each had when the direction was decided; 0 where it is not.
    """

    direction: str
    size: str = ""
    matters: str = ""
    at: int = 0

    @property
    def word(self) -> str:
        """All of it in one of WORDS."""
        if self.direction == REVERSED:
            return REVERSED
        if self.direction == YES:
            return {"": HOLDS, AS_CLAIMED: HOLDS, UNDECIDED: IN_DIRECTION}.get(self.size, self.size)
        if self.matters == NO:
            return EQUAL
        if self.matters == NOT_ALL:
            return NOT_ALL
        return SMALLER if self.size == SMALLER else UNDECIDED


@dataclass(frozen=True)
class Claimed:
    """What is claimed of every one of some effects.

    Attributes:
        direction: +1 for more, -1 for less, 0 for equal within the margin.
        size: a positive fraction; None where there is none.
        at_least: whether larger effects are as claimed, too.
    """

    direction: int
    size: float | None = None
    at_least: bool = False


Judge = Callable[[Sequence[Effect], Claimed, float], Judged]
"""`judge` with its alpha, or one that looks several times."""


def judge(
    effects: Sequence[Effect], claimed: Claimed, margin: float, alpha: float = ALPHA
) -> Judged:
    """What effects say of a claim about every one of them.

    What speaks against a claim is to be beyond chance for all of its comparisons together
    (Bonferroni): one chance deviation among many must not refute it. What speaks for it needs no
    correction, because every effect has to.

    Args:
        effects: what was measured.
        claimed: what is claimed of each.
        margin: up to this fraction an effect does not matter.
        alpha: of each test.
    """
    usual, strict = 1 - alpha, 1 - alpha / max(len(effects), 1)
    for_it = [e.estimate(usual) for e in effects]
    against = [e.estimate(strict) for e in effects]
    seeds = min((e.n for e in effects), default=0)
    ratios = all(e.relative for e in effects)
    if claimed.direction == 0:
        outside = any(_beyond(one, 1, margin) or _beyond(one, -1, margin) for one in against)
        within = bool(effects) and all(is_equal(e, margin, alpha) for e in effects)
        direction = REVERSED if ratios and outside else YES if within else UNDECIDED
        return Judged(direction, at=_decided(direction, seeds))
    way = claimed.direction
    if any(one.excludes_zero and one.mean * way < 0 for one in against):
        direction = REVERSED
    elif effects and all(one.excludes_zero and one.mean * way > 0 for one in for_it):
        direction = YES
    else:
        direction = UNDECIDED
    matters = UNDECIDED
    if effects and all(is_equal(e, margin, alpha) for e in effects):
        matters = NO
    elif any(is_equal(e, margin, alpha / len(effects)) for e in effects):
        matters = NOT_ALL
    elif effects and all(_beyond(one, way, margin) for one in for_it):
        matters = YES
    size = "" if claimed.size is None else UNDECIDED
    if claimed.size is not None and ratios and effects:
        size = _size(effects, against, claimed, margin, alpha)
    return Judged(direction, size, matters if ratios else "", _decided(direction, seeds))


def _size(
    effects: Sequence[Effect],
    against: Sequence[Estimate],
    claimed: Claimed,
    margin: float,
    alpha: float,
) -> str:
    way, size = claimed.direction, claimed.size or 0.0
    middle = math.log1p(way * size) if way * size > -1 else -math.inf
    if any(_farthest(one, way) < way * middle for one in against):  # never NaN
        return SMALLER
    if claimed.at_least:
        near = [e.estimate(1 - alpha) for e in effects]
        reached = all(_nearest(one, way) >= way * middle for one in near)
        return AS_CLAIMED if reached else UNDECIDED
    if any(_nearest(one, way) > way * middle for one in against):
        return LARGER
    close = all(_within(e.estimate(1 - 2 * alpha), middle, margin) for e in effects)
    return AS_CLAIMED if close else UNDECIDED


def _within(found: Estimate, middle: float, margin: float) -> bool:
    """Whether an interval of log ratios is closer than a fraction to a middle; false for NaN."""
    bound = math.log1p(margin)
    return middle - bound <= found.low and found.high <= middle + bound


def _beyond(found: Estimate, way: int, margin: float) -> bool:
    """Whether an interval of log ratios lies outside the margin, on one side; false for NaN."""
    return _nearest(found, way) > math.log1p(margin)


def _nearest(found: Estimate, way: int) -> float:
    """How far the interval at least goes this way."""
    return found.low if way > 0 else -found.high


def _farthest(found: Estimate, way: int) -> float:
    """How far it goes this way at most."""
    return found.high if way > 0 else -found.low


def _decided(direction: str, seeds: int) -> int:
    return 0 if direction == UNDECIDED else seeds
