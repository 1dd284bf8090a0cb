"""What every format draws: pages of blocks of cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Cell:
    """A text, or a number with or without ±half; `text` stands behind a number.

    `source` is where it is from, for formats with links: a folder of runs, or a sweep's name.
    """

    text: str = ""
    value: float | None = None
    half: float = math.nan
    digits: int = 0
    bold: bool = False
    italic: bool = False
    source: str = ""

    @property
    def plain(self) -> str:
        """For people: `0.01427 ±0.00012`."""
        if self.value is None:
            return self.text
        number = f"{self.value:z,.{self.digits}f}".replace("-", "−")
        half = "" if math.isnan(self.half) else f" ±{self.half:,.{self.digits}f}"
        return f"{number}{half}{self.text}"


DASH = Cell("—")


@dataclass(frozen=True)
class Section:
    """A heading, columns as (group, name) and rows; `group` is the condition or empty."""

    heading: str
    columns: list[tuple[str, str]]
    rows: list[list[Cell]]
    wraps: bool = False

    @property
    def sections(self) -> list[list[list[Cell]]]:
        """Rows that belong together: a first cell without text belongs to the row above."""
        found: list[list[list[Cell]]] = []
        for row in self.rows:
            if found and not row[0].plain:
                found[-1].append(row)
            else:
                found.append([row])
        return found

    @property
    def spans(self) -> list[tuple[str, int]]:
        """Each group, in the order of the columns, and how many columns it has."""
        return [(key, len(list(own))) for key, own in groupby(group for group, _ in self.columns)]

    def narrow(self) -> list[Section]:
        """One block for each group, with the columns that belong to no group."""
        result = []
        for group in dict.fromkeys(group for group, _ in self.columns if group):
            kept = [i for i, (own, _) in enumerate(self.columns) if own in ("", group)]
            columns = [self.columns[i] for i in kept]
            rows = [[row[i] for i in kept] for row in self.rows]
            result.append(Section(self.heading, columns, rows, self.wraps))
        return result or [self]


@dataclass(frozen=True)
class Page:
    """What every format draws: a title, blocks, and under them notes and commands.

    Attributes:
        name: of a file to write it to, without ending.
        missing: what is missing, and the command that fills the gap (empty: none can).
    """

    name: str
    title: str
    blocks: list[Section]
    notes: list[str]
    missing: list[tuple[str, str]]


def number(value: float, half: float, size: float, digits: int, nothing: Cell) -> Cell:
    """A value with half its interval in units of `size`; `nothing` for NaN."""
    if math.isnan(value):
        return nothing
    return Cell(value=value / size, half=half / size, digits=digits)
