"""`bench study new`: the files of a study that runs as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.files import PACKAGE, check_writable, is_unfinished, write_text
from deepset_bench.sweep.folders import shipped

_FILES = PACKAGE / "templates" / "study"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")


def make(folder: Path, data: str | None) -> tuple[list[Path], str]:
    """Write a study's files into a folder that is not there yet, or holds some of them alone.

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
    if data is None:
        known = name in catalogue.names()
        data = name if known else experiment([]).config.data.name
    templates = {folder / file.stem: file for file in sorted(_FILES.glob("*.template"))}
    texts = {
        path: file.read_text(encoding="utf-8").replace("NAME", name).replace("DATA", data)
        for path, file in templates.items()
    }
    if folder.exists() and not _is_begun(folder, texts):
        raise UserError(f"{folder} is there already; take another name, or empty it")
    check_writable(folder.absolute().parent)
    for path, text in texts.items():
        write_text(path, text)
    return list(texts), data


def _is_begun(folder: Path, texts: Mapping[Path, str]) -> bool:
    """Whether a folder is empty, or holds what a process that was killed wrote of these files."""
    if not folder.is_dir():
        return False
    there = [path for path in folder.iterdir() if not is_unfinished(path)]
    return len(there) < len(texts) and all(
        path in texts and path.read_bytes() == texts[path].encode() for path in there
    )
