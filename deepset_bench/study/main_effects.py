"""What each option of a factor changes, averaged over all options of the others.

Rows that are every combination of several axes are a full factorial design (R. A. Fisher, The
Design of Experiments, 1935): each run then tells of every factor, so that a factor is measured by
all of them, not by the one pair of rows that differ in it alone, and whether two factors act on
each other is measured, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from deepset_bench.replicate import Replicate
from deepset_bench.study.draws import independent
from deepset_bench.study.effect import Effect, Values
from deepset_bench.sweep.comparisons import Axis

NOTE = (
    "Factors: what the second option of an axis changes against its first, the mean of log ratios "
    "over all combinations of the other axes, by seed. A × B: by how much B changes more where A "
    "has its second option; no change where the two act independently, as factors of the error."
)


@dataclass(frozen=True)
class Factor:
    """An effect of one option, or of two options on each other.

    Attributes:
        name: `KEY: FIRST → OTHER`, or both with × between.
        effect: over seeds that every combination has.
        joint: whether it is of two options on each other.
    """

    name: str
    effect: Effect
    joint: bool = False


def factors(axes: tuple[Axis, ...], values: Mapping[tuple[str, ...], Values]) -> list[Factor]:
    """Of a full factorial design: each option against the first of its axis, then pairs of them.

    Args:
        axes: of the rows.
        values: combination of options, one of each axis in their order -> error by replicate.

    Returns:
        Nothing where there are fewer than two axes, or no replicate has a positive error for every
        combination.
    """
    cells = list(product(*(axis.options for axis in axes)))
    shared = set.intersection(*(set(values.get(cell, {})) for cell in cells)) if cells else set()
    seeds = [one for one in sorted(shared) if all(values[cell][one] > 0 for cell in cells)]
    if len(axes) < 2 or not seeds:
        return []
    sizes = [len(axis.options) for axis in axes]
    table = np.array([_logs(values[cell], seeds) for cell in cells]).reshape(*sizes, len(seeds))
    found = []
    contrasts = list(_contrasts(axes))
    for of in [*((one,) for one in contrasts), *combinations(contrasts, 2)]:
        if len({place for place, *_ in of}) < len(of):
            continue
        name = " × ".join(name for *_, name in of)
        found.append(Factor(name, _effect(table, of, seeds), joint=len(of) > 1))
    return found


def _contrasts(axes: tuple[Axis, ...]) -> Iterator[tuple[int, int, str]]:
    """Place of an axis, of an option that is not its first, and what that is called."""
    for place, axis in enumerate(axes):
        for other, option in enumerate(axis.options[1:], 1):
            yield place, other, f"{axis.key}: {axis.options[0]} → {option}"


def _effect(
    table: np.ndarray, of: tuple[tuple[int, int, str], ...], seeds: list[Replicate]
) -> Effect:
    """The contrast of these axes, averaged over the others, by replicate."""
    # The last axis first, so that the places of those before it stay.
    for place, other, _ in sorted(of, reverse=True):
        table = table.take(other, axis=place) - table.take(0, axis=place)
    changes = table.reshape(-1, table.shape[-1]).mean(axis=0)
    return Effect("", tuple(independent(dict(zip(seeds, changes.tolist(), strict=True)))), True)


def _logs(values: Mapping[Replicate, float], seeds: list[Replicate]) -> list[float]:
    return [math.log(values[one]) for one in seeds]
