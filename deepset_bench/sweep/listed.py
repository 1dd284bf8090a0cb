"""Runs on disk that a person means: by their folders, a sweep, or what they were made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepset_bench import replicate
from deepset_bench.config import asked_for
from deepset_bench.config_file import completed
from deepset_bench.errors import UserError
from deepset_bench.groups import is_override
from deepset_bench.overrides import quoted
from deepset_bench.record import RunRecord, RunRecords
from deepset_bench.replicate import Replicate
from deepset_bench.runs import variant_home
from deepset_bench.sweep.axes import combinations
from deepset_bench.sweep.plan import plan


def listed(words: Sequence[str], runs: RunRecords) -> list[RunRecord]:
    """The runs that all of the words together mean, by path.

    Args:
        words: folders of runs; or a sweep, with overrides as `bench sweep` takes them: its runs,
            begun or not, with every seed there is; or overrides alone: runs that were made with
            them, each of several values with one of these. Nothing: every run.
        runs: where they are.

    Raises:
        UserError: a word that is neither a run's folder nor a sweep, or an override that cannot be.
    """
    overrides = [word for word in words if is_override(word)]
    named = [word for word in words if not is_override(word)]
    folders = [runs.named(word) for word in named]
    if named and all(folder.is_run() for folder in folders):
        found = list({folder.path: folder for folder in folders}.values())
    elif named:
        for word, folder in zip(named, folders, strict=True):
            if folder.path.is_dir() and not (folder.path / "study.yaml").is_file():
                raise UserError(f"{word} is not the folder of a run; bench status lists these")
        where = f"runs_dir={quoted(str(runs.root))}"
        planned = [run.experiment for run in plan([*named, *overrides, where]).runs]
        asked = [variant_home(one, runs) / str(Replicate.of(one.config)) for one in planned]
        each = {path: runs.run(path) for path in asked}
        if not any(word.lstrip("+").partition("=")[0] in replicate.KEYS for word in overrides):
            homes = dict.fromkeys(path.parent for path in asked)
            every = [home / str(one) for home in homes for one in runs.replicates(home)]
            each |= {path: run for path in every if (run := runs.run(path)).is_run()}
        return [each[path] for path in sorted(each)]
    else:
        found = list(runs.every())
    wanted = [asked_for(line) for line in combinations(overrides)] if overrides else []
    sought: set[Path] | None = None
    meant = []
    for one in found:
        settings = one.settings() if wanted else {}
        if not wanted or any(_made_with(one.path, settings, each) for each in wanted):
            meant.append(one)
        elif not settings:  # only planned
            sought = _homes(overrides, runs) if sought is None else sought
            meant += [one] if one.path.parent in sought else []
    return meant


def _homes(overrides: Sequence[str], runs: RunRecords) -> set[Path]:
    """The folders of the variants that overrides ask for, where they are all that is asked for."""
    try:
        planned = plan([*overrides, f"runs_dir={quoted(str(runs.root))}"]).runs
    except UserError:  # data that are not here, as for who only has the runs
        return set()
    return {variant_home(one.experiment, runs) for one in planned}


def _made_with(path: Path, settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a run's configuration has these values; of one that is only planned, its path."""
    if not settings:
        settings = dict(zip(("data.name", "condition.name"), path.parts[-4:-2], strict=True))
        return all(settings.get(key) == value for key, value in wanted.items())
    known = completed(settings)
    return all(key in known and known[key] == value for key, value in wanted.items())
