"""Metrics of runs as columns of frames: METRIC_PART; trivial_METRIC_PART of the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepset_bench import registry
from deepset_bench.reading import is_number
from deepset_bench.record import METRIC_SOURCES
from deepset_bench.scoring.table import USUAL, Metric, chosen

TEST, VAL, MEAN, HELD_OUT, OOD = PARTS = ("test", "val", "mean", "held_out", "ood")
"""`mean` of test and val, as the report scored; `held_out`: all frames that training did not see
and did not choose its epoch by; `ood`: those that a task asks about, such as of other molecules."""
_STORED = (TEST, VAL, HELD_OUT, OOD)
_PREFIX = {"metrics": "", "baselines": "trivial_"}
"""Key of result.json -> how columns of it begin."""


@dataclass(frozen=True)
class Column:
    """A metric, or one member of a family.

    Attributes:
        metric: of the table of metrics.
        member: of a family of numbers; empty for a metric that is one number.
    """

    metric: Metric
    member: str = ""

    @property
    def name(self) -> str:
        """How columns of frames begin."""
        return f"{self.metric.column}.{self.member}" if self.member else self.metric.column

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.metric.words}: {self.member}" if self.member else self.metric.words

    @property
    def usual(self) -> bool:
        """Whether tables show it unless they are asked for something else."""
        return self.metric.name in USUAL

    def values(self, result: Mapping[str, Any]) -> dict[str, float]:
        """Its columns of a run that is done; NaN where there is not a number.

        Args:
            result: as result.json has it.
        """
        found: dict[str, float] = {}
        for source, prefix in _PREFIX.items():
            each = {p: self._number(_stored(result, self.metric, source, p)) for p in _STORED}
            each[MEAN] = (each[TEST] + each[VAL]) / 2
            found |= {f"{prefix}{self.name}_{part}": value for part, value in each.items()}
        return found

    def _number(self, found: Any) -> float:
        value: Any = found.get(self.member) if isinstance(found, Mapping) else found
        return float(value) if is_number(value) else math.nan


def usual() -> list[Column]:
    """Those that tables show unless they are asked for something else."""
    return [Column(metric) for metric in chosen(USUAL)]


def of_runs(runs: pd.DataFrame, metrics: Sequence[Metric]) -> list[Column]:
    """The columns that metrics have in these runs: each member of a family is one."""
    done = runs[runs.state == "done"]
    results = done.result if len(done) else ()
    found = []
    for metric in metrics:
        stored = [_stored(one, metric, "metrics", part) for one in results for part in _STORED]
        members = dict.fromkeys(str(m) for one in stored if isinstance(one, Mapping) for m in one)
        found += [Column(metric, member) for member in sorted(members) or [""]]
    return found


def added(runs: pd.DataFrame, columns: Iterable[Column]) -> pd.DataFrame:
    """The frame of runs with these columns, NaN where a run is not done or has no number."""
    columns = {one.name: one for one in columns if f"{one.name}_{PARTS[0]}" not in runs}.values()
    if not columns:
        return runs
    nothing: dict[str, Any] = {source: {} for source in _PREFIX}
    done = runs.state == "done"
    results = runs.result.where(done, None) if done.any() else [None] * len(runs)
    rows = [
        {name: v for column in columns for name, v in column.values(one or nothing).items()}
        for one in results
    ]
    new = pd.DataFrame(rows, index=runs.index)
    return runs.assign(**{str(name): new[name] for name in new})


def judged_on(runs: pd.DataFrame) -> str:
    """The part that runs are compared on: OOD or HELD_OUT where all have it, else MEAN.

    Args:
        runs: with the usual columns; those that are done count.
    """
    done = runs[runs.state == "done"]

    def known(part: str) -> pd.DataFrame:
        return done.reindex(columns=[f"{one.name}_{part}" for one in usual()]).notna()

    if done.empty:
        return MEAN
    if known(OOD).any(axis=1).all():  # an absolute energy may be undetermined there
        return OOD
    return HELD_OUT if known(HELD_OUT).all(axis=None) else MEAN


def is_lacking(result: Mapping[str, Any], metric: Metric) -> bool:
    """Whether the result of a run does not hold a metric, not even that there is none."""
    return any(_stored(result, metric, "metrics", part) is _LACKING for part in (TEST, VAL))


_LACKING = object()


def _stored(result: Mapping[str, Any], metric: Metric, source: str, part: str) -> Any:
    made_by = registry.sources([metric.variant])
    if made_by.items() - result.get(METRIC_SOURCES, {}).items():
        return _LACKING  # measured by another version of its file
    if metric.of_run:
        return result.get(metric.key, _LACKING) if source == "metrics" else _LACKING
    return result[source].get(part, {}).get(metric.key, _LACKING)
