"""Generating a data set from end to end: progress on the screen, files on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from deepset_bench import file_version, holding
from deepset_bench.console import Console
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.files import data_place, digest, sync, unfinished_folder, write_text
from deepset_bench.generation.datasheet import Trajectory, command, datasheet
from deepset_bench.generation.processes import complete_checkpoints
from deepset_bench.generation.recipe import Recipe, molecules
from deepset_bench.generation.trajectories import check, generate
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.xtb import METHODS

PACKAGES = ("tblite", "rdkit", "ase", "numpy")


def generate_set(
    name: str,
    smiles: Sequence[str],
    options: Mapping[str, Any],
    out: Path | None = None,
    jobs: int = 1,
    allow_broken: bool = False,
    force: bool = False,
) -> str:
    """Generate a set with progress on the screen, store it, and say what it holds.

    What is done is kept in a hidden folder beside the set until the set is whole: after an
    interruption of any kind, the same arguments go on there and end with the same bytes.

    Args:
        name: of the set.
        smiles: the molecules, see `molecules`; the n-th, from 0, gets the seed `seed` + n.
        options: of the `Recipe`, the same for all molecules.
        out: the folder that receives the folder `name`; by default the set joins the imported
            ones, where `data=name` finds it.
        jobs: molecules at once.
        allow_broken: see `generate`.
        force: replace a set that is already there.

    Raises:
        UserError: see `generate`, for one molecule or more; or the name is taken, and that set
            is left alone; or another process generates it.
    """
    hidden = f".{name}.unfinished"
    unfinished = data_place(hidden) if out is None else out / hidden
    if out is None:
        catalogue.check_new(name, force)
    else:
        _check_new_folder(out, name, force, begun=unfinished.exists())
    recipes = {
        molecule: Recipe(**{**options, "smiles": text, "seed": options["seed"] + n})
        for n, (molecule, text) in enumerate(molecules(name, smiles).items())
    }
    with _held(unfinished):
        trajectories = _trajectories(recipes, unfinished, jobs, allow_broken)
        frames = Frames.concatenate(t.frames for t in trajectories)
        flags = [] if out is None else ["--out", str(out)]
        sheet = complete_datasheet(name, trajectories, flags + ["--allow-broken"] * allow_broken)
        if out is None:
            folder = catalogue.register(name, frames, sheet, force)
        else:
            folder = out / name
            write_set(folder, frames, sheet)
        shutil.rmtree(unfinished, ignore_errors=True)
    assert frames.bias_forces is not None
    what = f"{len(recipes)} molecules" if len(recipes) > 1 else next(iter(recipes.values())).smiles
    said = (
        f"{name}: {len(frames)} frames of {what} "
        f"in {folder}; mean absolute force {np.abs(frames.forces).mean():.4g} eV/angstrom, "
        f"of the bias {np.abs(frames.bias_forces).mean():.4g}"
    )
    return said if out is not None else f"{said}; train on it with: bench train data={name}"


@contextmanager
def _held(unfinished: Path) -> Iterator[None]:
    """The folder of what is done, made and held by this process; gone where nothing is kept there.

    Raises:
        UserError: another process has it.
    """
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        hold = holding.Hold(unfinished)
    except BlockingIOError:
        raise UserError(
            f"{unfinished}: another process generates this set; wait for it, or choose another name"
        ) from None
    try:
        with hold:
            try:
                yield
            finally:  # while it is held: who waits for it sees that it is another file by then
                with suppress(OSError):
                    (unfinished / holding.LOCK).unlink(missing_ok=True)
    finally:
        with suppress(OSError):
            unfinished.rmdir()


def complete_datasheet(
    name: str, trajectories: Sequence[Trajectory], flags: list[str]
) -> dict[str, Any]:
    """The datasheet with versions, licence and command.

    Args:
        name, trajectories: see `datasheet`.
        flags: options of the command beyond the recipe's, as typed.
    """
    return {
        **datasheet(name, trajectories),
        "versions": _versions(),
        "licence": "CC0-1.0",
        "command": command(name, trajectories, flags),
    }


def write_set(folder: Path, frames: Frames, sheet: dict[str, Any]) -> None:
    """Write `frames.npz` and `datasheet.yaml` with its checksum; the second makes it a set.

    Both get their names when both are on disk: an earlier set stays whole until then.
    """
    with unfinished_folder(folder.parent, folder.name) as place:
        new, text = place / "frames.npz", place / "datasheet.yaml"
        frames.save(new)
        whole = file_version.marked({**sheet, "sha256": digest([new])})
        write_text(text, yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))
        folder.mkdir(exist_ok=True)
        for path in (new, text):
            path.replace(folder / path.name)
        sync(folder)


def _trajectories(
    recipes: Mapping[str, Recipe], unfinished: Path, jobs: int, allow_broken: bool
) -> list[Trajectory]:
    """One trajectory of each molecule; several molecules in processes of their own."""
    for molecule, recipe in recipes.items():
        check(molecule, recipe)
    checkpoints = {
        molecule: unfinished / f"{_fingerprint(recipe, allow_broken)}.npz"
        for molecule, recipe in recipes.items()
    }
    with _progress(recipes) as progress:
        if len(recipes) > 1:
            work = {checkpoints[m]: (m, recipe) for m, recipe in recipes.items()}
            failures = complete_checkpoints(work, jobs, allow_broken, progress)
            if failures:
                raise UserError(
                    f"{len(failures)} of {len(recipes)} molecules failed: {'; '.join(failures)}; "
                    "the others are kept, and the same command resumes"
                )
        trajectories = []
        for molecule, recipe in recipes.items():
            frames, temperature = generate(
                molecule,
                recipe,
                partial(progress, molecule),
                allow_broken,
                checkpoints[molecule],
            )
            trajectories.append(Trajectory(molecule, recipe, frames, temperature))
    return trajectories


class _OnProgress(Protocol):
    def __call__(self, molecule: str, done: int, total: int) -> None: ...


@contextmanager
def _progress(recipes: Mapping[str, Recipe]) -> Iterator[_OnProgress]:
    """A function to call with progress: a bar for all frames and one for each molecule at work."""
    some = next(iter(recipes.values()))
    finished = dict.fromkeys(recipes, 0)
    columns = (
        TextColumn("{task.description}", markup=False),  # a SMILES string may hold brackets
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        whole = bars.add_task(f"{METHODS[some.method]} frames", total=some.frames * len(recipes))
        single = {
            molecule: bars.add_task(f"  {molecule}", total=some.frames, visible=False)
            for molecule in recipes
        }

        def show(molecule: str, done: int, total: int) -> None:
            several = len(recipes) > 1
            if several and done == total > finished[molecule] and not bars.console.is_terminal:
                bars.console.print(f"{molecule}: {total} frames")
            finished[molecule] = done
            bars.update(whole, completed=sum(finished.values()))
            bars.update(single[molecule], completed=done, visible=several and done < total)

        yield show


def _fingerprint(recipe: Recipe, allow_broken: bool) -> str:
    """Names a trajectory by all that decides its bytes."""
    decisive = json.dumps([asdict(recipe), allow_broken, _versions()])
    return hashlib.sha256(decisive.encode()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in PACKAGES}


def _check_new_folder(out: Path, name: str, force: bool, *, begun: bool) -> None:
    """Refuse to replace a set, or frames that this command has not `begun` to put there."""
    if Path(name).name != name or name.startswith("."):
        raise UserError(f"{name!r} cannot be the name of a set: it must be a plain folder name")
    files = ["datasheet.yaml"] if begun else ["frames.npz", "datasheet.yaml"]
    taken = [file for file in files if (out / name / file).exists()]
    if taken and not force:
        raise UserError(f"{out / name} already has {taken[0]}; choose another name or use --force")
