"""`bench export`: a trained run as one file for other programs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from deepset_bench.console import Console
from deepset_bench.deployment import exported, program
from deepset_bench.errors import UserError
from deepset_bench.evaluation.deployed_runs import deployed
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.export.card import NAME, card, title
from deepset_bench.export.facts import facts
from deepset_bench.export.self_test import agreement, own_frames
from deepset_bench.files import check_writable, expanded, write_text
from deepset_bench.runs import named_run


def export(run: Path, file: Path, precision: str, runs_dir: Path | None = None) -> None:
    """Write the file and its card, or nothing.

    Raises:
        UserError: a run or a file that cannot be used; or the export is not the run.
    """
    file = _checked(file, exported.SUFFIX)
    ensemble = Ensemble([named_run(run, runs_dir).path], "cpu", precision)
    (member,) = ensemble.members
    made = deployed(member)
    frames = own_frames(ensemble)
    known = facts(member, made, precision)
    console = Console()
    console.print("compiling takes about a minute", style="dim")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".export.") as folder:
        whole = Path(folder) / file.name
        graph = program.exported(made, member.potential.species)
        function = exported.write(whole, graph, known)
        found = agreement(exported.ExportedPotential(known, function), ensemble, frames)
        known["agreement"] = found._asdict()
        text = card(file.name, known)
        exported.finish(whole, known, text)
        with whole.open("rb") as stream:
            os.fsync(stream.fileno())
        whole.replace(file)
    write_text(file.with_name(NAME), text)
    console.print(found.words, soft_wrap=True)
    size = file.stat().st_size / 1e6
    console.print(f"wrote {file} ({size:.1f} MB) and {file.with_name(NAME)}", soft_wrap=True)


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
