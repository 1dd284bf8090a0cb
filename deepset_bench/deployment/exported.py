"""A potential in one file: compiled code, the program it was compiled from, and what it is.

The file is a `.pt2` package of AOTInductor, which C++ loads without Python. Beside the compiled
code it holds `extra/deepset_bench.json`, the facts; `extra/MODEL_CARD.md`, the same for people; and
`portable/program.pt2`, written by `torch.export.save`, for other processors.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from deepset_bench import bounds, processor
from deepset_bench.deployment import packages, program
from deepset_bench.deployment.domain import Domain
from deepset_bench.deployment.function import EnergiesAndForces
from deepset_bench.errors import UserError, one_line
from deepset_bench.surroundings import of_file

FACTS, CARD = "extra/deepset_bench.json", "extra/MODEL_CARD.md"
PORTABLE = "portable/program.pt2"
FORMAT = 1
"""Raised when the facts change so that earlier readers would misread them."""
SUFFIX = ".pt2"


class Opened(NamedTuple):
    """`facts` of a file and the bytes of its portable program."""

    facts: dict[str, Any]
    portable: bytes


class ExportedPotential:
    """What `Deployed` computes, out of a file.

    Args:
        facts: see `deepset_bench.export.facts`.
        function: what `Deployed.forward` takes -> what it returns, for two centres or more.

    Attributes:
        cutoff: in angstrom.
        local: see `Deployed`.
        species: (s,) atomic numbers.
        domain: what it was trained on.
        constant: eV, to be added to the energy of each molecule.
    """

    def __init__(self, facts: Mapping[str, Any], function: Callable[..., Any]) -> None:
        self.facts, self.function = facts, function
        self.cutoff = float(facts["cutoff_angstrom"])
        self.local = bool(facts["local"])
        self.species = torch.tensor(facts["atomic_numbers"])
        reference = facts["energy_reference"]
        self.constant = float(reference["ev_per_molecule"])
        molecules = reference["molecules"]
        self.domain = Domain(
            self.species.numpy(),
            reference["kind"],
            reference["rank"],
            None if molecules is None else np.array(molecules, dtype=np.int64),
        )

    def __call__(
        self,
        numbers: Tensor,
        positions: Tensor,
        centres: Tensor,
        neighbours: Tensor,
        shifts: Tensor,
    ) -> EnergiesAndForces:
        """See `Deployed.forward`."""
        A, N = len(numbers), len(centres)
        if N == 1:  # compiled for two or more: an atom that is far from all others is another
            far = positions.max() + 3 * self.cutoff
            numbers = torch.cat([numbers, numbers[:1]])
            positions = torch.cat([positions, far.expand(1, 3)])
            centres = torch.cat([centres, centres.new_tensor([A])])
            neighbours = torch.cat([neighbours, torch.full_like(neighbours, A)])
            shifts = torch.cat([shifts, torch.zeros_like(shifts)])
        with torch.no_grad():
            energies, forces, strain = self.function(
                numbers, positions, centres, neighbours, shifts
            )
        return EnergiesAndForces(energies[:N], forces[:A], strain[:N])


def open_exported(
    path: Path, compile_it: bool | None = None, say: Callable[[str], object] = print
) -> ExportedPotential:
    """The potential in a file, ready to compute.

    Args:
        path: of the file.
        compile_it: False: the portable program as it is, slower, whatever the machine.
        say: takes the line that says why the compiled code was not used.

    Raises:
        UserError: see `read`.
    """
    opened = read(path)
    try:
        if compile_it is False:
            return ExportedPotential(opened.facts, _loaded(path, opened.portable).module())
        unlike = processor.unlike(opened.facts["compiled"])
        function = _compiled(path, opened.portable, unlike, say)
        return ExportedPotential(opened.facts, function)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, one_line(error)) from None


def write(path: Path, exported: Any, facts: Mapping[str, Any]) -> Callable[..., Any]:
    """Compile an exported program into a new file, which `finish` completes.

    Args:
        path: of the file, which is made.
        exported: `program.exported`.
        facts: what the loader in C++ hands out as JSON under the name `deepset_bench`.

    Returns:
        The compiled function.
    """
    program.compiled(exported, path, {"deepset_bench": json.dumps(facts)})
    portable = io.BytesIO()
    torch.export.save(exported, portable)
    _add(path, {PORTABLE: portable.getvalue()})
    return program.load(path)


def finish(path: Path, facts: Mapping[str, Any], card: str) -> None:
    """Add the facts and the card to a file that `write` made."""
    whole = json.dumps({**facts, "format": FORMAT}, indent=1)
    _add(path, {FACTS: whole.encode(), CARD: card.encode()})


def _add(path: Path, parts: Mapping[str, bytes]) -> None:
    """Parts into an archive, uncompressed, as the loader in C++ reads them."""
    with zipfile.ZipFile(path, "a") as archive:
        home = archive.namelist()[0].split("/")[0]
        for name, content in parts.items():
            archive.writestr(f"{home}/{name}", content)


def read(path: Path) -> Opened:
    """What an exported file says and holds for other processors.

    Raises:
        UserError: there is none, it is damaged, of another program, or of a later version.
    """
    try:
        with bounds.opened(path) as stream, zipfile.ZipFile(stream) as archive:
            bounds.check_stored(archive, path.stat().st_size)
            if archive.testzip() is not None:
                raise zipfile.BadZipFile("a part of it is not what was written")
            parts = {name.partition("/")[2]: name for name in archive.namelist()}
            if FACTS not in parts:
                raise UserError(f"{path}: is no potential that bench export wrote")
            facts = json.loads(archive.read(parts[FACTS]))
            portable = archive.read(parts[PORTABLE])
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({of_file(path, error)})") from None
    except (
        *(zipfile.BadZipFile, EOFError, KeyError, ValueError, RuntimeError),
        zlib.error,
    ) as error:
        raise _damaged(path, one_line(error)) from None
    if not isinstance(facts, dict):
        raise _damaged(path, "its facts are none")
    if facts.get("format") != FORMAT:
        raise UserError(
            f"{path}: was written by another version of this program (format "
            f"{facts.get('format')}, here {FORMAT}); export it again, or install that version"
        )
    return Opened(facts, portable)


def _compiled(
    path: Path, portable: bytes, unlike: str, say: Callable[[str], object]
) -> Callable[..., Any]:
    """The compiled code of a file, compiled again where that does not run here."""
    if not unlike:
        try:
            return program.load(path)
        except Exception as error:
            unlike = f"but cannot be loaded ({one_line(error)})"
    digest = hashlib.sha256(portable + json.dumps(processor.here()).encode()).hexdigest()[:32]
    kept = packages.home() / f"{digest}.pt2"
    if not kept.exists():
        say(f"{path}: was compiled {unlike}; it is compiled again, once on this machine")
    try:
        exported = _loaded(path, portable)
        return packages.kept_or_made(kept, lambda made: program.compiled(exported, made))
    except UserError:
        raise
    except Exception as error:  # whatever the platform's compiler raises
        say(f"not compiled, so that each step takes longer: {one_line(error)}")
        function: Callable[..., Any] = _loaded(path, portable).module()
        return function


def _loaded(path: Path, content: bytes) -> Any:
    """The exported program."""
    try:
        return program.load_exported(content)
    except Exception as error:
        raise _damaged(path, f"its portable program: {one_line(error)}") from None


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path}: is damaged, or no exported potential ({why}); export it again")


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path means an exported file and not a run's folder."""
    return Path(path).suffix == SUFFIX and not Path(path).is_dir()
