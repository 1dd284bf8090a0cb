"""The epochs of runs, in a second table beside that of the runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.results import storage

FOLDER = "folder"
"""DATA/CONDITION/VARIANT/REPLICATE, below the folder of the runs: what both tables share."""
_NAME = re.compile(r"\w+", re.ASCII)


def beside(file: Path) -> Path:
    """Where the curves of a table are: `runs.curves.csv` beside `runs.csv`."""
    return file.with_name(f"{storage.bare(file).name}.curves{storage.ending(file)}")


@dataclass(frozen=True)
class StoredEpochs:
    """The rows of one run, which are read when they are asked for.

    Attributes:
        curves: the table.
        folder: of the run.
        count: how many rows it has.
    """

    curves: Curves
    folder: str
    count: int

    def text(self) -> str:
        """That of metrics.csv.

        Raises:
            UserError: the table of curves is damaged, or not there.
        """
        return self.curves.text(self.folder, self.count)


@dataclass(frozen=True)
class Curves:
    """The curves of a table of runs.

    Attributes:
        file: that they are in.
        of: the table of runs.
    """

    file: Path
    of: Path

    def text(self, folder: str, count: int) -> str:
        """See `StoredEpochs.text`."""
        heading, *lines = self._lines.get(folder, [""])
        if len(lines) != count:
            raise UserError(
                f"{self.file}: has {len(lines)} epochs of {folder}, and {self.of} says {count}; "
                "take both from one bench results export"
            )
        return "".join(f"{line}\n" for line in (heading, *lines))

    @cached_property
    def _lines(self) -> dict[str, list[str]]:
        """Those of each run's metrics.csv."""
        if not self.file.exists():
            raise UserError(f"{self.file}: no such file; the curves of {self.of} belong there")
        table = storage.read(self.file, lambda name: bool(_NAME.fullmatch(name)), [FOLDER])
        own = table.header.index(FOLDER)
        shapes: dict[str, list[int]] = {}
        found: dict[str, list[str]] = {}
        for number, row in enumerate(table.rows, 2):
            folder = row[own]
            there = [place for place, text in enumerate(row) if text and place != own]
            if folder not in shapes:
                shapes[folder] = there
                found[folder] = [",".join(table.header[place] for place in there)]
            for place in {*there, *shapes[folder]}:
                if place not in shapes[folder] or not _is_number(row[place]):
                    raise UserError(
                        f"{self.file}: row {number}, column {table.header[place]}: "
                        f"{row[place]!r:.40} is not a number, or stands alone"
                    )
            found[folder].append(",".join(row[place] for place in there))
        return found


def is_curve(text: str, columns: Sequence[str]) -> bool:
    """Whether a metrics.csv is whole: numbers under headings, and nothing else.

    Args:
        text: its content.
        columns: of the table, in whose order its own are to be.
    """
    heading = _heading(text)
    return _is_whole(text) and [name for name in columns if name in heading] == heading


def _heading(text: str) -> list[str]:
    return text.partition("\n")[0].split(",")


def _is_whole(text: str) -> bool:
    heading, *rows = (line.split(",") for line in text.split("\n"))
    last = rows.pop() if rows else heading
    return (
        last == [""]
        and bool(rows)
        and all(map(_NAME.fullmatch, heading))
        and FOLDER not in heading
        and all(len(row) == len(heading) and all(map(_is_number, row)) for row in rows)
    )


def columns(texts: Iterable[str]) -> list[str]:
    """Of a table of the epochs in those of these files that are whole."""
    return merged(_heading(text) for text in texts if _is_whole(text))


def table(texts: Mapping[str, str], columns: Sequence[str]) -> storage.Rows:
    """All of them under each other.

    Args:
        texts: of metrics.csv, each `is_curve`, by the cell that the run's folder is.
        columns: of the table.
    """
    each = {name: [line.split(",") for line in text.splitlines()] for name, text in texts.items()}
    rows = []
    for name, (heading, *lines) in each.items():
        for line in lines:
            cells = dict(zip(heading, line, strict=True))
            rows.append([name, *(cells.get(column, "") for column in columns)])
    return storage.Rows([FOLDER, *columns], rows)


def merged(lists: Iterable[Sequence[str]]) -> list[str]:
    """Every name once, in an order that is that of most lists, of all if there is one."""
    order: list[str] = []
    for names, _ in Counter(map(tuple, lists)).most_common():
        place = 0
        for name in names:
            if name in order:
                place = order.index(name) + 1
            else:
                order.insert(place, name)
                place += 1
    return order


def _is_number(text: str) -> bool:
    """Whether a cell of metrics.csv is one; those of a run that diverged may be NaN."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text and text == text.strip()
