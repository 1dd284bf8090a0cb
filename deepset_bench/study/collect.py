"""Runs -> one row a run. Reads config.yaml and result.json, status.json where it is."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from deepset_bench import registry
from deepset_bench.config import Experiment, experiment
from deepset_bench.data import catalogue
from deepset_bench.definition import Variant
from deepset_bench.errors import UserError
from deepset_bench.groups import groups
from deepset_bench.overrides import last_of_each, quoted
from deepset_bench.reading import DAMAGED
from deepset_bench.record import ENDED, RunRecord, RunRecords
from deepset_bench.results.opening import opened
from deepset_bench.runs import variant_home, with_start
from deepset_bench.study.columns import Column, usual
from deepset_bench.sweep import folders, studies
from deepset_bench.sweep.comparisons import Comparison, Row

IMPOSSIBLE = "impossible"
"""State of a variant that cannot take the overrides; the reason is why."""
ANOTHER = "another run"
"""State of a folder with another configuration or version of the data; the reason is which."""


@dataclass(frozen=True)
class Where:
    """Which runs: what is asked of each beside its own overrides, and where they are.

    Attributes:
        overrides: as `bench sweep` takes them behind a file's name.
        runs_dir: the folder of the runs, or the table that `bench results export` made of one;
            None for what `bench train` would take.
        done: what `collect` has read of runs that are done, by folder: several sweeps of a command
            show the same run.
    """

    overrides: tuple[str, ...] = ()
    runs_dir: Path | None = None
    done: dict[Path, dict[str, Any]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for text in self.overrides:
            key = text.lstrip("+").split("=", 1)[0]
            if key in ("seed", "condition", "runs_dir"):
                instead = {"seed": "every seed there is", "condition": "--condition"}
                raise UserError(f"{text}: tables and figures take {instead.get(key, '--runs-dir')}")

    def command(
        self,
        run: Row,
        condition: str,
        seeds: Sequence[int],
        *,
        again: bool = False,
        also: Sequence[Variant] = (),
    ) -> str:
        """What a person types to make these runs, or to make them again.

        Args:
            run: of a comparison.
            condition: that it is under.
            seeds: of the runs.
            again: they are there, and are replaced.
            also: what they are to know beside what they are made of, such as metrics.
        """
        words = last_of_each([*run.overrides, *self.overrides, *under(condition)])
        needed = [*self.variants([run], condition), *also]
        own = registry.to_type(needed, names_study=False)
        one = ["bench", "train", *words, *self.dir]
        if again:  # bench train alone forgets an earlier run
            each = [shlex.join([*one, f"seed={seed}", "--fresh", *own]) for seed in seeds]
            return " && ".join(each)
        if len(seeds) == 1:
            return shlex.join([*one, f"seed={seeds[0]}", *own])
        chosen = f"seed={','.join(map(str, seeds))}"
        return shlex.join(["bench", "sweep", *words, *self.dir, chosen, *own])

    def variants(self, runs: Iterable[Row], condition: str) -> list[Variant]:
        """What runs are made of; nothing of one that cannot be so."""
        found = []
        for run in runs:
            with suppress(UserError):
                lines = [*run.overrides, *self.overrides, *under(condition)]
                found += experiment(lines).config.variants
        return found

    @cached_property
    def runs(self) -> RunRecords:
        """Where they are.

        Raises:
            UserError: a table that cannot be used.
        """
        return opened(self.runs_dir)

    @property
    def of_data(self) -> list[str]:
        """The overrides that choose the data and their labels, which every variant can take."""
        keys = ("data", "condition")
        return [t for t in self.overrides if t.lstrip("+").split("=")[0].split(".")[0] in keys]

    @property
    def dir(self) -> list[str]:
        """The override that makes runs where these are looked for; of a table, where it goes."""
        if self.runs_dir is None:
            return []
        text = str(self.runs.root)
        return [f"runs_dir={text if re.fullmatch(r'[a-zA-Z0-9_./-]+', text) else quoted(text)}"]


def conditions_of(sweep: Comparison, conditions: Sequence[str]) -> list[str]:
    """The conditions to show: the sweep's own where it has one, else those asked for.

    One that has no name, which is the usual one, stands for whatever the sweep has.
    """
    return [sweep.condition] if sweep.condition and list(conditions) != [""] else list(conditions)


def under(condition: str) -> list[str]:
    """The override of a condition; none of the usual one, which has no name."""
    return [f"condition={condition}"] if condition else []


def named(label: object, condition: object) -> str:
    """A row under a condition, for people."""
    return f"{label}, {condition}" if condition else str(label)


def collect(sweep: Comparison, conditions: Sequence[str], where: Where) -> pd.DataFrame:
    """Every run of a sweep that is on disk or should be.

    Should be: each seed that any run of the sweep has, under each condition; seed 0 if there is
    none.

    Returns:
        One row a run: `label`, `condition`, `seed`, `folder` (its path), `run` (its `RunRecord`;
        None for IMPOSSIBLE), `state` (`done`, or what stands in the way; IMPOSSIBLE once for all
        seeds), `reason`, `defect` (the first finding where the data's verdict is `defect`),
        `device`, `parameters`, `seconds`, `floor` (eV/angstrom), `result` and of it `metrics` and
        `baselines`, as result.json has them, and METRIC_PART and trivial_METRIC_PART in eV and
        eV/angstrom for PART test, val and mean.

    Raises:
        UserError: overrides that no run of any sweep can take, a data set that is not there.
    """
    homes = {}
    impossible = []
    options, records = groups(), where.runs
    for condition in conditions_of(sweep, conditions):
        for run in sweep.runs:
            lines = [*run.overrides, *where.overrides, *under(condition)]
            try:
                wanted = with_start(experiment(lines, options), records)
            except UserError as error:  # overrides that other variants may take
                one = {"label": run.label, "condition": condition, "seed": 0, "folder": Path()}
                one["run"] = None
                impossible.append(one | {"state": IMPOSSIBLE, "reason": str(error)})
                continue
            homes[run.label, condition] = wanted, variant_home(wanted, records)
    if not homes and not _is_taken(where.overrides):
        raise UserError(impossible[0]["reason"])
    columns = usual()
    there = {seed for home in {home for _, home in homes.values()} for seed in records.seeds(home)}
    every = {name for wanted, _ in homes.values() for name in wanted.config.sets}
    now = catalogue.checksums(sorted(every))
    rows = [
        {"label": label, "condition": condition, "seed": seed, "folder": run.path, "run": run}
        | _known(where.done, run, wanted, seed, now, columns)
        for (label, condition), (wanted, home) in homes.items()
        for seed in sorted(there) or [0]
        for run in [records.run(home / f"seed-{seed}")]
    ]
    return pd.DataFrame([*rows, *impossible])


@cache
def _is_taken(overrides: tuple[str, ...]) -> bool:
    """Whether some run of the product's studies can be asked for with these overrides."""
    for folder in folders.shipped():
        for sweep in studies.read(folder).comparisons.values():
            for run in sweep.runs:
                with suppress(UserError):
                    experiment([*run.overrides, *overrides])
                    return True
    return False


def _known(
    done: dict[Path, dict[str, Any]],
    run: RunRecord,
    wanted: Experiment,
    seed: int,
    now: Mapping[str, str],
    columns: Sequence[Column],
) -> dict[str, Any]:
    """The row of a run, read once where it is done."""
    if run.path in done:
        return done[run.path]
    row = _row(run, wanted, seed, now, columns)
    if row["state"] == "done":
        done[run.path] = row
    return row


def _row(
    run: RunRecord,
    wanted: Experiment,
    seed: int,
    now: Mapping[str, str],
    columns: Sequence[Column],
) -> dict[str, Any]:
    result = run.result()
    if not result:
        status = run.status()
        if status.get("state") in ENDED:
            return {"state": "interrupted", "reason": "its result.json is missing"}
        state = status.get("state", "not run")
        if state == "running" and not run.is_held():
            state = "interrupted"
        return {"state": state, "reason": status.get("reason", "")}
    if result["status"] == DAMAGED:
        return {"state": DAMAGED, "reason": result["reason"]}
    config = dataclasses.replace(wanted.config, seed=seed)
    checksums = {name: now[name] for name in config.sets}
    if conflict := run.another(dataclasses.replace(wanted, config=config), checksums):
        return {"state": ANOTHER, "reason": conflict}
    if result["status"] != "done":
        return {"state": result["status"], "reason": result["reason"]}
    verdict = result["data_verdict"]
    row = {
        "state": "done",
        "reason": "",
        "defect": str(verdict["findings"][0]) if verdict["verdict"] == "defect" else "",
        "device": f"{result['device']}, {result['threads']} threads",
        "parameters": result["parameters"],
        "seconds": result["wall_seconds"],
        "floor": result["label_floor_ev_per_angstrom"],
        "metrics": result["metrics"],
        "baselines": result["baselines"],
        "result": result,
    }
    for column in columns:
        row |= column.values(result)
    return row
