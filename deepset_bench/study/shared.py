"""Runs that can be compared: of several rows, those of the seeds that all of them have.

A seed draws the split: errors of other seeds are of other frames, which may be harder ones.
"""

from __future__ import annotations

import pandas as pd

SEVERAL = 2
"""Seeds from which on there is scatter to tell a difference from."""


def shared(runs: pd.DataFrame, fewest: int = 1) -> pd.DataFrame:
    """The runs of rows with so many seeds, of the seeds that all these rows have.

    Args:
        runs: `collect`'s frame, of one condition or of several, which have to share them, too.
        fewest: seeds of a row; those with fewer are left out.

    Returns:
        Those that are done; none where fewer seeds are shared.
    """
    done = runs[runs.state == "done"]
    having = done.groupby(["label", "condition"]).replicate.transform("nunique")
    there = done[having >= fewest]
    each = [set(group.replicate) for _, group in there.groupby(["label", "condition"])]
    common = set.intersection(*each) if each else set()
    return there[there.replicate.isin(common if len(common) >= fewest else ())]
