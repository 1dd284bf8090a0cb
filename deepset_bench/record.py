"""What a run says of itself, wherever that is kept: in its folder, or in a row of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepset_bench import file_version, replicate
from deepset_bench.config import Experiment
from deepset_bench.config_file import completed
from deepset_bench.definition import KINDS
from deepset_bench.reading import DAMAGED, Kinds, is_number, lacking
from deepset_bench.replicate import Replicate
from deepset_bench.schema import flat
from deepset_bench.stamps import wrong_stamps

DATA = "data_sha256"
"""Key of result.json: name -> checksum of each set that the run was trained on."""
METRIC_SOURCES = "metric_sources"
"""Key of result.json: the checksum of the file of each metric that is not the product's own."""
MEASURED_ON = "measured_on"
"""Key of result.json: key of a metric of a trained potential -> machine, device and threads."""
REPLACED = "the data of this run were replaced"
ENERGY_MAE, FORCES_MAE = ERRORS = ("energy_mae_ev", "forces_mae_ev_per_angstrom")
"""Keys of the two metrics that every part of result.json has, in all versions."""
ENDED = ("done", "diverged")
"""States of a run that is not trained any more."""
STATES = ("queued", "running", "failed", *ENDED)
CONFIG, RESULT, STATUS, METRICS = "config.yaml", "result.json", "status.json", "metrics.csv"
TIMES = "times"
"""Folder below that of the runs: a file for each call of `bench time`."""
_RESULT: Kinds = {
    **dict.fromkeys(("metrics", "baselines", "data_verdict"), dict),
    **dict.fromkeys(("threads", "parameters", "epochs", "best_epoch"), int),
    **{"device": str, "reason": str},
    "wall_seconds": (int, float),
    "label_floor_ev_per_angstrom": (int, float, type(None)),
}
"""What every reader of a done run's result.json relies on."""
_SETTINGS: Kinds = dict.fromkeys(("seed", "trainer.epochs", "data.train_size"), int)
_VERDICT: Kinds = {"verdict": str, "findings": list}


class RunRecord(ABC):
    """Of one run: its configuration, result, status and epochs.

    Attributes:
        path: the run's folder, or where it would be.
    """

    path: Path

    @abstractmethod
    def status(self) -> dict[str, Any]:
        """`state` (one of STATES), `reason`, `run`, `updated`; empty where nothing ran.

        A damaged file: `state` damaged and `reason` alone.
        """

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """result.json; empty where the run has not ended.

        A damaged file: `status` damaged and `reason` alone.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """config.yaml, its keys dotted; empty where there is none, or a damaged one."""

    @abstractmethod
    def epochs(self) -> str:
        """The text of metrics.csv, one row an epoch, units in the headings; empty for none."""

    def last_epochs(self) -> str:
        """The same, where rows between the heading and the last may be left out or cut."""
        return self.epochs()

    @abstractmethod
    def text(self, name: str) -> str | None:
        """One of these four files byte for byte, what is no UTF-8 escaped; None where it is not.

        Raises:
            OSError, UserError: it is there and cannot be read, or is too large.
        """

    @abstractmethod
    def is_run(self) -> bool:
        """Whether a run was planned or trained here."""

    @abstractmethod
    def is_held(self) -> bool:
        """Whether a process is training the run."""

    @abstractmethod
    def has_parameters(self) -> bool:
        """Whether those of the best epoch are kept."""

    def has_ended(self) -> bool:
        """Whether the run is done or has diverged, and its result is there."""
        state = self.status().get("state", DAMAGED)
        return state in (DAMAGED, *ENDED) and self.result().get("status") in ENDED

    def identity(self) -> str:
        """Of the run that is here, as its records have it; empty where there are none."""
        return str(self.status().get("run") or self.result().get("run", ""))

    def another(self, wanted: Experiment, checksums: Mapping[str, str]) -> str:
        """How the run that is here is another than the wanted one; empty where it is that one.

        What differs is looked for in config.yaml, where one of the first keys that is not there is
        no difference, and in the version of the data that it was trained on.

        Args:
            wanted: what the folder's name stands for now.
            checksums: name -> SHA-256 of the sets that it is to be trained on, as they are now.
        """
        stored = self.settings()
        if not stored:
            return f"{self.path / CONFIG} cannot be read"
        stored = completed(stored)
        for key, value in completed(flat(wanted.determinants)).items():
            if key not in replicate.KEYS and key in stored and stored[key] != value:
                if key == "init_sha256":
                    return f"it started from other weights than init={wanted.config.init} has now"
                if key.startswith("sources."):
                    kind, _, name = key.removeprefix("sources.").partition(" ")
                    return f"the file of {KINDS[kind].words} {name} has changed since"
                return f"{key} was {stored[key]}, is now {value}"
        trained_on = self.result().get(DATA)
        if trained_on is None:  # of a run that has not ended, or of an earlier version
            same = self.identity() == wanted.identity("+".join(checksums.values()))
        else:
            same = trained_on == checksums
        return "" if same else REPLACED


class RunRecords(ABC):
    """Of many runs: `DATA/CONDITION/VARIANT/REPLICATE` below a folder, or a table of them.

    Attributes:
        root: the folder, or the one that a table stands for.
    """

    root: Path

    @abstractmethod
    def replicates(self, home: Path) -> list[Replicate]:
        """Of a variant's folder, those with a run, in ascending order."""

    @abstractmethod
    def is_there(self, home: Path) -> bool:
        """Whether there is such a folder of a variant."""

    @abstractmethod
    def run(self, path: Path) -> RunRecord:
        """That of a run's folder, which need not be there."""

    @abstractmethod
    def named(self, name: str | Path) -> RunRecord:
        """The run that a person means: by its path, or as `bench status` has it, below `root`."""

    @abstractmethod
    def every(self) -> Sequence[RunRecord]:
        """All of them, by path."""

    @abstractmethod
    def together(self, home: Path) -> dict[str, dict[str, Any]]:
        """Evaluations of several seeds of a variant as one: `seeds-N-M/evaluation/NAME` -> content.

        In the order of their names. A damaged file: `state` damaged and `reason` alone.
        """

    @abstractmethod
    def times(self) -> dict[str, dict[str, Any]]:
        """Times of training steps that `bench time` measured, by the name of what was timed.

        A damaged file: `state` damaged and `reason` alone.
        """

    @abstractmethod
    def without_parameters(self) -> str:
        """Why a run that is done may have no parameters here."""


def settings_of(content: Any) -> dict[str, Any]:
    """The content of config.yaml, its keys dotted; empty where it is none."""
    found = flat(content) if isinstance(content, dict) else {}
    return (
        {}
        if file_version.newer(found) or lacking(found, _SETTINGS)
        else file_version.unmarked(found)
    )


def wrong_status(content: dict[str, Any]) -> str:
    """What a status.json lacks, in words; empty for nothing."""
    if found := file_version.newer(content):
        return found
    if content.get("state") not in STATES:
        return f"its state is {content.get('state')!r:.40}"
    return lacking(content, {"run": str, "reason": str}) or wrong_stamps(content)


def wrong_result(content: dict[str, Any]) -> str:
    """What a result.json lacks, in words; empty for nothing."""
    if found := file_version.newer(content):
        return found
    if content.get("status") == "diverged":
        return lacking(content, {"reason": str})
    if content.get("status") != "done":
        return f"its status is {content.get('status')!r:.40}"
    if found := lacking(content, _RESULT) or lacking(content["data_verdict"], _VERDICT):
        return found
    if found := wrong_stamps(content):
        return found
    if content["data_verdict"]["verdict"] == "defect" and not content["data_verdict"]["findings"]:
        return "data_verdict lacks its finding"
    for table in ("metrics", "baselines"):
        for part in ("test", "val"):
            errors = content[table].get(part)
            for key in ERRORS:
                value = errors.get(key, "") if isinstance(errors, dict) else ""
                if value is not None and not is_number(value):
                    return f"{table}.{part}.{key} is not a number"
    return ""
