"""Generating a data set from end to end: progress on the screen, files on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import Progress

from deepset_bench.data.datasheet import command, datasheet
from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.generate import generate
from deepset_bench.data.recipe import Recipe
from deepset_bench.data.xtb import METHODS
from deepset_bench.errors import UserError
from deepset_bench.files import data_home, write_text

PACKAGES = ("tblite", "rdkit", "ase", "numpy")


def generate_set(
    name: str,
    recipe: Recipe,
    out: Path | None = None,
    allow_broken: bool = False,
    force: bool = False,
) -> str:
    """Generate a set into the folder `out`/`name` with a progress bar, and say what it holds.

    Args:
        name, recipe, allow_broken: see `generate`.
        out: the folder that receives it; by default that of imported data.
        force: replace a set that is already there.

    Raises:
        UserError: see `generate`; or the folder already holds a set, which is then left alone.
    """
    if Path(name).name != name or name.startswith("."):
        raise UserError(f"{name!r} cannot be the name of a set: it must be a plain folder name")
    folder = (data_home() if out is None else out) / name
    check_new_folder(folder, force)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{METHODS[recipe.method]} frames", total=recipe.frames)
        frames, temperature = generate(
            name, recipe, lambda done, total: bar.update(task, completed=done), allow_broken
        )
    flags = [] if out is None else ["--out", str(out)]
    sheet = write_set(
        folder, frames, recipe, temperature, flags + ["--allow-broken"] * allow_broken
    )
    measured = sheet["measured"]
    return (
        f"{name}: {len(frames)} frames of {sheet['formula']} in {folder}; mean absolute force "
        f"{measured['mean_abs_force_ev_per_angstrom']} eV/angstrom, "
        f"of the bias {measured['mean_abs_bias_force_ev_per_angstrom']}"
    )


def check_new_folder(folder: Path, force: bool) -> None:
    """Refuse to replace a data set unless forced.

    Raises:
        UserError: `folder` has frames or a datasheet and `force` is not set.
    """
    taken = [name for name in ("frames.npz", "datasheet.yaml") if (folder / name).exists()]
    if taken and not force:
        raise UserError(f"{folder} already has {taken[0]}; choose another name or use --force")


def write_set(
    folder: Path, frames: Frames, recipe: Recipe, temperature: FloatArray, flags: list[str]
) -> dict[str, Any]:
    """Write `frames.npz`, then `datasheet.yaml` with its checksum; the second makes it a set.

    Args:
        folder: of the set; its name is the set's.
        frames: what `generate` returned.
        recipe: what it was given.
        temperature: (M,) kinetic temperatures in kelvin.
        flags: options of the command beyond the recipe's, as typed.

    Returns:
        The datasheet.
    """
    (folder / "datasheet.yaml").unlink(missing_ok=True)
    frames.save(folder / "frames.npz")
    sheet = datasheet(folder.name, frames, recipe, temperature)
    sheet["sha256"] = hashlib.sha256((folder / "frames.npz").read_bytes()).hexdigest()
    sheet["versions"] = {name: importlib.metadata.version(name) for name in PACKAGES}
    sheet["licence"] = "CC0-1.0"
    sheet["command"] = command(folder.name, recipe, flags)
    text = yaml.safe_dump(sheet, sort_keys=False, allow_unicode=True, width=100)
    write_text(folder / "datasheet.yaml", text)
    return sheet
