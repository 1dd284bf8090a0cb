"""`bench data`: the sets of frames there are, and how to add one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from deepset_bench.cli.plain import PLAIN
from deepset_bench.generation.recipe import Recipe
from deepset_bench.surroundings import say

if TYPE_CHECKING:
    from deepset_bench.data.gathering import Request

app = typer.Typer(
    **PLAIN,
    help="List, show, check, import, fetch and generate sets of labelled geometries.",
)

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Files (XYZ and extended XYZ, ASE's .traj, .db and .json, SchNetPack's .db, npz of "
        "MD17 or rMD17, HDF5 of ANI-1, ANI-1x or SPICE, LAMMPS dumps with elements; plain or "
        "packed by xz, gz, bz2, zst) and names of sets, joined into one set. Files are recognised "
        "by their content, not by their names.",
        show_default=False,
    ),
]
Positions = Annotated[
    Path | None,
    typer.Option(help="CP2K positions (angstrom); several files: 'part_*.pos'."),
]
Forces = Annotated[Path | None, typer.Option(help="CP2K forces (hartree/bohr) of the same frames.")]
FrameRange = Annotated[
    str | None, typer.Option(help="Read frames FIRST-LAST only, counted from 1, both included.")
]
EnergyKey = Annotated[
    str | None, typer.Option(help="Name of the energy in the files (default: energy).")
]
ForcesKey = Annotated[
    str | None, typer.Option(help="Name of the forces in the files (default: forces).")
]
EnergyUnit = Annotated[
    str | None,
    typer.Option(
        help="Unit of energies: eV, meV, hartree, kcal/mol or kJ/mol (default: as the file states, "
        "else eV; for npz kcal/mol; for HDF5 and CP2K hartree)."
    ),
]
LengthUnit = Annotated[
    str | None,
    typer.Option(
        help="Unit of positions: angstrom or bohr (default: as the file states, else angstrom)."
    ),
]
ForceUnit = Annotated[
    str | None,
    typer.Option(
        help="Unit of forces: eV/angstrom, hartree/bohr, kcal/mol/angstrom, ... (default: as the "
        "file states, else energy unit / length unit; for CP2K hartree/bohr)."
    ),
]
StressUnit = Annotated[
    str | None,
    typer.Option(
        help="Unit of stress: eV/angstrom^3, GPa, kbar or hartree/bohr^3 (default: as the file "
        "states, else energy unit / length unit^3)."
    ),
]
Gradients = Annotated[
    bool,
    typer.Option(
        "--gradients",
        help="The files hold gradients of the energy; their sign is changed to get forces.",
    ),
]
Charge = Annotated[
    int | None,
    typer.Option(
        help="Total charge in units of e. If the files state charges, only frames of this charge "
        "are read."
    ),
]
Spin = Annotated[
    int | None, typer.Option(min=1, help="Multiplicity 2S + 1, e.g. 2 for a radical; see --charge.")
]
SkipIncomplete = Annotated[
    bool,
    typer.Option(
        "--skip-incomplete", help="Leave out frames that lack energy or forces or hold NaN."
    ),
]
Elements = Annotated[
    str | None,
    typer.Option(
        help="Elements of atom names that are not chemical symbols, e.g. CA=C,OW=O, or of LAMMPS "
        "types, e.g. 1=C,2=H."
    ),
]
Formula = Annotated[
    str | None, typer.Option(help="Read only these formulas from an HDF5 file, e.g. C4H8,C5H10.")
]
EnergiesOnly = Annotated[
    bool,
    typer.Option(
        "--energies-only",
        help="Take frames that have energies and no forces, such as scans; runs can be scored on "
        "them.",
    ),
]
Kelvin = Annotated[
    float | None,
    typer.Option(help="Electronic temperature for GFN-xTB in kelvin (default: the datasheet's)."),
]


@app.command("list")
def list_() -> None:
    """List the sets: shipped and imported."""
    from deepset_bench.console import Console
    from deepset_bench.data.listing import sets_table

    Console().print(sets_table())


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of a set.")]) -> None:
    """Print a set's datasheet, its energies and forces, and the errors of a trivial baseline."""
    from deepset_bench.console import Console
    from deepset_bench.data.listing import set_summary

    Console().print(set_summary(name))


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="Name of the new set (used as data=NAME).")],
    sources: Sources = None,
    positions: Positions = None,
    forces: Forces = None,
    frames: FrameRange = None,
    relabel: Annotated[
        Literal["gfn1", "gfn2"] | None,
        typer.Option(help="Replace energies and forces by those of GFN-xTB."),
    ] = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    stress_unit: StressUnit = None,
    gradients: Gradients = False,
    charge: Charge = None,
    spin: Spin = None,
    skip_incomplete: SkipIncomplete = False,
    elements: Elements = None,
    formula: Formula = None,
    energies_only: EnergiesOnly = False,
    force: Annotated[bool, typer.Option(help="Replace an imported set of this name.")] = False,
) -> None:
    """Read files (and sets) into one new set, to be used as data=NAME."""
    from deepset_bench.data.importing import import_set

    say(import_set(name, _request(locals()), relabel, force))


@app.command()
def check(
    sources: Sources = None,
    positions: Positions = None,
    forces: Forces = None,
    frames: FrameRange = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the molecule (default: of the set or file).")
    ] = None,
    smiles: Annotated[
        str | None,
        typer.Option(
            help="The molecule that the frames should hold: SMILES, or a name, e.g. pent-2-ene."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another set, on which a model trained on this one will be used."),
    ] = None,
    biased: Annotated[
        bool, typer.Option("--biased", help="Check the forces with their bias added.")
    ] = False,
    sample: Annotated[
        int, typer.Option(min=0, help="Number of frames to recompute with GFN-xTB; 0: none.")
    ] = 200,
    electronic_temperature: Kelvin = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    stress_unit: StressUnit = None,
    gradients: Gradients = False,
    charge: Charge = None,
    spin: Spin = None,
    skip_incomplete: SkipIncomplete = False,
    elements: Elements = None,
    formula: Formula = None,
    json: Annotated[Path | None, typer.Option(help="Write the findings to this file.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with findings and plots to this file.")
    ] = None,
) -> None:
    """Check labels, units, geometries, duplicates and names; exit status 1 for a defect."""
    from deepset_bench.checks.check_command import CheckOptions
    from deepset_bench.checks.check_command import check as examine

    request = _request(locals())
    options = CheckOptions(smiles, against, biased, sample, electronic_temperature, json, html)
    if not examine(request, options):
        raise typer.Exit(1)


@app.command()
def relabel(
    new: Annotated[str, typer.Option("--as", help="Name of the new set (used as data=NAME).")],
    sources: Sources = None,
    positions: Positions = None,
    forces: Forces = None,
    frames: FrameRange = None,
    method: Annotated[Literal["gfn1", "gfn2"], typer.Option(help="GFN1-xTB or GFN2-xTB.")] = "gfn1",
    electronic_temperature: Kelvin = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    stress_unit: StressUnit = None,
    gradients: Gradients = False,
    charge: Charge = None,
    spin: Spin = None,
    skip_incomplete: SkipIncomplete = False,
    elements: Elements = None,
    formula: Formula = None,
    force: Annotated[bool, typer.Option(help="Replace an imported set of this name.")] = False,
) -> None:
    """Copy a set and replace its labels by GFN-xTB's; the difference is stored as bias forces."""
    from deepset_bench.data.relabelling import relabel_set

    say(relabel_set(new, _request(locals()), method, electronic_temperature, force))


def _request(given: dict[str, Any]) -> Request:
    """Where the frames are and how to read them, of a command's arguments by name."""
    from dataclasses import fields

    from deepset_bench.data.gathering import Request
    from deepset_bench.readers.options import Options

    return Request(
        tuple(given["sources"] or ()),
        given["positions"],
        given["forces"],
        Options(**{one.name: given[one.name] for one in fields(Options) if one.name in given}),
        given.get("name"),
    )


@app.command()
def fetch(
    name: Annotated[
        str | None, typer.Argument(help="Set to download; without it, they are listed.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Read frames FIRST-LAST only, counted from 1, both included.")
    ] = None,
    formula: Annotated[
        str | None, typer.Option(help="Read only these formulas from ANI-1x, e.g. C4H8,C5H10.")
    ] = None,
    relabel: Annotated[
        Literal["gfn1", "gfn2"] | None,
        typer.Option(help="Replace energies and forces by those of GFN-xTB."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace an imported set of this name.")] = False,
) -> None:
    """Download a published set: rMD17, ANI-1x, acetylacetone, 3BPA, ...; or list them."""
    from deepset_bench.data import fetching

    if name is None:
        from deepset_bench.console import Console

        Console().print(fetching.remotes_table())
    else:
        say(fetching.fetch_set(name, frames, formula, relabel, force))


@app.command()
def generate(
    name: Annotated[str, typer.Argument(help="Name of the new set (used as data=NAME).")],
    smiles: Annotated[
        list[str],
        typer.Option(
            help="The molecule, e.g. C/C=C/C. For several molecules, repeat the option with names, "
            "e.g. 'C=C ethene', or give a .smi file of such lines."
        ),
    ],
    frames: Annotated[int, typer.Option(help="Number of frames of each molecule.")] = 6000,
    sampling: Annotated[
        Literal["md", "metadynamics", "umbrella"],
        typer.Option(help="Plain dynamics, or how torsions are driven."),
    ] = "metadynamics",
    method: Annotated[Literal["gfn1", "gfn2"], typer.Option(help="GFN1-xTB or GFN2-xTB.")] = "gfn1",
    electronic_temperature: Annotated[
        float,
        typer.Option(
            help="Electronic temperature for GFN-xTB in kelvin; a high one smooths the energy of a "
            "twisted double bond."
        ),
    ] = Recipe.electronic_temperature,
    temperature: Annotated[
        float, typer.Option(help="Temperature of the thermostat, kelvin.")
    ] = Recipe.temperature,
    friction: Annotated[
        float, typer.Option(help="Friction of the thermostat, 1/fs.")
    ] = Recipe.friction,
    timestep: Annotated[float, typer.Option(help="Time step, fs.")] = Recipe.timestep,
    interval: Annotated[
        float, typer.Option(help="Time between recorded frames, fs.")
    ] = Recipe.interval,
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of the first molecule; each further molecule gets the next seed. The same "
            "seed gives the same bytes."
        ),
    ] = Recipe.seed,
    torsion: Annotated[
        list[str] | None,
        typer.Option(
            help="Torsion I-J-K-L to drive, atoms counted from 0 in SMILES order; repeat the "
            "option to drive several (default: the torsion of the only C=C bond).",
            show_default=False,
        ),
    ] = None,
    tie: Annotated[
        float, typer.Option(help="Spring between the two torsions of a C=C bond, eV/rad^2.")
    ] = Recipe.tie,
    hill_height: Annotated[
        float, typer.Option(help="Height of a metadynamics hill, eV.")
    ] = Recipe.hill_height,
    hill_width: Annotated[
        float, typer.Option(help="Width of a hill, degrees.")
    ] = Recipe.hill_width,
    hill_interval: Annotated[
        float, typer.Option(help="Time between hills, fs.")
    ] = Recipe.hill_interval,
    window_strength: Annotated[
        float, typer.Option(help="Spring of an umbrella window, eV/rad^2.")
    ] = Recipe.window_strength,
    windows: Annotated[
        int, typer.Option(help="Number of umbrella windows of each torsion.")
    ] = Recipe.windows,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder in which NAME/ is made (default: where imported sets are)."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Molecules to compute at the same time.")] = 1,
    allow_broken: Annotated[
        bool, typer.Option("--allow-broken", help="Continue when a molecule breaks.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a set of this name.")] = False,
) -> None:
    """Make frames from SMILES by dynamics with GFN-xTB; bias forces are stored apart.

    After an interruption, the same command resumes and ends with the same bytes.
    """
    from deepset_bench.generation.production import generate_set

    options = {
        "frames": frames,
        "sampling": sampling,
        "method": method,
        "electronic_temperature": electronic_temperature,
        "temperature": temperature,
        "friction": friction,
        "timestep": timestep,
        "interval": interval,
        "seed": seed,
        "torsions": tuple(Recipe.parse_torsion(text) for text in torsion or ()),
        "tie": tie,
        "hill_height": hill_height,
        "hill_width": hill_width,
        "hill_interval": hill_interval,
        "window_strength": window_strength,
        "windows": windows,
    }
    say(generate_set(name, smiles, options, out, jobs, allow_broken, force))
