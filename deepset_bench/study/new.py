"""`bench study new`: the files of a study that runs as it is."""

from __future__ import annotations

import re
from pathlib import Path

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.files import PACKAGE, check_writable, write_text
from deepset_bench.sweep.folders import shipped

_FILES = PACKAGE / "templates" / "study"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")


def make(folder: Path, data: str | None) -> tuple[list[Path], str]:
    """Write a study's files into a folder that is not there yet, or is empty.

    Args:
        folder: its name is the study's.
        data: the set that its runs are trained on; None for one of the study's own name, if there
            is one, else the one that is usual.

    Returns:
        The files, and the name of the set.

    Raises:
        UserError: a name that cannot be one, or a folder that holds something.
    """
    name = folder.absolute().name
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot name a study: letters, digits, '.', '_' and '-' only")
    if name in {path.name for path in shipped()}:
        raise UserError(f"{name!r} is a study of the program's own; take another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already; take another name, or empty it")
    if data is None:
        known = name in catalogue.names()
        data = name if known else experiment([]).config.data.name
    check_writable(folder.absolute().parent)
    paths = []
    for file in sorted(_FILES.glob("*.template")):
        text = file.read_text(encoding="utf-8").replace("NAME", name).replace("DATA", data)
        paths.append(folder / file.stem)
        write_text(paths[-1], text)
    return paths, data
