"""Sweep files, and overrides with several values: labelled runs, of which one is the baseline."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deepset_bench import replicate
from deepset_bench.errors import UserError
from deepset_bench.files import write_text
from deepset_bench.reading import mapping, read_yaml
from deepset_bench.sweep import tuning
from deepset_bench.sweep.axes import combinations

_KEYS = ("title", "table", "baseline", "common", "runs", "runs_of", "axes")
"""`table` is the number of a table that a publication prints of these runs, `runs_of` the sweep,
seen from this file, whose runs are made again with this one's `common`."""
_RUN_KEYS = ("label", "overrides")
_LONGEST = 60
"""Characters of the name of a file that is kept of what was typed."""


@dataclass(frozen=True)
class Row:
    """One row: its label and what is asked of `bench train`, the comparison's common part first."""

    label: str
    overrides: tuple[str, ...]

    def options(self, axes: Sequence[Axis]) -> tuple[str, ...]:
        """Which option of each axis it has."""
        typed = {key: option for key, _, option in (o.partition("=") for o in self.overrides)}
        return tuple(typed[axis.key] for axis in axes)


@dataclass(frozen=True)
class Axis:
    """A key and the options that rows have of it, as they are typed."""

    key: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """A list of runs that belong together.

    Attributes:
        name: the file's name without its ending; of axes, what was typed.
        title: what the runs are to show.
        table: number of the table that a publication prints of them, if it does.
        baseline: label of the run that the others are compared with.
        common: overrides that all runs share.
        runs: in the order of the file; each is one run but for its seed.
        seeds: the overrides that list seeds, of runs and of splits, if there are any.
        file: what `bench sweep` takes for it: a path, a name or overrides.
        axes: whose every combination is a row; none where rows are listed.
    """

    name: str
    title: str
    table: int | None
    baseline: str
    common: tuple[str, ...]
    runs: tuple[Row, ...]
    seeds: tuple[str, ...]
    file: tuple[str, ...]
    axes: tuple[Axis, ...] = ()

    @property
    def condition(self) -> str | None:
        """The only condition that the runs are meant for; None where they are for each."""
        fixed = [text.split("=", 1)[1] for text in self.common if text.startswith("condition=")]
        return fixed[-1] if fixed else None

    @property
    def compares(self) -> bool:
        """Whether there is something to compare."""
        return len(self.runs) > 1


def of_axes(overrides: Sequence[str]) -> Comparison:
    """What is typed behind `bench sweep` as a comparison: the first value of each axis is its base.

    Raises:
        UserError: an override that does not parse or has values that cannot be listed.
    """
    seeds, rest = _seeds(overrides)
    listed = combinations(rest)
    common = [line for line in rest if all(line in lines for lines in listed)]
    rows = [Row(", ".join(_apart(lines, common)) or "the defaults", lines) for lines in listed]
    name = " ".join(overrides)
    return Comparison(
        name, name, None, rows[0].label, tuple(common), tuple(rows), seeds, tuple(overrides),
        _varied(rest),
    )  # fmt: skip


def file_name(name: str) -> str:
    """What a file is called that is of what was typed."""
    kept = re.sub(r"[^\w.=,+-]+", "_", name).strip("_.")
    if len(kept) > _LONGEST:
        kept = f"{kept[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return kept


def write(one: Comparison, folder: Path) -> Path:
    """Keep what was typed as a sweep file, so that it has a name; returns its path."""
    apart = [[line for line in row.overrides if line not in one.common] for row in one.runs]
    labels = [row.label for row in one.runs]
    content = {
        "title": one.title,
        "baseline": one.baseline,
        "common": list(one.common),
        "runs": [{"label": n, "overrides": o} for n, o in zip(labels, apart, strict=True)],
    }
    path = folder / f"{file_name(one.name)}.yaml"
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return path


def read(path: Path, shared: Sequence[str] = (), file: str = "") -> Comparison:
    """Read and check a sweep file.

    Args:
        path: of the file.
        shared: overrides that stand in front of the file's own, as a study has them.
        file: what `bench sweep` takes for it; the path where it is empty.

    Raises:
        UserError: not YAML, an unknown, missing or repeated key, a value of the wrong kind.
    """
    content = mapping(read_yaml(path), f"{path}", _KEYS)
    if not isinstance(content.get("title"), str):
        raise UserError(f"{path}: title is missing or not text")
    for key, kind in (("table", int), ("baseline", str)):
        if key in content and not isinstance(content[key], kind):
            raise UserError(f"{path}: {key} must be {'a number' if kind is int else 'text'}")
    if not {"runs", "runs_of", "axes"} & set(content):
        raise UserError(f"{path}: needs runs or axes")
    common = _lines(content.get("common", []), f"{path}: common")
    runs = _runs(content, path) if "runs" in content else {"": []}
    usual = next(iter(runs))
    if "runs_of" in content:
        common, runs, usual = _of_another(content, common, path)
    common = [*shared, *common]
    axes = _axes(content, path)
    seeds, _ = _seeds([*common, *axes])
    rows: dict[str, Row] = {}
    first: dict[str, str] = {}
    for label, lines in runs.items():
        for row in _rows(label, [*common, *axes, *lines], [*common, *lines], path):
            if row.label in rows:
                raise UserError(f"{path}: two runs would be called {row.label!r}")
            rows[row.label] = row
            first.setdefault(label, row.label)
    baseline = content.get("baseline", usual)
    if baseline not in first and baseline not in rows:
        raise UserError(f"{path}: no run has the label of the baseline, {baseline!r}")
    return Comparison(
        path.stem, content["title"], content.get("table"), first.get(baseline, baseline),
        tuple(common), tuple(rows.values()), seeds, (file or str(path),),
        _varied([*common, *axes]) if list(runs) == [""] else (),
    )  # fmt: skip


def of_trials(path: Path, shared: Sequence[str], file: str) -> Comparison:
    """The runs that `tuning.yaml` asks for; the arguments are those of `read`."""
    asked = tuning.read(path)
    common = (*shared, *asked.common)
    rows = [Row(label, (*common, *lines)) for label, lines in asked.rows().items()]
    return Comparison(
        path.stem, asked.title, None, rows[0].label, common, tuple(rows), _seeds(common)[0], (file,)
    )


def _varied(lines: Sequence[str]) -> tuple[Axis, ...]:
    """The axes among overrides: those of several values."""
    found = []
    for line in _seeds(lines)[1]:
        each = [one[0].partition("=") for one in combinations([line])]
        if len(each) > 1:
            found.append(Axis(each[0][0], tuple(option for _, _, option in each)))
    return tuple(found)


def _rows(label: str, lines: list[str], plain: list[str], path: Path) -> list[Row]:
    """A run, or one for each combination of its axes."""
    try:
        listed = combinations(_seeds(lines)[1])
    except UserError as error:
        raise UserError(f"{path}: {f'{label}: ' if label else ''}{error}") from None
    if len(listed) == 1:
        return [Row(label or ", ".join(_apart(listed[0], plain)), listed[0])]
    named = [", ".join([*([label] if label else []), *_apart(one, plain)]) for one in listed]
    return [Row(*each) for each in zip(named, listed, strict=True)]


def _apart(lines: Sequence[str], common: Sequence[str]) -> list[str]:
    """What is asked of one run alone."""
    return [line.lstrip("+") for line in lines if line not in common]


def _seeds(lines: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The overrides of the two seeds, which make no row of their own, and the others."""
    seeds = tuple(line for line in lines if line.lstrip("+").partition("=")[0] in replicate.KEYS)
    return seeds, [line for line in lines if line not in seeds]


def _lines(content: Any, where: str) -> list[str]:
    if not isinstance(content, list):
        raise UserError(f"{where}: must be a list of overrides, as in [scalars=cub_sqrt]")
    for line in content:
        if not isinstance(line, str) or "=" not in line:
            raise UserError(f"{where}: {line!r} is not an override, e.g. scalars=cub_sqrt")
    return list(content)


def _runs(content: dict[str, Any], path: Path) -> dict[str, list[str]]:
    listed = content["runs"]
    if not isinstance(listed, list) or not listed:
        raise UserError(f"{path}: runs must be a list with a label and overrides each")
    runs: dict[str, list[str]] = {}
    for number, entry in enumerate(listed, 1):
        where = f"{path}: runs, entry {number}"
        entry = mapping(entry, where, _RUN_KEYS)
        label = entry.get("label")
        if not isinstance(label, str) or not label or "overrides" not in entry:
            raise UserError(f"{where}: must have a label (text) and overrides")
        if label in runs:
            raise UserError(f"{where}: the label {label!r} is another run's already")
        runs[label] = _lines(entry["overrides"], f"{where}: overrides")
        if seeds := _seeds(runs[label])[0]:
            raise UserError(f"{where}: {seeds[0]}: rows share their seeds; write it under common")
    return runs


def _of_another(
    content: dict[str, Any], common: list[str], path: Path
) -> tuple[list[str], dict[str, list[str]], str]:
    """What is common to the runs of the sweep `runs_of` here, its runs and its baseline."""
    if "runs" in content:
        raise UserError(f"{path}: has both runs and runs_of; give one of them")
    other = path.parent / f"{content['runs_of']}.yaml"
    there = mapping(read_yaml(other), f"{other}", _KEYS)
    if "runs_of" in there:
        raise UserError(
            f"{path}: runs_of={content['runs_of']} takes its runs from another sweep; name that one"
        )
    its = read(other)  # its mistakes in its own name
    runs = _runs(there, other) if "runs" in there else {"": []}
    lines = [*_lines(there.get("common", []), f"{other}: common"), *_axes(there, other)]
    return [*lines, *common], runs, its.baseline


def _axes(content: dict[str, Any], path: Path) -> list[str]:
    """`axes` as overrides with several values."""
    axes = content.get("axes", {})
    if not isinstance(axes, dict):
        raise UserError(f"{path}: axes must be a mapping, as in gnn: [sage, edge]")
    lines = []
    for key, options in axes.items():
        if not isinstance(options, list) or not options:
            raise UserError(f"{path}: axes.{key} must be a list of options")
        lines.append(f"{key}={','.join(_text(option) for option in options)}")
    return lines


def _text(option: Any) -> str:
    if isinstance(option, list):
        return f"[{','.join(_text(member) for member in option)}]"
    if option is None or isinstance(option, bool):
        return {None: "null", True: "true", False: "false"}[option]
    return str(option)
