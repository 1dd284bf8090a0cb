"""Which values of runs are independent: runs of one split share what its frames are like."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from deepset_bench.replicate import Replicate


def independent(values: Mapping[Replicate, float]) -> list[float]:
    """One value for each split, the mean over its runs; where all are of one split, each run's.

    Runs with the same training frames are no new draw of them. With a third of the variance of a
    change due to the split, a t-test over the nine runs of three splits and three seeds finds an
    effect where there is none in 12 % of the cases instead of 5 %, over three and five in 19 %.

    Args:
        values: by replicate. A run whose seed draws the split is the same as one whose split is
            drawn by that seed, and counts once.

    Returns:
        In the order of the seeds that draw the splits; of one split, of the seeds.
    """
    splits: dict[int, dict[int, float]] = {}
    for one in sorted(values):
        splits.setdefault(one.drawn_by, {}).setdefault(one.seed, values[one])
    if len(splits) == 1:
        (runs,) = splits.values()
        return [runs[seed] for seed in sorted(runs)]
    return [fmean(splits[split].values()) for split in sorted(splits)]
