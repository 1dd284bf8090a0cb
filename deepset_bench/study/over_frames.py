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
    each = [one["frame_errors"][HELD_OUT] for one in done.result]
    counts = sorted({int(one["frames"]) for one in each})
    frames = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    said = [f"held_out: all frames that are neither for training nor for validation, {frames}"]
    alone = {key: list(_relative(done, key)) for key in _METRICS}
    if any(alone.values()):
        said.append(
            f"which frames these are is worth {_shares(alone, 'of the error of')} (standard error)"
        )
    differences = [d for _, d in zip(range(_PAIRS), _pairs(sweep, done), strict=False)]
    changes = {key: [d[key].log_error for d in differences] for key in _METRICS}
    known = {key: [one for one in values if one is not None] for key, values in changes.items()}
    if any(known.values()):
        said.append(f"of a change, frame by frame, {_shares(known, 'in')}")
    return f"{'; '.join(said)}. Seeds do not show this part: they share most of these frames."


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


def _shares(values: dict[str, list[float]], words: str) -> str:
    known = {key: 100 * median(each) for key, each in values.items() if each}
    return " and ".join(f"{share:.2g} % {words} {_METRICS[key]}" for key, share in known.items())
