"""The table of docs/discontinuities.md from runs that `bench evaluate ... scan=` has scanned.

    bench evaluate runs/but-2-ene/corrected/*/seed-* scan=torsion,bond,pair
    python docs/examples/discontinuities.py runs/but-2-ene/corrected/*/seed-*

One row a variant, over the seeds that are given: jumps and cusps of a run (mean), the largest jump
of any run, and the mean absolute errors of the test frames.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

KINDS = ("torsion", "bond", "pair")


def rows(run: Path) -> list[dict[str, Any]]:
    """One row for each scan of a run."""
    scans = [run / "evaluation" / f"scan-{kind}" / "scan.json" for kind in KINDS]
    scans = [path for path in scans if path.is_file()]
    if not scans:
        return []
    metrics = json.loads((run / "result.json").read_text())["metrics"]["test"]
    own = {"run": str(run), "variant": run.resolve().parent.name, **metrics}
    return [{**own, **json.loads(path.read_text())} for path in scans]


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="+", type=Path, help="folders of scanned runs")
    given = parser.parse_args(arguments)
    frame = pd.DataFrame([row for run in given.run for row in rows(run)])
    if frame.empty:
        parser.error(
            "none of these runs has been scanned: bench evaluate RUN scan=torsion,bond,pair"
        )
    kinds = [kind for kind in KINDS if kind in set(frame["scan"])]
    headings = ["variant", "runs", "energy MAE / meV", "force MAE / (meV/Å)"]
    headings += [f"{kind}: jumps, largest / meV, cusps" for kind in kinds] + ["causes"]
    print(line(headings))
    print(line([":--", *["--:"] * (len(headings) - 2), ":--"]))
    for variant, group in frame.groupby("variant", sort=False):
        first = group.drop_duplicates("run")
        energy = 1000 * first["energy_mae_ev"].mean()
        forces = 1000 * first["forces_mae_ev_per_angstrom"].mean()
        cells = [str(variant), str(len(first)), f"{energy:.1f}", f"{forces:.1f}"]
        for kind in kinds:
            own = group[group["scan"] == kind]
            largest = 1000 * own["largest_jump_ev"].astype(float).max()
            size = "—" if pd.isna(largest) else f"{largest:.3g}"
            cells.append(f"{own['jumps'].mean():.3g}, {size}, {own['cusps'].mean():.3g}")
        causes = {cause for found in group["causes"] for cause in found}
        print(line([*cells, ", ".join(sorted(causes)) or "—"]))


if __name__ == "__main__":
    main()
