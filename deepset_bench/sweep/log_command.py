"""`bench log sync`: what loggers could not do while runs were trained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deepset_bench.errors import UserError, one_line
from deepset_bench.runs import RunFolder, RunsFolder, named_run, runs_root
from deepset_bench.surroundings import say
from deepset_bench.sweep.listed import listed
from deepset_bench.training import ml_flow, weights_and_biases

SEND = (sys.executable, "-m", "wandb", "sync")
_AT_ONCE = 100
"""Recordings in one call; command lines have an end."""


def sync(words: Sequence[str], runs_dir: Path | None) -> None:
    """Send what W&B has recorded offline, and tell MLflow which runs have died.

    Args:
        words: of runs, see `listed`.
        runs_dir: where they are; None as for `bench train`.

    Raises:
        UserError: there is something to send, and nobody is logged in to W&B or it cannot be sent.
    """
    root = runs_root(runs_dir)
    if root.is_file():
        named_run("", root)  # a table has no recordings
    folders = [named_run(one.path, root) for one in listed(words, RunsFolder(root))]
    still = [one for one in folders if not one.is_held()]
    if marked := _mark(still, root):
        say(f"MLflow: {marked} marked as failed that had died")
    recordings = [path for folder in still for path in _unsent(folder)]
    if not recordings:
        say("W&B: nothing to send; every recording of these runs was sent, or there is none")
        return
    if why := weights_and_biases.login():
        raise UserError(f"W&B: {_told(len(recordings))} to send, but {why}")
    said = ""
    for first in range(0, len(recordings), _AT_ONCE):
        some = [str(path) for path in recordings[first : first + _AT_ONCE]]
        done = subprocess.run([*SEND, *some], capture_output=True, text=True, check=False)
        said = said or (done.stderr or done.stdout if done.returncode else "")
    left = [path for path in recordings if not _is_sent(path)]
    say(f"W&B: {_told(len(recordings) - len(left))} sent")
    if left:
        why = one_line(Exception(said.strip().splitlines()[-1])) if said.strip() else "no reason"
        raise UserError(f"W&B: {_told(len(left))} not sent ({why}); the same command tries again")


def _told(count: int) -> str:
    return f"{count} recording{'' if count == 1 else 's'}"


def _unsent(folder: RunFolder) -> list[Path]:
    """Recordings of a run, oldest first, as one that was interrupted has several."""
    recordings = sorted(folder.path.glob("wandb/offline-run-*"))
    return [path for path in recordings if any(path.glob("*.wandb")) and not _is_sent(path)]


def _is_sent(recording: Path) -> bool:
    return any(recording.glob("*.wandb.synced"))


def _mark(folders: Sequence[RunFolder], root: Path) -> int:
    """Mark as failed in MLflow what is said to be running and is not; returns how many."""
    ids = {ml_flow.run_id(folder): folder for folder in folders if not folder.has_ended()}
    ids.pop(None, None)
    if not ids:
        return 0
    store, marked = ml_flow.client(root), 0
    for run in filter(None, ids):
        if store.get_run(run).info.status == "RUNNING":
            store.set_terminated(run, "FAILED")
            marked += 1
    return marked
