"""Where runs are: a folder of folders, or a table of them."""

from __future__ import annotations

from pathlib import Path

from deepset_bench.record import RunRecords
from deepset_bench.results import stored
from deepset_bench.results.storage import ENDINGS
from deepset_bench.runs import RunsFolder, runs_root


def opened(runs_dir: str | Path | None) -> RunRecords:
    """The runs of a folder or of a table.

    Args:
        runs_dir: either; None for the folder that `bench train` would take.

    Raises:
        UserError: a table that cannot be used.
    """
    root = runs_root(runs_dir)
    named_so = root.name.endswith(ENDINGS) and not root.is_dir()
    return stored.read(root) if root.is_file() or named_so else RunsFolder(root)
