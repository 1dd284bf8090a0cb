"""`bench data`: the sets of frames there are, and how to add one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True, help="List, show and import sets of labelled geometries.")


@app.command("list")
def list_() -> None:
    """The sets there are, shipped and imported."""
    from rich.console import Console

    from deepset_bench.data.display import sets_table

    Console().print(sets_table())


@app.command()
def show(name: Annotated[str, typer.Argument(help="A set, as data= takes it.")]) -> None:
    """A set's datasheet, its labels in eV and hartree, and what a trivial model would score."""
    from rich.console import Console

    from deepset_bench.data.display import set_summary

    Console().print(set_summary(name))


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="What data= is to call the set.")],
    file: Annotated[
        Path | None, typer.Argument(help="A file ASE reads: extended XYZ, .db, .traj, ...")
    ] = None,
    positions: Annotated[
        Path | None, typer.Option(help="CP2K positions (angstrom), plain, .xz or .gz.")
    ] = None,
    forces: Annotated[
        Path | None, typer.Option(help="CP2K forces (hartree/bohr) of the same frames.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="FIRST-LAST, counted from 1, both ends in.")
    ] = None,
    relabel: Annotated[
        Literal["gfn1", "gfn2"] | None,
        typer.Option(help="Replace the labels by GFN-xTB energies and forces."),
    ] = None,
    energy_key: Annotated[
        str | None, typer.Option(help="Name of the energy in FILE (default: energy).")
    ] = None,
    forces_key: Annotated[
        str | None, typer.Option(help="Name of the forces in FILE (default: forces).")
    ] = None,
    energy_unit: Annotated[
        str | None,
        typer.Option(help="Of FILE: eV (default), meV, hartree, kcal/mol or kJ/mol."),
    ] = None,
    length_unit: Annotated[
        str | None,
        typer.Option(help="Of FILE: angstrom (default) or bohr; forces are energy/length."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace an imported set of this name.")] = False,
) -> None:
    """Read a CP2K pair, or one file with named labels, into a set for data=NAME."""
    from deepset_bench.data.importing import import_set

    given = {
        "energy_key": energy_key,
        "forces_key": forces_key,
        "energy_unit": energy_unit,
        "length_unit": length_unit,
    }
    labels = {option: value for option, value in given.items() if value is not None}
    typer.echo(import_set(name, file, positions, forces, frames, relabel, labels, force))
