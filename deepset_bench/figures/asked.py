"""What a figure is asked for: an entry of figures.yaml, a study's sheets, runs, units."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from deepset_bench.config import experiment
from deepset_bench.errors import UserError, nearest
from deepset_bench.figures.figure import Figure, Gap, of_sheet
from deepset_bench.figures.panels import Sheet
from deepset_bench.scoring.table import Metric
from deepset_bench.scoring.table import chosen as metrics_of
from deepset_bench.study.collect import Where, collect, conditions_of
from deepset_bench.study.gaps import gaps, lacking
from deepset_bench.sweep.comparisons import Comparison, Row
from deepset_bench.units import UNITS

_CHOOSE_DATA = ("data", "task", "condition")


@dataclass(frozen=True)
class Entry:
    """One figure of a list.

    Attributes:
        name: of its files.
        kind: of `figure_kinds.KINDS`.
        title: of its own, else the kind's.
        caption: of its own, else the kind's.
        keys: what the kind takes, by name.
        place: where it stands, for messages.
    """

    name: str
    kind: str
    title: str | None = None
    caption: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""

    def mistake(self, key: str, text: str) -> UserError:
        """What is wrong with one of its keys."""
        return UserError(f"{self.place}, {key}: {text}")


@dataclass(frozen=True)
class Asked:
    """What every kind of figure is given beside its own keys.

    Attributes:
        entry: which figure.
        sheets: of the study, by name; the first is meant where none is named.
        where: which runs.
        conditions: that are shown.
        unit: `hartree` or `mev`.
        words: condition -> what panels and captions call it; empty where a study has none.
    """

    entry: Entry
    sheets: Mapping[str, Comparison]
    where: Where
    conditions: Sequence[str]
    unit: str
    words: Mapping[str, str] = field(default_factory=dict)

    def sheet(self, name: str, rows: Sequence[str] = ()) -> Comparison:
        """The sheet of that name with these of its rows; none: all of them.

        Raises:
            UserError: there is no such sheet or row.
        """
        if name and name not in self.sheets:
            raise self.entry.mistake("sheet", f"unknown {name!r}; {nearest(name, self.sheets)}")
        found = self.sheets[name] if name else next(iter(self.sheets.values()))
        return narrowed(found, [self.row(found, label) for label in rows]) if rows else found

    def row(self, sheet: Comparison, label: str) -> Row:
        """The row of that label.

        Raises:
            UserError: there is none.
        """
        there = {row.label: row for row in sheet.runs}
        if label not in there:
            key = "row" if "row" in self.entry.keys else "rows"
            raise self.entry.mistake(key, f"{sheet.name} has no {label!r}; {nearest(label, there)}")
        return there[label]

    def metrics(self, names: Sequence[str]) -> list[Metric]:
        """The metrics of these names.

        Raises:
            UserError: there is none of a name.
        """
        try:
            return metrics_of(names)
        except UserError as error:
            raise self.entry.mistake("metrics", str(error)) from None

    def conditions_of(self, sheet: Comparison) -> list[str]:
        """The conditions to show: the sheet's own where it has one."""
        return conditions_of(sheet, self.conditions)

    def collect(
        self, sheet: Comparison, metrics: Sequence[Metric] = ()
    ) -> tuple[pd.DataFrame, list[Gap]]:
        """The sheet's runs that are done, and what is missing: runs, or metrics of them."""
        runs = collect(sheet, self.conditions, self.where)
        missing = gaps(sheet, runs, self.conditions_of(sheet), self.where)
        missing += lacking(sheet, runs, metrics, self.where)
        return runs[runs.state == "done"], missing

    def named(self, condition: str, rest: str = "") -> str:
        """A panel's title: the condition where the study has any, and what else there is to say."""
        word = self.words.get(condition, condition) if self.words else ""
        return f"{word}: {rest}" if word and rest else word or rest

    def run_named(self, label: str, condition: str, rest: str = "") -> str:
        """A run for a line of what is missing; the condition where the study has any."""
        words = (label, condition if self.words else "", rest)
        return ", ".join(word for word in words if word)

    def data(self, sheet: Comparison) -> list[str]:
        """The sets that its runs are trained on."""
        lines = {
            tuple(t for t in (*row.overrides, *self.where.overrides) if _key(t) in _CHOOSE_DATA)
            for row in sheet.runs
        }
        return sorted({experiment(list(chosen)).config.data.name for chosen in lines})

    def figure(
        self,
        title: str,
        caption: str,
        missing: Sequence[Gap],
        runs: Sequence[Path],
        sheet: Callable[[], Sheet],
        /,
        **facts: str,
    ) -> Figure:
        """A figure that consists of panels; see `texts` and `figure.of_sheet`."""
        title, caption = self.texts(title, caption, **facts)
        return of_sheet(self.entry.name, title, caption, missing, runs, sheet)

    def texts(self, title: str, caption: str, /, **facts: str) -> tuple[str, str]:
        """Title and caption: the entry's own, else the kind's; {names} of facts are filled in.

        Behind a caption stand the data and the conditions, which none may leave out.

        Args:
            title: of the kind.
            caption: of the kind.
            facts: by name; `data` is among them.

        Raises:
            UserError: a text of the entry names a fact that there is none of.
        """
        facts = {**facts, "energy": UNITS[self.unit]["energy"][1]}
        facts["forces"] = UNITS[self.unit]["forces"][1]

        def filled(key: str, text: str) -> str:
            def fact(found: re.Match[str]) -> str:
                if found[1] not in facts:
                    what = nearest(found[1], facts)
                    raise self.entry.mistake(key, f"nothing is called {found[0]}; {what}")
                return facts[found[1]]

            return re.sub(r"\{(\w+)\}", fact, text)

        last = f"Data: {facts['data']}"
        if self.words:
            shown = ", ".join(self.named(condition) for condition in self.conditions)
            last += f"; condition{'s' * (len(self.conditions) > 1)}: {shown}"
        whole = filled("caption", self.entry.caption or caption).rstrip()
        return filled("title", self.entry.title or title), f"{whole} {last}."


def narrowed(sheet: Comparison, rows: Sequence[Row]) -> Comparison:
    """A sheet with some of its rows."""
    return replace(sheet, runs=tuple(rows))


def _key(override: str) -> str:
    return override.lstrip("+").split("=", 1)[0].split(".")[0]
