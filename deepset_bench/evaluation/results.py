"""Where evaluations are kept, and how."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepset_bench import __version__, file_version
from deepset_bench.files import csv_text, write_text
from deepset_bench.replicate import Replicate
from deepset_bench.runs import RunFolder
from deepset_bench.surroundings import failure


def place(folders: Sequence[Path], name: str) -> Path:
    """`evaluation/NAME` in the run's folder; for several runs, in a folder beside theirs."""
    home = folders[0]
    if len(folders) > 1:
        named = [Replicate.named(folder.name) for folder in folders]
        each = [one.number if one else f.name for one, f in zip(named, folders, strict=True)]
        home = home.parent / f"seeds-{'-'.join(each)}"
    return home / "evaluation" / name


def write(
    target: Path,
    name: str,
    folders: Sequence[RunFolder],
    content: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
) -> str:
    """Write NAME.json, which says of which runs it is, and one CSV a table.

    Returns:
        One line that says where they are; or that they are nowhere, where the run is of somebody
        else, whose folder may not be written to.
    """
    runs = {"runs": [str(f.path) for f in folders], "run": [f.identity() for f in folders]}
    whole = file_version.marked({**runs, **content, "version": __version__})
    for folder in folders:
        folder.check_links()
    try:
        for table, frame in tables.items():
            write_text(target / f"{table}.csv", csv_text(frame))
        write_text(target / f"{name}.json", json.dumps(whole, indent=2, default=_plain) + "\n")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return f"not kept in files: {failure(error)}"
    return f"everything is in {target}"


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays, which JSON does not know."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(type(value))
