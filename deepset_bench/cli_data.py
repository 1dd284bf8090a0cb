"""`bench data`: the sets of frames there are, and how to add one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from deepset_bench.generation.recipe import Recipe
from deepset_bench.surroundings import say

if TYPE_CHECKING:
    from deepset_bench.data.gathering import Request

app = typer.Typer(
    no_args_is_help=True,
    help="List, show, check, import, fetch and generate sets of labelled geometries.",
)

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Files (XYZ and extended XYZ, ASE's .traj, .db and .json, SchNetPack's .db, npz of "
        "MD17 or rMD17, HDF5 of ANI-1 or ANI-1x, LAMMPS dumps with elements; plain or packed by "
        "xz, gz, bz2, zst) and names of sets, to be one set. Not their names count but what is in "
        "them.",
        show_default=False,
    ),
]
Positions = Annotated[
    Path | None,
    typer.Option(help="CP2K positions (angstrom), in either format; many: 'part_*.pos'."),
]
Forces = Annotated[Path | None, typer.Option(help="CP2K forces (hartree/bohr) of the same frames.")]
FrameRange = Annotated[str | None, typer.Option(help="FIRST-LAST, counted from 1, both ends in.")]
EnergyKey = Annotated[
    str | None, typer.Option(help="Name of the energy in the files (default: energy).")
]
ForcesKey = Annotated[
    str | None, typer.Option(help="Name of the forces in the files (default: forces).")
]
EnergyUnit = Annotated[
    str | None,
    typer.Option(
        help="eV, meV, hartree, kcal/mol or kJ/mol (default: what the file says, else eV; npz "
        "kcal/mol; HDF5 and CP2K hartree)."
    ),
]
LengthUnit = Annotated[
    str | None,
    typer.Option(
        help="Of positions: angstrom or bohr (default: what the file says, else angstrom)."
    ),
]
ForceUnit = Annotated[
    str | None,
    typer.Option(
        help="eV/angstrom, hartree/bohr, kcal/mol/angstrom, ... (default: what the file says, else "
        "energy unit / length unit; CP2K hartree/bohr)."
    ),
]
Gradients = Annotated[
    bool,
    typer.Option("--gradients", help="The files hold gradients of the energy: minus the forces."),
]
Charge = Annotated[
    int | None,
    typer.Option(
        help="Total charge in units of e, where the files state none; where they do, take only "
        "frames of this charge."
    ),
]
Spin = Annotated[
    int | None, typer.Option(min=1, help="The same of the multiplicity 2S + 1: 2 for a radical.")
]
SkipIncomplete = Annotated[
    bool,
    typer.Option(
        "--skip-incomplete", help="Leave out frames without energy or forces, or with NaN."
    ),
]
Elements = Annotated[
    str | None,
    typer.Option(
        help="Elements of labels that are no chemical symbols, as CA=C,OW=O or LAMMPS types as "
        "1=C,2=H."
    ),
]
Formula = Annotated[
    str | None, typer.Option(help="Read only these formulas from an HDF5 file, e.g. C4H8,C5H10.")
]
Kelvin = Annotated[
    float | None,
    typer.Option(help="Electronic temperature for GFN-xTB in kelvin (default: the datasheet's)."),
]


@app.command("list")
def list_() -> None:
    """The sets there are, shipped and imported."""
    from deepset_bench.console import Console
    from deepset_bench.data.listing import sets_table

    Console().print(sets_table())


@app.command()
def show(name: Annotated[str, typer.Argument(help="A set, as data= takes it.")]) -> None:
    """A set's datasheet, its labels in eV and hartree, and what a trivial model would score."""
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
        typer.Option(help="Replace the labels by GFN-xTB energies and forces."),
    ] = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    gradients: Gradients = False,
    charge: Charge = None,
    spin: Spin = None,
    skip_incomplete: SkipIncomplete = False,
    elements: Elements = None,
    formula: Formula = None,
    force: Annotated[bool, typer.Option(help="Replace an imported set of this name.")] = False,
) -> None:
    """Read a CP2K pair, or files with named labels and sets, into one set for data=NAME."""
    from deepset_bench.data.importing import import_set

    say(import_set(name, _request(locals()), relabel, force))


@app.command()
def check(
    sources: Sources = None,
    positions: Positions = None,
    forces: Forces = None,
    frames: FrameRange = None,
    name: Annotated[
        str | None, typer.Option(help="What the molecule is called (default: the set or file).")
    ] = None,
    smiles: Annotated[
        str | None, typer.Option(help="What the molecule is: SMILES, or a name as pent-2-ene.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="A set that a model of this one is meant for.")
    ] = None,
    biased: Annotated[
        bool, typer.Option("--biased", help="Examine the labels with the bias kept apart.")
    ] = False,
    sample: Annotated[
        int, typer.Option(min=0, help="Frames to compute anew with GFN-xTB; 0: none.")
    ] = 200,
    electronic_temperature: Kelvin = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
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
    """Examine labels, units, geometries, duplicates and names; exit status 1 for a defect."""
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
    method: Annotated[Literal["gfn1", "gfn2"], typer.Option(help="GFN-xTB.")] = "gfn1",
    electronic_temperature: Kelvin = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    gradients: Gradients = False,
    charge: Charge = None,
    spin: Spin = None,
    skip_incomplete: SkipIncomplete = False,
    elements: Elements = None,
    formula: Formula = None,
    force: Annotated[bool, typer.Option(help="Replace an imported set of this name.")] = False,
) -> None:
    """The same geometries with GFN-xTB labels as a new set; what was added is kept apart."""
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
        Options(**{field.name: given[field.name] for field in fields(Options)}),
        given.get("name"),
    )


@app.command()
def fetch(
    name: Annotated[
        str | None, typer.Argument(help="What to fetch; without it, what there is.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="FIRST-LAST, counted from 1, both ends in.")
    ] = None,
    formula: Annotated[
        str | None, typer.Option(help="Of ANI-1x only these molecules, as C4H8,C5H10.")
    ] = None,
    relabel: Annotated[
        Literal["gfn1", "gfn2"] | None,
        typer.Option(help="Replace the labels by GFN-xTB energies and forces."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace an imported set of this name.")] = False,
) -> None:
    """Download a published set: the report's trajectories, rMD17, ANI-1x; or list them."""
    from deepset_bench.data import fetching

    if name is None:
        from deepset_bench.console import Console

        Console().print(fetching.remotes_table())
    else:
        say(fetching.fetch_set(name, frames, formula, relabel, force))


@app.command()
def generate(
    name: Annotated[str, typer.Argument(help="What the new set is called.")],
    smiles: Annotated[
        list[str],
        typer.Option(
            help="The molecule, e.g. C/C=C/C; several with names: repeat it, as in 'C=C ethene', "
            "or give a .smi file of such lines."
        ),
    ],
    frames: Annotated[int, typer.Option(help="Frames to record of each molecule.")] = 6000,
    sampling: Annotated[
        Literal["md", "metadynamics", "umbrella"], typer.Option(help="What drives the torsions.")
    ] = "metadynamics",
    method: Annotated[Literal["gfn1", "gfn2"], typer.Option(help="GFN-xTB.")] = "gfn1",
    electronic_temperature: Annotated[
        float, typer.Option(help="Kelvin; high values smooth the twisted double bond.")
    ] = Recipe.electronic_temperature,
    temperature: Annotated[float, typer.Option(help="Thermostat, kelvin.")] = Recipe.temperature,
    friction: Annotated[float, typer.Option(help="Thermostat, 1/fs.")] = Recipe.friction,
    timestep: Annotated[float, typer.Option(help="fs.")] = Recipe.timestep,
    interval: Annotated[float, typer.Option(help="fs between frames.")] = Recipe.interval,
    seed: Annotated[
        int, typer.Option(help="Same seed, same bytes; the next molecule gets the next.")
    ] = Recipe.seed,
    torsion: Annotated[
        list[str] | None,
        typer.Option(
            help="I-J-K-L to drive, from 0 in SMILES order; repeat it to drive several "
            "(default: across the only C=C bond).",
            show_default=False,
        ),
    ] = None,
    tie: Annotated[
        float, typer.Option(help="Spring between both torsions across a C=C bond, eV/rad^2.")
    ] = Recipe.tie,
    hill_height: Annotated[float, typer.Option(help="eV.")] = Recipe.hill_height,
    hill_width: Annotated[float, typer.Option(help="Degrees.")] = Recipe.hill_width,
    hill_interval: Annotated[float, typer.Option(help="fs.")] = Recipe.hill_interval,
    window_strength: Annotated[
        float, typer.Option(help="Umbrella, eV/rad^2.")
    ] = Recipe.window_strength,
    windows: Annotated[
        int, typer.Option(help="Umbrella windows for each torsion.")
    ] = Recipe.windows,
    out: Annotated[
        Path | None, typer.Option(help="Folder that receives NAME/ (default: imported data).")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Molecules at once.")] = 1,
    allow_broken: Annotated[
        bool, typer.Option("--allow-broken", help="Go on when a molecule breaks.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a set of this name.")] = False,
) -> None:
    """Make labelled trajectories from SMILES: Langevin dynamics on GFN-xTB, bias kept apart.

    Interrupted, even killed, the same command goes on and ends with the same bytes.
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
