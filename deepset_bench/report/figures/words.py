"""Words that several figures share."""

from __future__ import annotations

import pandas as pd


def condition_title(condition: str) -> str:
    """For a panel."""
    return {"report": "as in the report", "corrected": "corrected"}[condition]


def seeds(runs: pd.DataFrame) -> str:
    """How many seeds the curves of a figure have: `n = 3`, `n = 1 to 3`."""
    if runs.empty:
        return "no run"
    counts = sorted(set(runs.groupby(["label", "condition"]).size()))
    return f"n = {' to '.join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))}"
