"""Verdicts that looking several times does not spoil: which effects are decided, and at which look.

The rows of a table are judged together: Holm's method at each look, with what a rejected hypothesis
leaves to the others (W. Maurer, F. Bretz, Stat. Biopharm. Res. 5, 311, 2013; Y. Ye, A. Li, L. Liu,
B. Yao, Stat. Med. 32, 1112, 2013). Nothing is stored between looks: what they said follows from
the runs that are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepset_bench.stamps import before_its_start
from deepset_bench.study.boundary import Looks, levels
from deepset_bench.study.effect import Effect
from deepset_bench.study.statistics import equality_p_value
from deepset_bench.study.verdict import (
    ALPHA,
    EQUAL,
    LESS,
    MORE,
    UNDECIDED,
    Claimed,
    Judge,
    Judged,
    judge,
)

P = NDArray[np.float64]
"""p-values (looks, effects, ...) of any number of tables; NaN where a look cannot be made yet."""
At = NDArray[np.int64]
"""The look at which each was decided, counted from 1; 0 where none did."""


@dataclass(frozen=True)
class Decision:
    """What the looks say of an effect.

    Attributes:
        word: LESS, MORE, EQUAL or UNDECIDED.
        at: seeds at the look that said so; 0 where it is open.
    """

    word: str
    at: int = 0


def looks_of(results: Iterable[Mapping[str, Any]]) -> Looks:
    """The looks of the stopping rules that runs carry; nothing where their number was fixed.

    Seeds that were there before stopping depended on looks count as the others: the looks are at
    the first ones. Who registered a number of seeds, and later another or looks, has looked at that
    number, too.

    Args:
        results: of the runs, as result.json has them.
    """
    looks, fixed = _rules(results)
    return tuple(sorted(looks | fixed)) if looks or len(fixed) > 1 else ()


def planned(results: Iterable[Mapping[str, Any]]) -> int:
    """The number of seeds that was registered as the only one to look at; 0 where none was."""
    looks, fixed = _rules(results)
    return min(fixed) if len(fixed) == 1 and not looks else 0


def _rules(results: Iterable[Mapping[str, Any]]) -> tuple[set[int], set[int]]:
    """Of the stopping rules that runs carry: looks, and numbers of seeds."""
    rules = [stamp["rule"] for one in results for stamp in before_its_start(one)]
    looks = {n for rule in rules for n in rule.get("looks", ())}
    return looks, {rule["seeds"] for rule in rules if "seeds" in rule}


def decide(effects: Sequence[Effect], looks: Looks, margin: float) -> list[Decision]:
    """What looks at the first seeds of a table say of each of its effects.

    Args:
        effects: all that are judged together: each row of a table in each metric, begun or not.
        looks: see `Looks`.
        margin: up to this fraction an effect does not matter.
    """
    change, equality = np.full((2, len(looks), len(effects)), math.nan)
    for place, n in enumerate(looks):
        for number, one in enumerate(effects):
            if one.n >= n:
                seen = one.first(n)
                change[place, number] = seen.p
                if seen.relative:
                    equality[place, number] = equality_p_value(seen.changes, math.log1p(margin))
    changed, equal = first_looks(change, equality, looks)
    found = []
    for one, as_change, as_equal in zip(effects, changed, equal, strict=True):
        if as_change:
            n = looks[as_change - 1]
            found.append(Decision(MORE if one.first(n).estimate().mean > 0 else LESS, n))
        else:
            found.append(Decision(EQUAL, looks[as_equal - 1]) if as_equal else Decision(UNDECIDED))
    return found


def first_looks(change: P, equality: P, looks: Looks) -> tuple[At, At]:
    """At which look each effect is found to be one, or to be none that matters.

    False changes are rare among all effects of a table, and false equalities are: each of the two
    questions has its own Holm, and an answer to one leaves nothing to the other.

    Args:
        change: of no change, two-sided.
        equality: of a change beyond the margin, the larger of two one-sided.
        looks: see `Looks`.

    Returns:
        (effects, ...) each. What one look decides no later one does again.
    """
    count = change.shape[1]
    at = np.zeros((2, *change.shape[1:]), dtype=np.int64)
    for place in range(len(looks)):
        allowed = np.array([math.nan, *(levels(looks, ALPHA / n)[place] for n in _up_to(count))])
        for p, mine in ((change, at[0]), (equality, at[1])):
            while True:
                left = count - (mine > 0).sum(0)
                new = (at == 0).all(0) & (p[place] <= allowed[left])
                if not new.any():
                    break
                mine[new] = place + 1
    return at[0], at[1]


def _up_to(count: int) -> range:
    return range(1, count + 1)


def judge_at(looks: Looks) -> Judge:
    """`judge` with a look at each of these numbers of seeds; each answer is that of the first look
    that has one.

    What speaks against a claim is again beyond chance for all of its comparisons together.
    """

    def judged(effects: Sequence[Effect], claimed: Claimed, margin: float) -> Judged:
        count = max(len(effects), 1)
        found = judge((), claimed, margin)
        for place, n in enumerate(looks):
            if all(one.n >= n for one in effects):
                alpha = count * levels(looks, ALPHA / count)[place]
                now = judge([one.first(n) for one in effects], claimed, margin, alpha)
                found = _earlier(found, now)
        return found

    return judged


def _earlier(before: Judged, now: Judged) -> Judged:
    """The answers of two looks, of each question the first."""
    if before.direction == UNDECIDED:
        before = replace(before, direction=now.direction, at=now.at)
    if before.size in ("", UNDECIDED):
        before = replace(before, size=now.size)
    if before.matters in ("", UNDECIDED):
        before = replace(before, matters=now.matters)
    return before
