"""A study as it was registered: what decides of it, written down with a hash and the time.

`registered.yaml` is a list to which `bench study register` adds. A run carries the stamp of the
last entry that is there when it starts, so that a verdict can be told from one whose claims were
written, or whose rows were chosen, when the runs were known.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from deepset_bench import file_version, stamps
from deepset_bench.config_file import NOT_THE_EXPERIMENT
from deepset_bench.errors import UserError
from deepset_bench.files import PACKAGE, write_text
from deepset_bench.reading import Kinds, lacking, read_yaml
from deepset_bench.runs import runs_root
from deepset_bench.stamps import Rule, Stamp
from deepset_bench.surroundings import versions
from deepset_bench.sweep.studies import Study
from deepset_bench.tuned import expanded

FILE = "registered.yaml"
_KINDS: Kinds = {
    **dict.fromkeys(("time", "hash", "version", "torch"), str),
    **dict.fromkeys(("rule", "decides"), dict),
}
_FILES = "files"
_HEADING = "# Written by bench study register, which adds entries and changes none.\n"


@dataclass(frozen=True)
class Registration:
    """An entry of `registered.yaml`.

    Attributes:
        time: in UTC, ISO 8601.
        hash: SHA-256 of `decides` and `rule`.
        version: of this program.
        torch: its version.
        rule: when one stops to add seeds.
        decides: see `what_decides`.
    """

    time: str
    hash: str
    version: str
    torch: str
    rule: Rule
    decides: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.time}, hash {self.hash[:12]}, {stamps.rule_text(self.rule)}"


def _meant(overrides: Sequence[str]) -> list[str]:
    """With the settings that were chosen for a network, if they were."""
    try:
        return expanded(overrides)
    except UserError:
        return list(overrides)


def what_decides(study: Study, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """What the verdicts on a study depend on beside the numbers, as plain values.

    `claims` without their sources, `margin`, `metrics`, `conditions`, `rows`: of each comparison
    its baseline, its seeds if it lists some, and the overrides of each row, and `files`: a hash of
    each that says what these overrides mean, in its folder `conf` and `variants.py`.

    Args:
        study: with its files as they stand now.
        overrides: typed for every row; those that say where a run is computed decide nothing.

    Raises:
        UserError: a file cannot be read.
    """
    path = study.file("claims.yaml")
    claims = _plain([] if path is None else read_yaml(path))
    if isinstance(claims, list):
        entries = [_without(one, "source") for one in claims]
        claims = sorted(entries, key=lambda one: json.dumps(one, sort_keys=True))
    typed = [line for line in overrides if _key(line) not in NOT_THE_EXPERIMENT]
    rows = {
        one.name: {
            "baseline": one.baseline,
            **({"seeds": list(one.seeds)} if one.seeds else {}),
            "runs": {row.label: _meant([*row.overrides, *typed]) for row in one.runs},
        }
        for one in study.comparisons.values()
    }
    return {
        "claims": claims,
        "margin": study.margin,
        "metrics": sorted(study.metrics),
        "conditions": sorted(study.conditions),
        "rows": rows,
        _FILES: _hashes(study.folder),
    }


def _hashes(folder: Path | None) -> dict[str, str]:
    """Path in a study's folder -> hash of what the file holds; comments in YAML are no part of it.

    Raises:
        UserError: a file cannot be read.
    """
    if folder is None:
        return {}
    found = {}
    for path in sorted([*folder.glob("conf/**/*.yaml"), *folder.glob("variants.py")]):
        if path.suffix == ".yaml":
            content = json.dumps(_plain(read_yaml(path)), sort_keys=True).encode()
        else:
            content = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def hashes_of(decides: Mapping[str, Any], rule: Rule) -> set[str]:
    """Under which hashes this may have been registered: earlier versions left the files out."""
    return {hash_of(decides, rule), hash_of(_without(decides, _FILES), rule)}


def hash_of(decides: Mapping[str, Any], rule: Rule) -> str:
    """SHA-256 of what decides and of a stopping rule, in whatever order their keys are."""
    content = json.dumps([decides, rule], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def place(folder: Path, runs_dir: str | Path | None) -> Path:
    """The file that an entry is added to: in the study's folder, unless that is not to be changed.

    Args:
        folder: of the study; one inside the installed program is not to be changed.
        runs_dir: see `runs_root`.
    """
    folder = folder.resolve()
    ours = folder.is_relative_to(PACKAGE)
    own = not ours and os.access(folder, os.W_OK | os.X_OK)
    return folder / FILE if own else runs_root(runs_dir) / "registered" / f"{folder.name}.yaml"


def read(folder: Path, runs_dir: str | Path | None) -> list[Registration]:
    """The entries of a study, oldest first, from its folder and from below the runs.

    Args:
        folder: of the study.
        runs_dir: see `runs_root`.

    Raises:
        UserError: a file is damaged; one line with the entry's number.
    """
    below = runs_root(runs_dir) / "registered" / f"{folder.resolve().name}.yaml"
    found: list[Registration] = []
    for path in (folder / FILE, below):
        if path.is_file():
            about = path.stat()
            found += _read(path, path.absolute(), about.st_mtime_ns, about.st_size)
    return sorted(found, key=lambda one: one.time)


def register(
    study: Study, rule: Rule, runs_dir: str | Path | None
) -> tuple[Registration, Path | None]:
    """Add an entry, unless the last one says the same.

    Args:
        study: in a folder.
        rule: the stopping rule.
        runs_dir: see `runs_root`.

    Returns:
        The last entry, and the file that it was added to; None where it was there before.

    Raises:
        UserError: the study has no folder, or its file is damaged.
    """
    if study.folder is None:
        raise UserError(
            f"{study.name}: is no study but a comparison by itself; bench study new makes a study"
        )
    decides, own = what_decides(study), versions()
    now = hash_of(decides, rule)
    before = read(study.folder, runs_dir)
    if before and before[-1].hash == now:
        return before[-1], None
    entry = {
        **{"time": stamps.now(), "hash": now, "version": own["deepset-bench"]},
        **{"torch": own["torch"], "rule": dict(rule), "decides": decides},
    }
    path = place(study.folder, runs_dir)
    text = path.read_text(encoding="utf-8") if path.is_file() else _HEADING
    whole = [{**entry, **file_version.marked({})}]  # an entry begins with its time
    added = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=100)
    write_text(path, f"{text.rstrip()}\n{added}")
    return read(study.folder, runs_dir)[-1], path


def carried_by(folder: Path | None, runs_dir: str | Path | None) -> list[Stamp]:
    """The stamps of a run that starts now for a study: that of its last entry, if there is one.

    Raises:
        UserError: see `read`.
    """
    if folder is None or not (entries := read(folder, runs_dir)):
        return []
    last, name = entries[-1], folder.resolve().name
    return [{"study": name, "hash": last.hash, "time": last.time, "rule": dict(last.rule)}]


def rule_of(study: Study, runs_dir: str | Path | None) -> Rule:
    """The stopping rule that was registered last, else the looks that the study has.

    Raises:
        UserError: see `read`.
    """
    entries = [] if study.folder is None else read(study.folder, runs_dir)
    return entries[-1].rule if entries else {"looks": list(study.looks)}


def changed(entry: Registration, study: Study) -> list[str]:
    """What of a study is not as it was registered: some of the keys of `what_decides`.

    Raises:
        UserError: a file of the study cannot be read.
    """
    now = what_decides(study)
    if _FILES not in entry.decides:  # of an earlier version, which left them out
        del now[_FILES]
    return [key for key, value in now.items() if entry.decides.get(key) != value]


def standing(study: Study, runs_dir: str | Path | None) -> str:
    """Whether what is registered is what stands in the files, in a line.

    Raises:
        UserError: see `read` and `changed`.
    """
    entries = [] if study.folder is None else read(study.folder, runs_dir)
    if not entries:
        return "not registered: its verdicts are not marked as stated before the first run"
    last = entries[-1]
    if not (differing := changed(last, study)):
        return f"registered {last}; its files still say the same"
    return (
        f"registered {last}; changed since: {', '.join(differing)}. Verdicts are marked as stated "
        "after the runs; bench study register registers it as it is now"
    )


@lru_cache(maxsize=16)
def _read(path: Path, *_: Path | int) -> list[Registration]:
    content = read_yaml(path)
    if not isinstance(content, list):
        raise UserError(f"{path}: must be a list, as bench study register writes it")
    return [_entry(one, f"{path}: entry {number}") for number, one in enumerate(content, 1)]


def _entry(content: Any, where: str) -> Registration:
    problem = "is no mapping"
    if isinstance(content, dict):
        problem = file_version.newer(content) or lacking(content, _KINDS)
        problem = problem or stamps.wrong_time(content["time"])
        problem = problem or stamps.wrong_rule(content["rule"])
    if not problem and hash_of(_plain(content["decides"]), content["rule"]) != content["hash"]:
        problem = "what it lists was changed since it was written: its hash is of something else"
    if problem:
        raise UserError(f"{where}: {problem}; restore the file, or remove the entry")
    return Registration(**{key: content[key] for key in _KINDS})


def _plain(value: Any) -> Any:
    """What YAML and JSON both take, in lists and mappings of its own."""
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _without(entry: Any, key: str) -> Any:
    return {k: v for k, v in entry.items() if k != key} if isinstance(entry, dict) else entry


def _key(override: str) -> str:
    return override.lstrip("+").partition("=")[0].partition(".")[0]
