"""What a run leaves behind: one folder a person can read, never half-written."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from deepset_bench import registry
from deepset_bench.config import Experiment
from deepset_bench.config_file import completed, resolved
from deepset_bench.definition import KINDS
from deepset_bench.errors import UserError
from deepset_bench.files import expanded, naming, write_text
from deepset_bench.reading import DAMAGED, Kinds, is_number, lacking, read_json, read_yaml
from deepset_bench.schema import flat
from deepset_bench.surroundings import visible

LOCK = ".lock"
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
_RESULT: Kinds = {
    **dict.fromkeys(("metrics", "baselines", "data_verdict"), dict),
    **dict.fromkeys(("threads", "parameters", "epochs", "best_epoch"), int),
    "device": str,
    "wall_seconds": (int, float),
    "label_floor_ev_per_angstrom": (int, float, type(None)),
}
"""What every reader of a done run's result.json relies on."""
_SETTINGS: Kinds = dict.fromkeys(("seed", "trainer.epochs", "data.train_size"), int)
_VERDICT: Kinds = {"verdict": str, "findings": list}
_FILES = (
    *("config.yaml", "split.npz", "metrics.csv", "last.pt", "best.pt", "log.txt"),
    *("status.json", "result.json"),
)
RECORDS = ("status.json", "result.json")
"""Files that make a folder a run's."""
_FOLDERS = ("evaluation", "wandb", "variants")
_MADE = (
    *(*_FILES, "events.out.tfevents.*", "wandb/*"),
    *("evaluation/*/*.json", "evaluation/*/*.csv", "variants/**/*.py"),
)
"""What a run, its loggers and its evaluation leave in the folder."""
_PATIENCE = 0.5
"""Seconds to wait for a lock: whoever only asks whether it is held has it for an instant."""


class Busy(UserError):
    """Another process is training the run."""


@dataclass(frozen=True)
class RunFolder:
    """`runs/DATA/CONDITION/VARIANT/seed-N`: config, split, metrics, checkpoints, result, status."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration; enough to repeat the run."""
        return self.path / "config.yaml"

    @property
    def split(self) -> Path:
        """Frame indices of train, val and test."""
        return self.path / "split.npz"

    @property
    def metrics(self) -> Path:
        """One row an epoch, units in the headings."""
        return self.path / "metrics.csv"

    @property
    def last(self) -> Path:
        """Checkpoint of the last epoch, to go on from."""
        return self.path / "last.pt"

    @property
    def best(self) -> Path:
        """Parameters with the lowest validation loss."""
        return self.path / "best.pt"

    @property
    def variants(self) -> Path:
        """Copies of the files of variants that are not the product's own; never run from here."""
        return self.path / "variants"

    @property
    def log(self) -> Path:
        """What the run said."""
        return self.path / "log.txt"

    def status(self) -> dict[str, Any]:
        """`state` (one of STATES), `reason`, `run`, `updated`; empty where nothing ran.

        A damaged file: `state` damaged and `reason` alone.
        """
        return read_json(self.path / "status.json", _wrong_status, "state")

    def result(self) -> dict[str, Any]:
        """result.json; empty where the run has not ended.

        A damaged file: `status` damaged and `reason` alone.
        """
        return read_json(self.path / "result.json", _wrong_result, "status")

    def has_ended(self) -> bool:
        """Whether the run is done or has diverged, and its result is there."""
        state = self.status().get("state", DAMAGED)
        return state in (DAMAGED, *ENDED) and self.result().get("status") in ENDED

    def identity(self) -> str:
        """Of the run that is here, as its records have it; empty where there are none."""
        return str(self.status().get("run") or self.result().get("run", ""))

    def settings(self) -> dict[str, Any]:
        """config.yaml, its keys dotted; empty where there is none, or a damaged one."""
        try:
            content = read_yaml(self.config)
        except UserError:
            return {}
        found = flat(content) if isinstance(content, dict) else {}
        return {} if lacking(found, _SETTINGS) else found

    def lock(self) -> AbstractContextManager[Any]:
        """Hold the run, to be used with `with`; makes the folder.

        Raises:
            Busy: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(self.path / LOCK, timeout=_PATIENCE).acquire()
        except Timeout:
            raise Busy(f"{self.path} is being trained by another process") from None

    def is_held(self) -> bool:
        """Whether a process is training the run; asks for no more than the right to read."""
        try:
            descriptor = os.open(self.path / LOCK, os.O_RDONLY)
        except (FileNotFoundError, PermissionError):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def is_run(self) -> bool:
        """Whether a run was planned or trained here."""
        return any((self.path / name).is_file() for name in RECORDS)

    def is_kept(self) -> bool:
        """Whether the folder of a run that was begun is still there."""
        return self.config.exists()

    def check_kept(self) -> None:
        """Raise an OSError if it is not: nothing is to be written into a folder without it."""
        if not self.is_kept():
            said = "the folder of this run was removed while it was trained"
            raise FileNotFoundError(errno.ENOENT, said, str(self.path))

    def write_status(self, state: str, identity: str, reason: str = "") -> None:
        """Record where the run stands."""
        assert state in STATES
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"state": state, "reason": reason, "run": identity, "updated": now}
        self._write_json("status.json", content)

    def write_result(self, result: dict[str, Any]) -> None:
        """Record the final numbers."""
        self._write_json("result.json", result)

    def write_config(self, experiment: Experiment) -> None:
        """Record the resolved configuration."""
        write_text(self.config, OmegaConf.to_yaml(OmegaConf.create(resolved(experiment.config))))
        metrics = [one for one in registry.variants().values() if one.kind == "metric"]
        for variant in [*experiment.config.variants, *metrics]:
            for file in [] if variant.ours else registry.files_of(variant):
                place = self.variants / file.relative_to(variant.file.parent)
                place.parent.mkdir(parents=True, exist_ok=True)
                write_text(place, file.read_text(encoding="utf-8"))

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
            return f"{self.config} cannot be read"
        stored = completed(stored)
        for key, value in completed(flat(wanted.determinants)).items():
            if key != "seed" and key in stored and stored[key] != value:
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

    def occupied(self, wanted: Experiment, checksums: Mapping[str, str]) -> str:
        """Why a folder whose identity is another's is left alone, and what to do; see `another`."""
        reason = self.another(wanted, checksums) or "an earlier version of this program trained it"
        return (
            f"{self.path} holds another run: {reason}; --fresh trains anew, runs_dir=DIR keeps both"
        )

    def clear(self) -> None:
        """Forget the run: delete what the program made, and no other file; the lock stays."""
        self.tidy()
        made = [path for pattern in _MADE for path in self.path.glob(pattern)]
        for entry in (path for path in made if not self._is_linked(path.parent)):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for name in _FOLDERS:
            inner = sorted(self.path.glob(f"{name}/**/"), reverse=True)
            for empty in (path for path in inner if not self._is_linked(path)):
                with suppress(OSError):  # it holds something else
                    empty.rmdir()

    def _is_linked(self, folder: Path) -> bool:
        """Whether the way from the run's folder to this one leads through a link."""
        way = [folder, *folder.parents]
        return any(place.is_symlink() for place in way[: way.index(self.path)])

    def tidy(self) -> None:
        """Delete the temporary files of writes that were killed."""
        for entry in [path for name in _FILES for path in self.path.glob(f".{name}.*")]:
            entry.unlink()

    def sync_metrics(self) -> None:
        """Have the rows of metrics.csv on disk before a checkpoint counts them."""
        if self.metrics.exists():
            with self.metrics.open("rb") as stream:
                os.fsync(stream.fileno())

    def say(self, line: str) -> None:
        """Append one line to log.txt."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        with naming(self.log), self.log.open("a", encoding="utf-8") as stream:
            stream.write(f"{now} {visible(line)}\n")

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        write_text(self.path / name, json.dumps(content, indent=2) + "\n")


def _wrong_status(content: dict[str, Any]) -> str:
    if content.get("state") not in STATES:
        return f"its state is {content.get('state')!r:.40}"
    return lacking(content, {"run": str, "reason": str})


def _wrong_result(content: dict[str, Any]) -> str:
    if content.get("status") == "diverged":
        return lacking(content, {"reason": str})
    if content.get("status") != "done":
        return f"its status is {content.get('status')!r:.40}"
    if found := lacking(content, _RESULT) or lacking(content["data_verdict"], _VERDICT):
        return found
    if content["data_verdict"]["verdict"] == "defect" and not content["data_verdict"]["findings"]:
        return "data_verdict lacks its finding"
    for table in ("metrics", "baselines"):
        for part in ("test", "val"):
            errors = content[table].get(part)
            for key in ERRORS:
                value = errors.get(key, "") if isinstance(errors, dict) else ""
                if value is not None and not is_number(value):
                    return f"{table}.{part}.{key} is no number"
    return ""


def runs_root(runs_dir: str | Path | None) -> Path:
    """`runs_dir`, else the environment variable BENCH_RUNS, else `runs` under this directory."""
    return expanded(runs_dir or os.environ.get("BENCH_RUNS") or "runs")


def named_run(name: str | Path, runs_dir: str | Path | None = None) -> RunFolder:
    """The run that a person means: by its path, or as `bench status` has it, below the runs folder.

    Args:
        name: of a folder, there or not.
        runs_dir: see `runs_root`.
    """
    below = runs_root(runs_dir) / name
    return RunFolder(below if below.is_dir() and not Path(name).exists() else Path(name))


def run_folder(experiment: Experiment) -> RunFolder:
    """Where the experiment's run lives.

    The folders of earlier versions have the variant's whole name. Where there is one it is still
    the variant's, for seeds to come too: those of a variant lie side by side.
    """
    config = experiment.config
    home = runs_root(config.runs_dir) / config.data.name / config.condition.name
    whole = home / experiment.variant
    # Path.is_dir raises an OSError where a name is too long for the file system.
    there = os.path.isdir(whole)  # noqa: PTH112
    return RunFolder((whole if there else home / experiment.folder_name) / f"seed-{config.seed}")
