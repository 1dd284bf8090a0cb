"""Named sweeps: YAML files that list runs, axes or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepset_bench.errors import UserError, nearest
from deepset_bench.files import resource
from deepset_bench.reading import read_yaml

_KEYS = ("title", "table", "baseline", "common", "runs", "runs_of", "axes")
"""`table` and `baseline` say which table shows the runs, and beside which of them; `runs_of` is the
sweep, beside this file, whose runs are made again with this one's `common`."""
_RUN_KEYS = ("label", "overrides")


@dataclass(frozen=True)
class NamedSweep:
    """What a sweep file asks for.

    Attributes:
        overrides: of each run, by its label; several values are axes, as on the command line.
        common: the overrides among them that all runs share.
        table: number of the report's table that shows the runs, if one does.
        baseline: label of the run that a table compares the others with, if it is a table.
    """

    path: Path
    title: str
    overrides: dict[str, list[str]]
    common: list[str]
    table: int | None
    baseline: str | None


def find(name: str, others: Sequence[str] = ()) -> Path:
    """The sweep file that a person means, for every command.

    Args:
        name: a path, with or without .yaml; the name of a sweep of the product's own, also as
            `sweeps/NAME.yaml` from any folder; or the number of one of the report's tables.
        others: names that the command takes beside those of sweeps, for the message.

    Raises:
        UserError: there is no such file; the message has the nearest names.
    """
    stem = f"table_{name}" if name.isdecimal() else Path(name).name.removesuffix(".yaml")
    places = [Path(name), Path(f"{name}.yaml")]
    if Path(name).parent in (Path(), Path("sweeps")):  # a slip in another path is no sweep of ours
        places.append(resource("sweeps") / f"{stem}.yaml")
    for path in places:
        if path.is_file():
            return path
    known = [*(path.stem for path in shipped_files()), *others]
    raise UserError(f"unknown sweep {name!r} (overrides have an '='); {nearest(stem, known)}")


def shipped_files(prefix: str = "") -> list[Path]:
    """The files of the product's own sweeps whose names begin so, in alphabetical order."""
    return sorted(resource("sweeps").glob(f"{prefix}*.yaml"))


def read(path: Path) -> NamedSweep:
    """Read and check a sweep file.

    Raises:
        UserError: not YAML, an unknown, missing or repeated key, a value of the wrong kind.
    """
    content = _mapping(read_yaml(path), f"{path}", _KEYS)
    if not isinstance(content.get("title"), str):
        raise UserError(f"{path}: title is missing or not text")
    for key, kind in (("table", int), ("baseline", str)):
        if key in content and not isinstance(content[key], kind):
            raise UserError(f"{path}: {key} is to be {'a number' if kind is int else 'text'}")
    if not {"runs", "runs_of", "axes"} & set(content):
        raise UserError(f"{path}: holds neither runs nor axes")
    common = _lines(content.get("common", []), f"{path}: common") + _axes(content, path)
    runs = _runs(content, path) if "runs" in content else {"axes": []}
    if "runs_of" in content:
        common, runs = _of_another(content, common, path)
    if "baseline" in content and content["baseline"] not in runs:
        raise UserError(f"{path}: baseline {content['baseline']!r} is the label of no run")
    overrides = {label: [*common, *lines] for label, lines in runs.items()}
    return NamedSweep(
        path, content["title"], overrides, common, content.get("table"), content.get("baseline")
    )


def _mapping(content: Any, where: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UserError(f"{where}: is to be a mapping with the keys {', '.join(keys)}")
    for key in content:
        if key not in keys:
            raise UserError(f"{where}: unknown key {str(key)!r}; {nearest(str(key), keys)}")
    return content


def _lines(content: Any, where: str) -> list[str]:
    if not isinstance(content, list):
        raise UserError(f"{where}: is to be a list of overrides, as in [scalars=cub_sqrt]")
    for line in content:
        if not isinstance(line, str) or "=" not in line:
            raise UserError(f"{where}: {line!r} is no override, as in scalars=cub_sqrt")
    return list(content)


def _runs(content: dict[str, Any], path: Path) -> dict[str, list[str]]:
    listed = content["runs"]
    if not isinstance(listed, list) or not listed:
        raise UserError(f"{path}: runs is to be a list with a label and overrides each")
    runs: dict[str, list[str]] = {}
    for number, entry in enumerate(listed, 1):
        where = f"{path}: runs, entry {number}"
        entry = _mapping(entry, where, _RUN_KEYS)
        label = entry.get("label")
        if not isinstance(label, str) or "overrides" not in entry:
            raise UserError(f"{where}: is to have a label (text) and overrides")
        if label in runs:
            raise UserError(f"{where}: the label {label!r} is another run's already")
        runs[label] = _lines(entry["overrides"], f"{where}: overrides")
    return runs


def _of_another(
    content: dict[str, Any], common: list[str], path: Path
) -> tuple[list[str], dict[str, list[str]]]:
    """What is common to the runs of the sweep `runs_of` here, and its runs."""
    if "runs" in content:
        raise UserError(f"{path}: holds both runs and runs_of")
    other = path.with_name(f"{content['runs_of']}.yaml")
    if "runs_of" in _mapping(read_yaml(other), f"{other}", _KEYS):
        raise UserError(f"{path}: runs_of={content['runs_of']} has its runs of another sweep")
    there = read(other)
    runs = {label: lines[len(there.common) :] for label, lines in there.overrides.items()}
    return [*there.common, *common], runs


def _axes(content: dict[str, Any], path: Path) -> list[str]:
    """`axes` as overrides with several values."""
    axes = content.get("axes", {})
    if not isinstance(axes, dict):
        raise UserError(f"{path}: axes is to be a mapping, as in gnn: [sage, edge]")
    lines = []
    for key, options in axes.items():
        if not isinstance(options, list) or not options:
            raise UserError(f"{path}: axes.{key} is to be a list of options")
        lines.append(f"{key}={','.join(_text(option) for option in options)}")
    return lines


def _text(option: Any) -> str:
    if isinstance(option, list):
        return f"[{','.join(_text(member) for member in option)}]"
    if option is None or isinstance(option, bool):
        return {None: "null", True: "true", False: "false"}[option]
    return str(option)
