"""A table of results -> folders of runs, without checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.files import atomic_write, check_writable
from deepset_bench.reading import DAMAGED
from deepset_bench.record import METRICS, TIMES
from deepset_bench.results import kept_times
from deepset_bench.results.flattening import FILES
from deepset_bench.results.stored import StoredRuns


def restore(table: StoredRuns, root: Path) -> tuple[int, int]:
    """Write config.yaml, result.json, status.json and metrics.csv of each run, and the times.

    Args:
        table: of the runs.
        root: folder for theirs.

    Returns:
        How many runs there are in the table, and how many of their files were there already.

    Raises:
        UserError: one of the files is there and is another; nothing is written then.
    """
    check_writable(root)
    wanted = dict(_files(table, root))
    there = 0
    for path, text in wanted.items():
        if path.exists():
            if path.read_bytes() != text:
                raise UserError(
                    f"{path} is there and is another than in {table.file}; name another folder "
                    "with --runs-dir"
                )
            there += 1
    for path, text in wanted.items():
        if not path.exists():
            with atomic_write(path) as stream:
                stream.write(text)
    return len(table.runs), there


def _files(table: StoredRuns, root: Path) -> Iterator[tuple[Path, bytes]]:
    for folder, run in table.runs.items():
        for name in (*FILES.values(), METRICS):
            text = run.text(name)
            if text is not None:
                yield root / folder / name, text.encode("utf-8", "surrogateescape")
    for name, content in table.times().items():
        if content.get("state") == DAMAGED:
            raise UserError(f"{kept_times.beside(table.file)}: {content['reason']}")
        yield root / TIMES / f"{name}.json", kept_times.text(content).encode()
    for home in table.groups:
        for name, content in table.together(table.root / home).items():
            text = json.dumps(content, indent=2) + "\n"
            yield root / home / name / "evaluation.json", text.encode()
