"""What it is worth which frames a set has: uncertainty of an error that no seed shows."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import pandas as pd

from deepset_bench.errors import UserError
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.runs import RunFolder
from deepset_bench.scoring.frame_errors import FrameErrors, compared
from deepset_bench.study.columns import HELD_OUT
from deepset_bench.sweep.comparisons import Comparison

_METRICS = {ENERGY_MAE: "energies", FORCES_MAE: "forces"}
_PAIRS = 50
"""So many pairs of runs tell what is typical."""


def note(sweep: Comparison, runs: pd.DataFrame) -> str:
    """How many frames are held out, and standard errors over frames of an error and of a change.

    Args:
        sweep: whose runs they are.
        runs: from `collect`, scored on their held-out frames.
    """
    done = runs[runs.state == "done"]
    known = [one.get("frame_errors", {}).get(HELD_OUT) is not None for one in done.result]
    done = done[known]
    counts = sorted({int(one["frame_errors"][HELD_OUT]["frames"]) for one in done.result})
    frames = " to ".join(f"{n:,}" for n in dict.fromkeys((*counts[:1], *counts[-1:])))
    what = f"{HELD_OUT}: all frames that are neither for training nor for validation"
    said = []
    alone = {key: list(_relative(done, key)) for key in _METRICS}
    if any(alone.values()):
        said.append(f"an error would differ by {_shares(alone)}")
    differences = [d for _, d in zip(range(_PAIRS), _pairs(sweep, done), strict=False)]
    changes = {
        key: [x for d in differences if (x := d[key].log_error) is not None] for key in _METRICS
    }
    if any(changes.values()):
        said.append(f"a change, frame by frame, by {_shares(changes)}")
    others = (
        f" With others in their place, {', and '.join(said)} (standard errors)." if said else ""
    )
    return (
        f"{what}{f' ({frames})' if frames else ''}.{others} Seeds do not show this part: they "
        "share most of these frames."
    )


def _relative(done: pd.DataFrame, key: str) -> Iterator[float]:
    """Standard errors over frames as fractions of the errors."""
    for result in done.result:
        error, of = result["frame_errors"][HELD_OUT].get(key), result["metrics"][HELD_OUT].get(key)
        if error is not None and of:
            yield error / of


def _pairs(sweep: Comparison, done: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows against their baseline on the frames of both, where their folders have each frame."""
    for _, group in done.groupby("condition"):
        folders = {
            (label, one): path
            for label, one, path in zip(group.label, group.replicate, group.folder, strict=True)
        }
        for (label, one), path in folders.items():
            base = folders.get((sweep.baseline, one))
            if label == sweep.baseline or base is None:
                continue
            try:
                own, other = (FrameErrors.load(RunFolder(place).held_out) for place in (path, base))
                yield compared(own, other)
            except UserError:  # of a table of results, or removed
                continue


def _shares(values: dict[str, list[float]]) -> str:
    known = {key: 100 * median(each) for key, each in values.items() if each}
    return " and ".join(f"{share:.2g} % for {_METRICS[key]}" for key, share in known.items())
