"""The numbers that a publication prints, of a study that names them in `published.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from deepset_bench.errors import UserError, nearest
from deepset_bench.reading import is_number, mapping, read_yaml
from deepset_bench.study.columns import MEAN, OOD, TEST, VAL
from deepset_bench.sweep.studies import Study
from deepset_bench.units import Units

METRICS = ("energy", "forces")
PRINTED_OF = (TEST, VAL, MEAN)
"""Parts that numbers are printed of; `mean` is the mean of test and val."""

Printed = dict[tuple[str, str], float]
"""(metric, part) -> mean absolute error in eV or eV/angstrom."""

_KEY = {TEST: "test", VAL: "val", MEAN: "avg"}
"""Part -> how numbers begin that are printed of it. Those of OOD are in tables of molecules, where
`_rmse` behind them says that they are root mean square errors."""
_NUMBERS = (
    *(f"{key}_{metric}" for metric in METRICS for key in _KEY.values()),
    *(f"{OOD}_{metric}{what}" for metric in METRICS for what in ("", "_rmse")),
)
_BEGINNINGS = tuple(f"{word}_" for word in {*_KEY, *_KEY.values(), OOD})
_DATA, _UNITS = "data", "units"
_OF_TABLES = ("title", "columns", "rows")


@dataclass(frozen=True)
class Published:
    """What is printed of runs.

    Attributes:
        path: of the file; None where there is none.
        content: table -> title and columns, a run each; numbers in `units`.
        data: the set that the numbers are of; beside another they say nothing.
        units: of energies and forces.
    """

    path: Path | None = None
    content: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    units: Units = field(default_factory=Units)

    def column(self, table: str, label: str) -> dict[str, Any]:
        """One printed column of a table, `same_as` followed.

        Raises:
            KeyError: the table has no such column.
        """
        for entry in self.content[table].get("columns", ()):
            if entry["label"] == label:
                if "same_as" in entry:
                    return self.column(*entry["same_as"].split("/", 1))
                return dict(entry)
        raise KeyError(f"{table}/{label}")

    def printed(self, label: str, table: int | None = None) -> Printed:
        """What is printed for a run; empty where nothing is.

        Args:
            label: as the publication calls the run.
            table: number of the table to look in first; other tables may call the run alike.
        """
        for name in sorted(self.content, key=lambda name: name != f"table_{table}"):
            try:
                entry = self.column(name, label)
            except KeyError:
                continue
            sizes = dict(zip(METRICS, (self.units.energy, self.units.force), strict=True))
            found: Printed = {}
            for metric, size in sizes.items():
                for part in PRINTED_OF:
                    value = entry.get(f"{_KEY[part]}_{metric}")
                    if value is not None:
                        found[metric, part] = float(value) * size
            return found
        return {}

    def unseen(self, comparison: str) -> dict[str, dict[str, Any]]:
        """Molecule -> the table that is printed of it for a comparison; `columns` may be empty."""
        begins = f"{comparison}/"
        return {
            name.removeprefix(begins): table
            for name, table in self.content.items()
            if name.startswith(begins)
        }

    def size(self, metric: str) -> float:
        """eV or eV/angstrom in the unit of `energy` or `forces`."""
        return self.units.energy if metric == "energy" else self.units.force

    def of_these_data(self, overrides: Sequence[str]) -> bool:
        """Whether runs with these overrides are of the data that the numbers are of."""
        chosen = [text.split("=", 1)[1] for text in overrides if text.startswith("data=")]
        return not chosen or chosen[-1] == self.data


def published(study: Study) -> Published:
    """What a study says that a publication prints.

    Raises:
        UserError: a file that is not as it is to be.
    """
    path = study.file("published.yaml")
    if path is None:
        return Published()
    about = path.stat()
    return _read(path, path.absolute(), about.st_mtime_ns, about.st_size)


@cache
def _read(path: Path, *_: Path | int) -> Published:
    """A file as it is now, once for all who ask."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a mapping of tables")
    units = content.pop(_UNITS, {})
    data = content.pop(_DATA, "")
    if not isinstance(units, dict) or not units.keys() <= {"energy", "forces"}:
        raise UserError(f"{path}: units must have energy and forces, as in hartree, hartree/bohr")
    if not isinstance(data, str):
        raise UserError(f"{path}: data must be the name of a set")
    for name, table in content.items():
        if not isinstance(name, str):
            raise UserError(f"{path}: {name!r} must be text: table_{name}, or COMPARISON/MOLECULE")
        table = mapping(table, f"{path}: {name}", _OF_TABLES)
        columns = table.get("columns", [] if "rows" in table else None)
        if not isinstance(columns, list) or not all(
            isinstance(one, dict) and isinstance(one.get("label"), str) for one in columns
        ):
            raise UserError(f"{path}: {name} must have columns, a mapping with a label each")
        for one in columns:
            _check(one, f"{path}: {name}: {one['label']}")
            where = str(one.get("same_as", "")).split("/", 1)
            if "same_as" in one and not _is_there(content, *where):
                text = f"{name}: {one['label']}: same_as: {one['same_as']}"
                raise UserError(f"{path}: {text}: is not a column of its own, e.g. table_2/LABEL")
    chosen = {"energy_unit": units.get("energy", "eV")}
    if "forces" in units:
        chosen["force_unit"] = units["forces"]
    return Published(path, content, data, Units(**{k: str(v) for k, v in chosen.items()}))


def _check(column: dict[str, Any], where: str) -> None:
    """Refuse what is meant for an error and is none; other keys say what they like of a run."""
    for key, value in column.items():
        if key in _NUMBERS:
            if not is_number(value):
                raise UserError(f"{where}: {key} is not a number")
            if value < 0:
                raise UserError(f"{where}: {key} is {value}: an absolute error is not below 0")
        elif str(key).startswith(_BEGINNINGS) or get_close_matches(str(key), _NUMBERS, 1, 0.8):
            raise UserError(f"{where}: unknown key {str(key)!r}; {nearest(str(key), _NUMBERS)}")


def _is_there(content: dict[str, Any], table: str, label: str = "") -> bool:
    """Whether a column is there that holds numbers, and leads to no further one."""
    found = content.get(table)
    columns = found.get("columns", []) if isinstance(found, dict) else []
    return isinstance(columns, list) and any(
        one.get("label") == label and "same_as" not in one for one in columns
    )
