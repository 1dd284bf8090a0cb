"""Generating a data set from end to end: progress on the screen, files on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import Progress

from deepset_bench.data import catalogue
from deepset_bench.data.datasheet import command, datasheet
from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.generate import generate
from deepset_bench.data.recipe import Recipe
from deepset_bench.data.xtb import METHODS
from deepset_bench.errors import UserError
from deepset_bench.files import write_text

PACKAGES = ("tblite", "rdkit", "ase", "numpy")


def generate_set(
    name: str,
    recipe: Recipe,
    out: Path | None = None,
    allow_broken: bool = False,
    force: bool = False,
) -> str:
    """Generate a set with a progress bar, store it, and say what it holds.

    Args:
        name, recipe, allow_broken: see `generate`.
        out: the folder that receives the folder `name`; by default the set joins the imported
            ones, where `data=name` finds it.
        force: replace a set that is already there.

    Raises:
        UserError: see `generate`; or the name is taken, and that set is left alone.
    """
    if out is None:
        catalogue.check_new(name, force)
    else:
        _check_new_folder(out, name, force)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{METHODS[recipe.method]} frames", total=recipe.frames)
        frames, temperature = generate(
            name, recipe, lambda done, total: bar.update(task, completed=done), allow_broken
        )
    flags = [] if out is None else ["--out", str(out)]
    sheet = complete_datasheet(
        name, frames, recipe, temperature, flags + ["--allow-broken"] * allow_broken
    )
    if out is None:
        folder = catalogue.register(name, frames, sheet, force)
    else:
        folder = out / name
        write_set(folder, frames, sheet)
    measured = sheet["measured"]
    return (
        f"{name}: {len(frames)} frames of {sheet['formula']} in {folder}; mean absolute force "
        f"{measured['mean_abs_force_ev_per_angstrom']} eV/angstrom, "
        f"of the bias {measured['mean_abs_bias_force_ev_per_angstrom']}"
    )


def complete_datasheet(
    name: str, frames: Frames, recipe: Recipe, temperature: FloatArray, flags: list[str]
) -> dict[str, Any]:
    """The datasheet with versions, licence and command.

    Args:
        name, recipe: what `generate` was given.
        frames, temperature: what it returned.
        flags: options of the command beyond the recipe's, as typed.
    """
    return {
        **datasheet(name, frames, recipe, temperature),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "licence": "CC0-1.0",
        "command": command(name, recipe, flags),
    }


def write_set(folder: Path, frames: Frames, sheet: dict[str, Any]) -> None:
    """Write `frames.npz`, then `datasheet.yaml` with its checksum; the second makes it a set."""
    (folder / "datasheet.yaml").unlink(missing_ok=True)
    frames.save(folder / "frames.npz")
    checksum = hashlib.sha256((folder / "frames.npz").read_bytes()).hexdigest()
    text = yaml.safe_dump({**sheet, "sha256": checksum}, sort_keys=False, allow_unicode=True)
    write_text(folder / "datasheet.yaml", text)


def _check_new_folder(out: Path, name: str, force: bool) -> None:
    if Path(name).name != name or name.startswith("."):
        raise UserError(f"{name!r} cannot be the name of a set: it must be a plain folder name")
    taken = [file for file in ("frames.npz", "datasheet.yaml") if (out / name / file).exists()]
    if taken and not force:
        raise UserError(f"{out / name} already has {taken[0]}; choose another name or use --force")
