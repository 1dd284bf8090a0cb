"""`bench export`: a trained run as one file for other programs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from deepset_bench.console import Console
from deepset_bench.deployment import exported, program
from deepset_bench.deployment.function import Deployed
from deepset_bench.errors import UserError, chosen, one_line
from deepset_bench.evaluation.deployed_runs import deployed
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.export.card import NAME, card, title
from deepset_bench.export.facts import facts
from deepset_bench.export.self_test import (
    Differences,
    agreement,
    of_calculator,
    of_package,
    own_frames,
)
from deepset_bench.files import check_writable, expanded, sync, unfinished_folder, write_text
from deepset_bench.molecules.frames import Frames
from deepset_bench.runs import named_run
from deepset_bench.surroundings import failure, require, said_within

METATOMIC = ".pt"
"""How files of metatomic end."""


def export(run: Path, file: Path, form: str, precision: str, runs_dir: Path | None = None) -> None:
    """Write the file and its card, or nothing.

    Args:
        form: `pt2` or `metatomic`.

    Raises:
        UserError: a run or a file that cannot be used; or the export is not the run.
    """
    write = chosen("format", form, {"pt2": _package, "metatomic": _metatomic})
    if form == "metatomic":
        require("metatomic.torch", "export")
    file = _checked(file, exported.SUFFIX if form == "pt2" else METATOMIC)
    ensemble = Ensemble([named_run(run, runs_dir).path], "cpu", precision)
    made = deployed(ensemble.members[0])
    frames = own_frames(ensemble)
    known = facts(ensemble.members[0], made, precision)
    console = Console()
    with unfinished_folder(file.parent, "export") as folder:
        whole = folder / file.name
        found, text = write(whole, made, ensemble, frames, known, console)
        sync(whole)
        whole.replace(file)
    write_text(file.with_name(NAME), text)
    console.print(found.words, soft_wrap=True)
    size = file.stat().st_size / 1e6
    console.print(f"wrote {file} ({size:.1f} MB) and {file.with_name(NAME)}", soft_wrap=True)


def _package(
    whole: Path,
    made: Deployed,
    ensemble: Ensemble,
    frames: Frames,
    known: dict[str, Any],
    console: Console,
) -> tuple[Differences, str]:
    """A package of AOTInductor at `whole`: how it differs from the run, and its card."""
    if " " in (temporary := tempfile.gettempdir()):
        raise UserError(
            f"{temporary}: PyTorch's compiler takes no folder for temporary files with a space in "
            "its name; set TMPDIR to another"
        )
    console.print("compiling takes about a minute", style="dim")
    (member,) = ensemble.members
    try:
        graph = program.exported(made, member.potential.species)
        function = exported.write(whole, graph, known)
    except Exception as error:  # whatever PyTorch's exporter and compiler raise
        if failure(error):
            raise
        if refused := said_within(error, temporary):
            raise refused from error
        raise UserError(
            f"{member.folder.path}: model={member.config.model.kind} cannot be exported "
            f"({one_line(error)}); use the run's folder itself: DeepSetCalculator of "
            "deepset_bench.calculator takes it"
        ) from error
    answer = of_package(exported.ExportedPotential(known, function))
    found = agreement(answer, ensemble, frames)
    known["agreement"] = found._asdict()
    text = card(whole.name, known)
    exported.finish(whole, known, text)
    return found, text


def _metatomic(
    whole: Path,
    made: Deployed,
    ensemble: Ensemble,
    frames: Frames,
    known: dict[str, Any],
    console: Console,
) -> tuple[Differences, str]:
    """The same for metatomic, saved twice: the card in it says how the first one differed."""
    from deepset_bench.export import metatomic

    (member,) = ensemble.members
    if not made.local or made.force_unit != 1:
        raise UserError(
            f"{member.folder.path}: metatomic takes DeepSet without graph layers and DeepSet X, "
            "whose atoms see their neighbours alone, with forces that are the gradient; "
            "--format pt2 takes any run"
        )
    del known["compiled"]
    species, constant = member.potential.species, member.reference.constant
    metatomic.save(metatomic.model(made, species, constant, ""), whole)
    found = agreement(of_calculator(metatomic.calculator(whole)), ensemble, frames)
    known["agreement"] = found._asdict()
    text = card(whole.name, known)
    metatomic.save(metatomic.model(made, species, constant, text), whole)
    return found, text


def _checked(file: Path, suffix: str) -> Path:
    """The file's path, if it can be written; its folder is made.

    Raises:
        UserError: another ending, or the card of another file lies there.
    """
    file = expanded(file)
    if file.suffix != suffix or file.is_dir():
        raise UserError(f"{file}: name a file that ends in {suffix}")
    check_writable(file.parent)
    beside = file.with_name(NAME)
    if beside.exists() and beside.read_text(errors="replace").partition("\n")[0] != title(
        file.name
    ):
        raise UserError(f"{beside} is of another file; export into a folder of its own")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
