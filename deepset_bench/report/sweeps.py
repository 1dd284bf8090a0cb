"""The files in `sweeps/` as tables: labelled runs, and the one that others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deepset_bench.errors import UserError, nearest
from deepset_bench.files import resource

_KEYS = {"title", "table", "baseline", "common", "runs"}


@dataclass(frozen=True)
class Run:
    """One row: its label and what is asked of `bench train`, the sweep's common part first."""

    label: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Sweep:
    """A list of runs that belong together.

    Attributes:
        name: the file's name without its ending.
        title: what the runs are to show.
        table: number of the report's table, if it is one.
        baseline: label of the run that the others are compared with.
        common: overrides that all runs share.
        runs: in the order of the file.
    """

    name: str
    title: str
    table: int | None
    baseline: str
    common: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def condition(self) -> str | None:
        """The only condition that the sweep is meant for; None where it is meant for each."""
        fixed = [text.split("=", 1)[1] for text in self.common if text.startswith("condition=")]
        return fixed[-1] if fixed else None


def every() -> list[Sweep]:
    """The sweeps that are tables, because they name a baseline; in alphabetical order."""
    paths = sorted(resource("sweeps").glob("*.yaml"))
    return [load(path) for path in paths if "baseline" in _read(path)]


def named(name: str) -> Sweep:
    """The sweep of that name, or of the report's table of that number.

    Raises:
        UserError: there is none (the message has the nearest names).
    """
    stem = f"table_{name}" if name.isdecimal() else Path(name).name.removesuffix(".yaml")
    path = resource("sweeps") / f"{stem}.yaml"
    if not path.is_file():
        known = [sweep.name for sweep in every()]
        raise UserError(f"unknown table '{name}'; {nearest(stem, [*known, 'claims'])}")
    return load(path)


def load(path: Path) -> Sweep:
    """Read one file.

    Raises:
        UserError: it cannot be read, lacks a key, has one that nothing reads, repeats a label, or
            names a baseline that is none of its runs.
    """
    content = _read(path)
    _check_keys(path, content, _KEYS, _KEYS - {"table", "common"})
    common = _overrides(path, content.get("common"))
    if not isinstance(content["runs"], list) or not content["runs"]:
        raise UserError(f"{path}: runs is to be a list of {{label, overrides}}")
    runs = []
    for entry in content["runs"]:
        if not isinstance(entry, dict):
            raise UserError(f"{path}: run {entry!r} is not a mapping of label and overrides")
        _check_keys(path, entry, {"label", "overrides"}, {"label", "overrides"})
        own = _overrides(path, entry["overrides"])
        runs.append(Run(str(entry["label"]), common + own))
    labels = [run.label for run in runs]
    if len(set(labels)) < len(labels):
        repeated = next(label for label in labels if labels.count(label) > 1)
        raise UserError(f"{path}: two runs have the label '{repeated}'")
    if content["baseline"] not in labels:
        raise UserError(
            f"{path}: baseline '{content['baseline']}' is no run of it; "
            f"{nearest(str(content['baseline']), labels)}"
        )
    return Sweep(
        name=path.stem,
        title=str(content["title"]),
        table=content.get("table"),
        baseline=str(content["baseline"]),
        common=common,
        runs=tuple(runs),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: is not a mapping; a table needs title, baseline and runs")
    return content


def _check_keys(path: Path, content: dict[str, Any], known: set[str], needed: set[str]) -> None:
    for key in sorted(needed - set(content)):
        raise UserError(f"{path}: lacks {key}, so it is no table")
    for key in set(content) - known:
        raise UserError(f"{path}: unknown key '{key}'; {nearest(str(key), known)}")


def _overrides(path: Path, given: Any) -> tuple[str, ...]:
    if not isinstance(given or [], Sequence) or isinstance(given, str):
        raise UserError(f"{path}: overrides {given!r} are not a list")
    return tuple(str(text) for text in given or [])
