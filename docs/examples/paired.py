"""How many times larger the errors of one sweep are than another's, paired by row and seed.

    bench tables generalisation --format csv --results docs/results.csv > rows.csv
    python docs/examples/paired.py rows.csv generalisation_tasks generalisation_tasks_schnet

The ratio of the second sweep's errors to the first's, out of distribution: of each row that both
have over the seeds that both have, and over the rows, a mean over seeds each. Means of log ratios
with 95 % t-intervals; a row of one seed has none, and is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from deepset_bench.study.statistics import estimate

COLUMNS = {"energy": "ood energy", "about the mean": "ood relative", "forces": "ood forces"}


def ratio(logs: Sequence[float]) -> str:
    """`1.44 [1.34, 1.55]`; a dash where fewer than two are known."""
    known = [one for one in logs if not np.isnan(one)]
    if len(known) < 2:
        return "—"
    found = estimate(known)
    mean, low, high = np.exp([found.mean, found.low, found.high])
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="what bench tables --format csv says")
    parser.add_argument("one", help="name of the sweep that is compared with")
    parser.add_argument("other", help="name of the sweep whose errors are divided by the first's")
    given = parser.parse_args(arguments)
    frame = pd.read_csv(given.rows)
    one, other = (frame[frame.sweep == name] for name in (given.one, given.other))
    both = one.merge(other, on=["row", "seed"], suffixes=(" one", " other"))
    if both.empty:
        parser.error(f"{given.one} and {given.other} share no row and seed")
    logs = pd.DataFrame(
        {name: np.log(both[f"{c} other"] / both[f"{c} one"]) for name, c in COLUMNS.items()}
    )
    print(f"| row | n | {' | '.join(COLUMNS)} |")
    print(f"| :-- | --: |{' --: |' * len(COLUMNS)}")
    lines = [(row, own) for row, own in logs.groupby(both.row, sort=False) if len(own) > 1]
    means = logs.groupby(both.row).mean()
    for row, own in [*lines, ("over rows", means)]:
        print(f"| {row} | {len(own)} | {' | '.join(ratio(own[name].tolist()) for name in logs)} |")


if __name__ == "__main__":
    main()
