"""Runs -> a table of them, and a second one of their epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepset_bench.errors import UserError
from deepset_bench.reading import DAMAGED
from deepset_bench.record import METRICS, RunRecord, RunRecords
from deepset_bench.results import epochs, kept_times, storage
from deepset_bench.results.cells import cell
from deepset_bench.results.flattening import FILES, Cells, content, flattened, nested
from deepset_bench.results.stored import AS_IS, EPOCHS, ORDER, TOGETHER, checked, is_place


def export(
    records: RunRecords,
    runs: Sequence[RunRecord],
    file: Path,
    times: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Path]:
    """Write the tables.

    Args:
        records: where the runs are.
        runs: some of them.
        file: of the table of runs; the epochs go into `epochs.beside(file)`.
        times: of training steps, as `RunRecords.times` has them; they go into
            `kept_times.beside(file)`.

    Returns:
        The files: that of the curves only where a run has some, that of the times where there are.

    Raises:
        UserError: a file name that says of no format, a run whose folder cannot be named in it, a
            damaged evaluation.
        OSError, UserError: a file of a run cannot be read: the table would be without it.
    """
    second = epochs.beside(file)
    kept = [run.text(METRICS) for run in runs]
    columns_of_epochs = epochs.columns(text for text in kept if text)
    rows: list[Cells] = []
    texts: dict[str, str] = {}
    homes: set[Path] = set()
    for run, text in sorted(zip(runs, kept, strict=True), key=lambda pair: pair[0].path):
        there = {name: run.text(name) for name in FILES.values()}
        row = _row(records, run, there)
        if text and epochs.is_curve(text, columns_of_epochs):
            texts[row[epochs.FOLDER]] = text
            row[EPOCHS] = cell(text.count("\n") - 1)
        if as_is := _damaged({**there, METRICS: text}, row):
            row[AS_IS] = cell(as_is)
        if run.path.parent not in homes:
            homes.add(run.path.parent)
            if together := _together(records, run.path.parent):
                row[TOGETHER] = cell(together)
        rows.append(row)
    columns = epochs.merged([list(row) for row in rows])
    reordered = [_add_order(row, columns) for row in rows]
    if any(reordered):
        columns.append(ORDER)
    table = storage.Rows(columns, [[row.get(name, "") for name in columns] for row in rows])
    storage.write(file, table)
    third = kept_times.beside(file)
    if texts:
        storage.write(second, epochs.table(texts, columns_of_epochs))
    if times:
        kept_times.write_all(third, times)
    written = {file: True, second: bool(texts), third: bool(times)}
    for path in (path for path, is_there in written.items() if not is_there):
        path.unlink(missing_ok=True)  # of an earlier export
    return [path for path, is_there in written.items() if is_there]


def _together(records: RunRecords, home: Path) -> dict[str, dict[str, Any]]:
    """The evaluations of several seeds as one; see `RunRecords.together`."""
    found = records.together(home)
    for evaluation in found.values():
        if evaluation.get("state") == DAMAGED:
            raise UserError(f"{evaluation['reason']}; repeat bench evaluate, or remove it")
    return found


def _row(records: RunRecords, run: RunRecord, there: Mapping[str, str | None]) -> Cells:
    """The cells of a run's folder and files, by the texts that are there."""
    folder = run.path.relative_to(records.root).as_posix()
    if not is_place(folder):
        raise UserError(f"{run.path}: the name of this folder cannot be in a table; rename it")
    row = {epochs.FOLDER: cell(folder)}
    for prefix, name in FILES.items():
        text = there[name]
        row |= {} if text is None else _cells(prefix, text)
    return row


def _cells(prefix: str, text: str) -> Cells:
    """Those of a file; none where it is damaged or holds what no cell does."""
    try:
        holds = content(FILES[prefix], text)
        if not isinstance(holds, dict):
            return {}
        found = flattened(prefix, holds)
        back = checked(FILES[prefix], nested(found.items()))
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if repr(back) == repr(holds) else {}


def _damaged(there: Mapping[str, str | None], row: Cells) -> dict[str, str]:
    """The files of a run that are there and not in its row."""
    inside = {FILES[name.split(".")[0]] for name in row if "." in name}
    inside |= {METRICS} if EPOCHS in row else set()
    return {name: text for name, text in there.items() if text is not None and name not in inside}


def _add_order(row: Cells, columns: Sequence[str]) -> bool:
    """Say how the keys of each file follow each other where it is not as the columns do."""
    orders = {}
    for prefix in FILES:
        own = [name for name in row if name.startswith(f"{prefix}.")]
        here = {name: place for place, name in enumerate(n for n in columns if n in own)}
        if own != list(here):
            orders[prefix] = [here[name] for name in own]
    if orders:
        row[ORDER] = cell(orders)
    return bool(orders)
