"""A table of results as what runs say: the other maker of `RunRecord` beside folders."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from deepset_bench import file_version
from deepset_bench.errors import UserError
from deepset_bench.reading import json_of, read_json, yaml_of
from deepset_bench.record import (
    CONFIG,
    METRICS,
    RESULT,
    STATUS,
    RunRecord,
    RunRecords,
    settings_of,
    wrong_result,
    wrong_status,
)
from deepset_bench.replicate import Replicate
from deepset_bench.results import epochs, kept_times, storage
from deepset_bench.results.cells import value
from deepset_bench.results.flattening import FILES, nested, written

EPOCHS = "epochs_recorded"
"""Rows that the run has in the table of curves."""
TOGETHER = "seeds_as_one"
"""Evaluations of several seeds of this variant as one, in the row of its first run."""
AS_IS = "as_is"
"""Files that are damaged, as they are."""
ORDER = "key_order"
"""For a file whose keys follow each other in another order than the columns: the places, from 0,
of the run's columns of it in that order."""
_PLACE = re.compile(r"[^\x00-\x1f/]+(/[^\x00-\x1f/]+)*")
_TOGETHER = re.compile(r"seeds-\d+(-split)?(-\d+(-split)?)*/evaluation/[^\x00-\x1f/]+")
_OF_CONTENT = {STATUS: wrong_status, RESULT: wrong_result}


@dataclass(frozen=True)
class StoredRun(RunRecord):
    """A row of a table.

    Attributes:
        path: where the run would be.
        row: the table's file and the number of the row, for messages.
        cells: of its files, by their names, in the order of their keys.
        as_is: the text of those that are damaged.
        curve: its rows in the table of curves.
    """

    path: Path
    row: str = ""
    cells: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    as_is: dict[str, str] = field(default_factory=dict)
    curve: epochs.StoredEpochs | None = None

    @cached_property
    def contents(self) -> dict[str, dict[str, Any]]:
        """Of its files that are not damaged, by their names; read once it is asked for.

        Raises:
            UserError: a cell is wrong; one line with its row and column.
        """
        try:
            return {name: checked(name, nested(cells)) for name, cells in self.cells.items()}
        except ValueError as error:
            raise UserError(f"{self.row}, {error}") from None

    def status(self) -> dict[str, Any]:
        """See `RunRecord`."""
        return self._content(STATUS, "state")

    def result(self) -> dict[str, Any]:
        """See `RunRecord`."""
        return self._content(RESULT, "status")

    def settings(self) -> dict[str, Any]:
        """See `RunRecord`."""
        if CONFIG in self.as_is:
            try:
                return settings_of(yaml_of(_plain(self.as_is[CONFIG])))
            except ValueError:
                return {}
        return settings_of(self.contents.get(CONFIG))

    def epochs(self) -> str:
        """See `RunRecord`."""
        if METRICS in self.as_is:
            try:
                return _plain(self.as_is[METRICS])
            except ValueError:
                return ""
        return "" if self.curve is None else self.curve.text()

    def text(self, name: str) -> str | None:
        """See `RunRecord`; the same bytes, if the program wrote the file, else the same content."""
        if name in self.as_is:
            return self.as_is[name]
        if name == METRICS:
            return None if self.curve is None else self.curve.text()
        return written(name, self.contents[name]) if name in self.contents else None

    def is_run(self) -> bool:
        """See `RunRecord`."""
        return bool(self.cells or self.as_is)

    def is_held(self) -> bool:
        """See `RunRecord`."""
        return False

    def has_parameters(self) -> bool:
        """See `RunRecord`."""
        return False

    def _content(self, name: str, state: str) -> dict[str, Any]:
        if name in self.as_is:
            found = json_of(lambda: _plain(self.as_is[name]), name, _OF_CONTENT[name], state)
        else:
            found = self.contents.get(name, {})
        return file_version.unmarked(found)


@dataclass(frozen=True)
class StoredRuns(RunRecords):
    """A table.

    Attributes:
        file: that it is in.
        root: the folder that it stands for: the file's name without its ending.
        runs: by their folders below it.
        groups: rows and cells of TOGETHER, by the folders of variants below it.
    """

    file: Path
    root: Path
    runs: dict[str, StoredRun]
    groups: dict[str, list[tuple[str, str]]] = field(repr=False)

    def replicates(self, home: Path) -> list[Replicate]:
        """See `RunRecords`."""
        return self._homes.get(self._below(home), [])

    def is_there(self, home: Path) -> bool:
        """See `RunRecords`."""
        return self._below(home) in self._homes

    def run(self, path: Path) -> StoredRun:
        """See `RunRecords`."""
        return self.runs.get(self._below(path)) or StoredRun(path)

    def named(self, name: str | Path) -> StoredRun:
        """See `RunRecords`."""
        return self.runs.get(str(name)) or self.run(self.root / Path(name).name)

    def every(self) -> list[StoredRun]:
        """See `RunRecords`."""
        return list(self.runs.values())

    def together(self, home: Path) -> dict[str, dict[str, Any]]:
        """See `RunRecords`."""
        found: dict[str, dict[str, Any]] = {}
        for row, text in self.groups.get(self._below(home), ()):
            try:
                found |= _evaluations(text)
            except ValueError as error:
                raise UserError(f"{row}, {error}") from None
        return found

    def times(self) -> dict[str, dict[str, Any]]:
        """See `RunRecords`."""
        path = kept_times.beside(self.file)
        found = read_json(path, _wrong_times, "state")
        return {path.name: found} if "state" in found else found

    def without_parameters(self) -> str:
        """See `RunRecords`."""
        return f"{self.file} is a table, which has no parameters of runs"

    def _below(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    @cached_property
    def _homes(self) -> dict[str, list[Replicate]]:
        found: dict[str, list[Replicate]] = {}
        for folder in self.runs:
            home, _, name = folder.rpartition("/")
            if one := Replicate.named(name):
                found.setdefault(home, []).append(one)
        return {home: sorted(those) for home, those in found.items()}


def read(file: Path) -> StoredRuns:
    """The runs of a table that `bench results export` wrote; parsed once a process.

    Raises:
        UserError: it is not there or damaged; one line with the row, counted with that of the
            headings, and the column.
    """
    if not file.exists():
        raise UserError(f"{file}: no such file; name a table of bench results export")
    about = file.stat()
    return _read(file, file.absolute(), about.st_mtime_ns, about.st_size)


@cache
def _read(file: Path, *_: Path | int) -> StoredRuns:
    root = storage.bare(file)
    table = storage.read(file, _is_known, [epochs.FOLDER])
    read = _Row(file, root, table.header)
    runs: dict[str, StoredRun] = {}
    groups: dict[str, list[tuple[str, str]]] = {}
    for number, row in enumerate(table.rows, 2):
        where = f"{file}: row {number}"
        try:
            folder, run = read(row, where)
            if folder in runs:
                raise ValueError(f"column {epochs.FOLDER}: {folder} is another row's already")
        except ValueError as error:
            raise UserError(f"{where}, {error}") from None
        runs[folder] = run
        if together := read.text(row, TOGETHER):
            groups.setdefault(folder.rpartition("/")[0], []).append((where, together))
    return StoredRuns(file, root, dict(sorted(runs.items())), groups)


def _is_known(column: str) -> bool:
    own = (epochs.FOLDER, EPOCHS, TOGETHER, AS_IS, ORDER)
    return column in own or ("." in column and column.split(".")[0] in FILES)


class _Row:
    """What a row holds; a ValueError says which column is wrong.

    Args:
        file: of the table.
        root: the folder that it stands for.
        header: the names of its columns.
    """

    def __init__(self, file: Path, root: Path, header: Sequence[str]) -> None:
        self._root = root
        self._places = {name: place for place, name in enumerate(header)}
        self._of_files = {
            prefix: [(place, name) for name, place in self._places.items() if name.startswith(dot)]
            for prefix in FILES
            for dot in [f"{prefix}."]
        }
        self._curves = epochs.Curves(epochs.beside(file), file)

    def __call__(self, row: Sequence[str], where: str) -> tuple[str, StoredRun]:
        folder = self._folder(row)
        as_is = _mapping(AS_IS, self.text(row, AS_IS))
        for name, text in as_is.items():
            if name not in (*FILES.values(), METRICS) or not isinstance(text, str):
                raise ValueError(f"column {AS_IS}: {name!r:.40} is not a file of a run as text")
            _bytes(text)
        cells, orders = {}, _mapping(ORDER, self.text(row, ORDER))
        for prefix, name in FILES.items():
            own = [(column, row[place]) for place, column in self._of_files[prefix] if row[place]]
            if prefix in orders:
                own = _ordered(own, orders[prefix])
            if own:
                cells[name] = own
        count = self._cell(row, EPOCHS)
        if count is not None and not (isinstance(count, int) and count > 0):
            raise ValueError(f"column {EPOCHS}: {count!r:.40} is not a number of epochs")
        key = self.text(row, epochs.FOLDER)
        curve = None if count is None else epochs.StoredEpochs(self._curves, key, count)
        return folder, StoredRun(self._root / folder, where, cells, as_is, curve)

    def text(self, row: Sequence[str], column: str) -> str:
        """A cell of a column that may be absent."""
        return row[self._places[column]] if column in self._places else ""

    def _folder(self, row: Sequence[str]) -> str:
        text = self._cell(row, epochs.FOLDER)
        if not isinstance(text, str) or not is_place(text):
            what = f"{text!r:.60} is not a folder below that of the runs"
            raise ValueError(f"column {epochs.FOLDER}: {what}")
        return text

    def _cell(self, row: Sequence[str], column: str) -> Any:
        text = self.text(row, column)
        try:
            return value(text) if text else None
        except ValueError as error:
            raise ValueError(f"column {column}: {error}") from None


def _mapping(column: str, text: str) -> dict[str, Any]:
    """A cell of texts or evaluations, which are kept whatever numbers they hold."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"column {column}: is not a mapping in JSON")
    return found


def _evaluations(text: str) -> dict[str, dict[str, Any]]:
    """Those in a cell of TOGETHER."""
    found = _mapping(TOGETHER, text)
    for name, content in found.items():
        if not (_TOGETHER.fullmatch(name) and is_place(name)) or not isinstance(content, dict):
            raise ValueError(f"column {TOGETHER}: {name!r:.60} is not an evaluation of seeds")
    return found


def _wrong_times(content: dict[str, Any]) -> str:
    """What is wrong with the times of a table, in words; empty for nothing."""
    for name, one in content.items():
        if name == "state" or not kept_times.is_name(name) or not _has_steps(one):
            return f"{name!r:.40} is no measurement"
    return ""


def _has_steps(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("steps"), list)


def is_place(folder: str) -> bool:
    """Whether a text names a folder below another, and no other place."""
    return bool(_PLACE.fullmatch(folder)) and not {".", ".."} & set(folder.split("/"))


def checked(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """The content of a file that is not damaged, or it would stand in AS_IS."""
    if name == CONFIG:
        problem = "" if settings_of(content) else "config.seed or another is missing or no number"
    else:
        problem = _OF_CONTENT[name](content)
    if problem:
        raise ValueError(f"columns {name.partition('.')[0]}.*: {problem}")
    return content


def _ordered(cells: list[tuple[str, str]], places: Any) -> list[tuple[str, str]]:
    """The cells of a file in the order of its keys."""
    if not isinstance(places, list) or sorted(map(repr, places)) != sorted(
        map(repr, range(len(cells)))
    ):
        raise ValueError(f"column {ORDER}: does not name each of the {len(cells)} places once")
    return [cells[place] for place in places]


def _bytes(text: str) -> bytes:
    """Of a file whose bytes that are no UTF-8 are escaped; a ValueError for other surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _plain(text: str) -> str:
    """The file's text; a ValueError where it is no UTF-8."""
    return _bytes(text).decode("utf-8")
