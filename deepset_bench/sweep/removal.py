"""`bench rm`: folders of runs away, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deepset_bench.console import Console
from deepset_bench.errors import UserError
from deepset_bench.runs import LOCK, RunFolder, RunsFolder, runs_root
from deepset_bench.sweep.listed import listed


def remove(words: Sequence[str], runs_dir: str | Path | None, *, yes: bool) -> bool:
    """Remove the runs that the words mean; returns whether that was done.

    Args:
        words: see `listed`; at least one.
        runs_dir: the folder of the runs; None as for `bench train`.
        yes: whether to remove without asking.

    Raises:
        UserError: nothing is removed: a word means no run, a run is being trained or is reached
            through a link, or nobody can be asked.
        Busy: a process began to train a run meanwhile; those before it are removed.
    """
    root, console = runs_root(runs_dir).absolute(), Console()
    found = (
        RunFolder(folder.path.absolute())
        for folder in listed(words, RunsFolder(runs_root(runs_dir)))
    )
    folders = [folder for folder in found if folder.is_run()]
    if not folders:
        raise UserError(f"{' '.join(words)}: no such run on disk; bench status lists these")
    for folder in folders:
        _check(folder, root)
    for folder in folders:
        console.print(str(folder.path), soft_wrap=True)
    runs = "this run" if len(folders) == 1 else f"these {len(folders)} runs"
    if not yes:
        if not sys.stdin.isatty():
            raise UserError(f"nobody is there to confirm; --yes deletes {runs} without asking")
        if input(f"remove {runs}? [y/N] ").strip().lower() not in ("y", "yes"):
            console.print("nothing is removed")
            return False
    for folder in folders:
        if kept := _remove(folder, root):
            said = f"{folder.path} stays, with what no run made: {', '.join(kept)}"
            console.print(said, soft_wrap=True)
    console.print(f"removed {len(folders)} run{'' if len(folders) == 1 else 's'}")
    return True


def _check(folder: RunFolder, root: Path) -> None:
    if folder.is_held():
        raise UserError(f"{folder.path} is being trained by a process; stop that first")
    inside = folder.path.is_relative_to(root)
    outside = inside and not folder.path.resolve().is_relative_to(root.resolve())
    if folder.path.is_symlink() or outside:
        raise UserError(
            f"{folder.path} is a link to {folder.path.resolve()}; remove the link yourself, or "
            "name the folder where it is"
        )


def _remove(folder: RunFolder, root: Path) -> list[str]:
    """Names of what is left in the folder; empty where the folder is away."""
    with folder.lock():
        folder.clear()
        (folder.path / LOCK).unlink()
    kept = sorted(path.name for path in folder.path.iterdir())
    if not kept:
        folder.path.rmdir()
        for parent in folder.path.parents:
            if parent == root or not parent.is_relative_to(root):
                break
            with suppress(OSError):  # it holds other runs
                parent.rmdir()
    return kept
