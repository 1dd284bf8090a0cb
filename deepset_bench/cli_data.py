"""`bench data`: the data sets, what is in them, and how to make or import one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from deepset_bench.data.recipe import Recipe

app = typer.Typer(no_args_is_help=True)


@app.command()
def generate(
    name: Annotated[str, typer.Argument(help="What the new set is called.")],
    smiles: Annotated[str, typer.Option(help="The molecule, e.g. C/C=C/C.")],
    frames: Annotated[int, typer.Option(help="Frames to record.")] = 6000,
    sampling: Annotated[
        Literal["md", "metadynamics", "umbrella"], typer.Option(help="What drives the rotation.")
    ] = "metadynamics",
    method: Annotated[Literal["gfn1", "gfn2"], typer.Option(help="GFN-xTB.")] = "gfn1",
    electronic_temperature: Annotated[
        float, typer.Option(help="Kelvin; high values smooth the twisted double bond.")
    ] = Recipe.electronic_temperature,
    temperature: Annotated[float, typer.Option(help="Thermostat, kelvin.")] = Recipe.temperature,
    friction: Annotated[float, typer.Option(help="Thermostat, 1/fs.")] = Recipe.friction,
    timestep: Annotated[float, typer.Option(help="fs.")] = Recipe.timestep,
    interval: Annotated[float, typer.Option(help="fs between frames.")] = Recipe.interval,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = Recipe.seed,
    torsion: Annotated[
        str | None, typer.Option(help="I-J-K-L across J=K, from 0 in SMILES order.")
    ] = None,
    tie: Annotated[
        float, typer.Option(help="Spring between both torsions across the bond, eV/rad^2.")
    ] = Recipe.tie,
    hill_height: Annotated[float, typer.Option(help="eV.")] = Recipe.hill_height,
    hill_width: Annotated[float, typer.Option(help="Degrees.")] = Recipe.hill_width,
    hill_interval: Annotated[float, typer.Option(help="fs.")] = Recipe.hill_interval,
    window_strength: Annotated[
        float, typer.Option(help="Umbrella, eV/rad^2.")
    ] = Recipe.window_strength,
    windows: Annotated[int, typer.Option(help="Umbrella windows.")] = Recipe.windows,
    out: Annotated[
        Path | None, typer.Option(help="Folder that receives NAME/ (default: imported data).")
    ] = None,
    allow_broken: Annotated[bool, typer.Option(help="Go on when the molecule breaks.")] = False,
    force: Annotated[bool, typer.Option(help="Replace a set of this name.")] = False,
) -> None:
    """Make a labelled trajectory from SMILES: Langevin dynamics on GFN-xTB, bias kept apart."""
    from deepset_bench.data.production import generate_set

    chain = None if torsion is None else Recipe.parse_torsion(torsion)
    recipe = Recipe(
        smiles=smiles,
        frames=frames,
        sampling=sampling,
        method=method,
        electronic_temperature=electronic_temperature,
        temperature=temperature,
        friction=friction,
        timestep=timestep,
        interval=interval,
        seed=seed,
        torsion=chain,
        tie=tie,
        hill_height=hill_height,
        hill_width=hill_width,
        hill_interval=hill_interval,
        window_strength=window_strength,
        windows=windows,
    )
    typer.echo(generate_set(name, recipe, out, allow_broken, force))
