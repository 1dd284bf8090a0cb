"""Runs -> one row a run. Reads config.yaml and result.json, status.json where it is."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from deepset_bench import registry, replicate
from deepset_bench.config import Experiment, experiment
from deepset_bench.data import catalogue
from deepset_bench.definition import Variant
from deepset_bench.errors import UserError
from deepset_bench.groups import groups
from deepset_bench.overrides import last_of_each, quoted
from deepset_bench.reading import DAMAGED
from deepset_bench.record import DATA, ENDED, RunRecord, RunRecords
from deepset_bench.replicate import Replicate
from deepset_bench.results.opening import opened
from deepset_bench.runs import variant_home, with_start
from deepset_bench.stamps import STARTED
from deepset_bench.study.columns import Column, usual
from deepset_bench.sweep import folders, studies
from deepset_bench.sweep.comparisons import Comparison, Row

IMPOSSIBLE = "impossible"
"""State of a variant that cannot take the overrides; the reason is why."""
NOT_INSTALLED = "not installed"
"""State of a run that is not there, of a network whose packages are not; the reason is what
installs them."""
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
            if key in (*replicate.KEYS, "condition", "runs_dir"):
                instead = dict.fromkeys(replicate.KEYS, "every seed there is")
                instead["condition"] = "--condition"
                raise UserError(f"{text}: tables and figures take {instead.get(key, '--runs-dir')}")

    def command(
        self,
        run: Row,
        condition: str,
        those: Sequence[Replicate],
        *,
        again: bool = False,
        also: Sequence[Variant] = (),
    ) -> str:
        """What a person types to make these runs, or to make them again.

        Args:
            run: of a comparison.
            condition: that it is under.
            those: runs of it.
            again: they are there, and are replaced.
            also: what they are to know beside what they are made of, such as metrics.
        """
        words = last_of_each([*run.overrides, *self.overrides, *under(condition)])
        needed = [*self.variants([run], condition), *also]
        own = registry.to_type(needed, names_study=False)
        one = ["bench", "train", *words, *self.dir]
        if again or len(those) == 1:  # bench train alone forgets an earlier run
            own = ["--fresh", *own] if again else own
            chosen = [line for each in those for line in replicate.overrides([each])]
        else:
            one = ["bench", "sweep", *words, *self.dir]
            chosen = replicate.overrides(those)
        return " && ".join(shlex.join([*one, *lines, *own]) for lines in chosen)

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

    Should be: each replicate that half of the rows with runs have, under each condition by itself;
    where it has none, those of the others; seed 0 where there are none. A row that another
    comparison shares may have more than these need.

    Returns:
        One row a run: `label`, `condition`, `replicate` and of it `seed` and `split` (a number or
        None), which tell it from others of the row, `folder` (its path), `run` (its `RunRecord`;
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
                one = _named(run.label, condition, Replicate(0), Path())
                wrong = {"run": None, "state": IMPOSSIBLE, "reason": str(error)}
                impossible.append(one | wrong)
                continue
            homes[run.label, condition] = wanted, variant_home(wanted, records)
    if not homes and not _is_taken(where.overrides):
        raise UserError(impossible[0]["reason"])
    columns = usual()
    there = {key: set(records.replicates(home)) for key, (_, home) in homes.items()}
    every = {name for wanted, _ in homes.values() for name in wanted.config.sets}
    now = _versions(
        every, (records.run(homes[key][1] / str(one)) for key in there for one in there[key])
    )
    common = {
        condition: _of_half(own for (_, under), own in there.items() if under == condition)
        for condition in dict.fromkeys(condition for _, condition in homes)
    }
    of_others = set().union(*common.values()) or {Replicate(0)}
    rows = [
        _named(label, condition, one, run.path)
        | {"run": run}
        | _known(where.done, run, wanted, one, now, columns)
        for (label, condition), (wanted, home) in homes.items()
        for one in sorted(there[label, condition] | (common[condition] or of_others))
        for run in [records.run(home / str(one))]
    ]
    frame = pd.DataFrame([*rows, *impossible])
    # Of numbers and None, pandas makes numbers and NaN.
    frame["split"] = pd.Series([one.split for one in frame.replicate], dtype=object)
    return frame


def _of_half(rows: Iterable[set[Replicate]]) -> set[Replicate]:
    """What at least half of the rows have, of those that have any."""
    begun = [own for own in rows if own]
    counts = Counter(one for own in begun for one in own)
    return {one for one, n in counts.items() if 2 * n >= len(begun)}


def _versions(sets: Iterable[str], runs: Iterable[RunRecord]) -> dict[str, str]:
    """Name -> SHA-256 of these sets: of one that is not here, as the latest of the runs has it.

    Raises:
        UserError: a set that is not here, nor in any of the runs.
    """
    here = set(catalogue.names())
    missing = {name for name in sets if name not in here}
    found = catalogue.checksums(sorted(here.intersection(sets)))
    if missing:
        results = sorted((run.result() for run in runs), key=lambda one: one.get(STARTED) or "")
        for trained_on in (one.get(DATA) or {} for one in results):
            found |= {name: trained_on[name] for name in missing.intersection(trained_on)}
    return found | catalogue.checksums(sorted(missing.difference(found)))


def _named(label: str, condition: str, one: Replicate, folder: Path) -> dict[str, Any]:
    """What tells a row from others."""
    which = {"replicate": one, "seed": one.seed, "split": one.split}
    return {"label": label, "condition": condition, **which, "folder": folder}


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
    one: Replicate,
    now: Mapping[str, str],
    columns: Sequence[Column],
) -> dict[str, Any]:
    """The row of a run, read once where it is done."""
    if run.path in done:
        return done[run.path]
    row = _row(run, wanted, one, now, columns)
    if row["state"] == "done":
        done[run.path] = row
    return row


def _row(
    run: RunRecord,
    wanted: Experiment,
    one: Replicate,
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
        if state == "not run" and (how := wanted.config.network.to_install):
            return {"state": NOT_INSTALLED, "reason": how}
        return {"state": state, "reason": status.get("reason", "")}
    if result["status"] == DAMAGED:
        return {"state": DAMAGED, "reason": result["reason"]}
    if one.split != wanted.config.data.split_seed:
        data = dataclasses.replace(wanted.config.data, split_seed=one.split)
        config = dataclasses.replace(wanted.config, data=data)
        wanted = dataclasses.replace(wanted, config=config)
    checksums = {name: now[name] for name in wanted.config.sets}
    if conflict := run.another(wanted.seeded(one.seed), checksums):
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
