"""The files in `sweeps/` as tables: labelled runs, and the one that others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.files import resource
from deepset_bench.sweep.named import NamedSweep, find, read, shipped_files


@dataclass(frozen=True)
class Row:
    """One row: its label and what is asked of `bench train`, the sweep's common part first."""

    label: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """A list of runs that belong together.

    Attributes:
        name: the file's name without its ending.
        title: what the runs are to show.
        table: number of the report's table, if it is one.
        baseline: label of the run that the others are compared with; empty if it is no table.
        common: overrides that all runs share.
        runs: in the order of the file.
        file: what `bench sweep` takes for it.
    """

    name: str
    title: str
    table: int | None
    baseline: str
    common: tuple[str, ...]
    runs: tuple[Row, ...]
    file: str

    @property
    def condition(self) -> str | None:
        """The only condition that the sweep is meant for; None where it is meant for each."""
        fixed = [text.split("=", 1)[1] for text in self.common if text.startswith("condition=")]
        return fixed[-1] if fixed else None


def every() -> list[Comparison]:
    """The sweeps that are tables, because they name a baseline; in alphabetical order."""
    return [sweep for sweep in family("") if sweep.baseline]


def family(prefix: str) -> list[Comparison]:
    """The sweeps whose names begin so, in alphabetical order; they need no baseline."""
    return [_sweep(read(path)) for path in shipped_files(prefix)]


def asked_for(name: str, others: Sequence[str] = ()) -> Comparison:
    """The table that a person names; see `sweep.named.find`.

    Raises:
        UserError: there is no such sweep, or it is no table.
    """
    return load(find(name, others))


def shipped(name: str) -> Comparison:
    """A sweep of the product's own, whatever files lie in this folder; it needs no baseline."""
    return _sweep(read(resource("sweeps") / f"{name}.yaml"))


def load(path: Path) -> Comparison:
    """Read one file.

    Raises:
        UserError: see `sweep.named.read`; or it names no baseline.
    """
    sheet = read(path)
    if sheet.baseline is None:
        raise UserError(f"{path}: names no baseline, so it is no table")
    return _sweep(sheet)


def _sweep(sheet: NamedSweep) -> Comparison:
    own = sheet.path.parent != resource("sweeps")
    return Comparison(
        name=sheet.path.stem,
        title=sheet.title,
        table=sheet.table,
        baseline=sheet.baseline or "",
        common=tuple(sheet.common),
        runs=tuple(Row(label, tuple(lines)) for label, lines in sheet.overrides.items()),
        file=str(sheet.path) if own else f"sweeps/{sheet.path.name}",
    )
