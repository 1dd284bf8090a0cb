"""What a run leaves behind: one folder a person can read, never half-written."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from deepset_bench.config import Experiment, resolved
from deepset_bench.errors import UserError
from deepset_bench.files import expanded, naming, write_text

LOCK = ".lock"
STATES = ("queued", "running", "done", "failed", "diverged")
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
    def log(self) -> Path:
        """What the run said."""
        return self.path / "log.txt"

    def status(self) -> dict[str, Any]:
        """`state` (one of STATES), `reason`, `run`, `updated`; empty where nothing ran."""
        return _read_json(self.path / "status.json")

    def result(self) -> dict[str, Any]:
        """result.json; empty where the run has not ended."""
        return _read_json(self.path / "result.json")

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

    def clear(self) -> None:
        """Forget the run; its lock stays with whoever holds it."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink()

    def say(self, line: str) -> None:
        """Append one line to log.txt."""
        self.path.mkdir(parents=True, exist_ok=True)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        with naming(self.log), self.log.open("a", encoding="utf-8") as stream:
            stream.write(f"{now} {line}\n")

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        write_text(self.path / name, json.dumps(content, indent=2) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path}: not readable as JSON; delete it to repeat the run") from None
    return dict(content)


def runs_root(runs_dir: str | None) -> Path:
    """`runs_dir`, else the environment variable BENCH_RUNS, else `runs` under this directory."""
    return expanded(runs_dir or os.environ.get("BENCH_RUNS") or "runs")


def run_folder(experiment: Experiment) -> RunFolder:
    """Where the experiment's run lives."""
    config = experiment.config
    place = Path(config.data.name) / config.condition.name / experiment.variant
    return RunFolder(runs_root(config.runs_dir) / place / f"seed-{config.seed}")
