"""What a run leaves behind: one folder a person can read, never half-written."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from deepset_bench import bounds, file_version, holding, registry, replicate, stamps
from deepset_bench.config import Experiment
from deepset_bench.config_file import completed, resolved
from deepset_bench.errors import UserError, one_line
from deepset_bench.files import digest, expanded, naming, sync, tidy, write_text
from deepset_bench.reading import DAMAGED, read_json, yaml_of
from deepset_bench.record import (
    CONFIG,
    METRICS,
    RESULT,
    STATES,
    STATUS,
    TIMES,
    RunRecord,
    RunRecords,
    settings_of,
    wrong_result,
    wrong_status,
)
from deepset_bench.replicate import Replicate
from deepset_bench.schema import flat
from deepset_bench.stamps import REGISTERED, Stamp
from deepset_bench.surroundings import check_is_its_own, failure, visible

LOCK = holding.LOCK
ML_FLOW, STORE = "mlflow/run-id", "mlruns"
"""A file with the run's name in MLflow; the folder among the runs where MLflow keeps its own."""
RECORDS = (STATUS, RESULT)
"""Files that make a folder a run's."""
_RECORDS = frozenset(RECORDS)
_SEED = re.compile(r"^seed: (\d{1,19})$", re.MULTILINE)
_END = 4096
"""Bytes in which the last row of metrics.csv is sought."""
_FOLDERS = ("evaluation", "wandb", "mlflow", "variants")
_MADE = (
    *(RESULT, "last.pt", "last.next.pt", "best.pt", METRICS, "split.npz", "held_out.npz"),
    *(CONFIG, "log.txt", "events.out.tfevents.*", "wandb/*", ML_FLOW),
    *("evaluation/*/*.json", "evaluation/*/*.csv", "variants/**/*.py", STATUS),
)
"""What a run, its loggers and its evaluation leave in the folder, in the order in which it goes.

The process may be killed in between. Without its result a run is not done, without a checkpoint it
begins anew, and as long as anything is left its status says that it is a run.
"""


class Busy(UserError):
    """Another process is training the run."""


@dataclass(frozen=True)
class RunFolder(RunRecord):
    """`runs/DATA/CONDITION/VARIANT/REPLICATE`: config, split, metrics, checkpoints, result, ..."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration; enough to repeat the run."""
        return self.path / CONFIG

    @property
    def split(self) -> Path:
        """Frame indices of train, val, test and held_out."""
        return self.path / "split.npz"

    @property
    def held_out(self) -> Path:
        """Errors of each held-out frame at the best epoch."""
        return self.path / "held_out.npz"

    @property
    def metrics(self) -> Path:
        """One row an epoch, units in the headings."""
        return self.path / METRICS

    @property
    def last(self) -> Path:
        """Checkpoint of the last epoch, to go on from."""
        return self.path / "last.pt"

    @property
    def best(self) -> Path:
        """Parameters of the best epoch, which `trainer.select` chooses."""
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
        """See `RunRecord`."""
        return file_version.unmarked(read_json(self.path / STATUS, wrong_status, "state"))

    def result(self) -> dict[str, Any]:
        """See `RunRecord`."""
        return file_version.unmarked(read_json(self.path / RESULT, wrong_result, "status"))

    def settings(self) -> dict[str, Any]:
        """See `RunRecord`."""
        try:
            text = bounds.text(self.config, bounds.OPTION)
        except (OSError, ValueError) as error:
            check_is_its_own(error)
            return {}
        seed = _SEED.search(text)
        if seed is None:
            return dict(_settings(text))
        found = _settings(_SEED.sub("seed: 0", text, count=1))
        return {**found, "seed": int(seed[1])} if found else {}

    def epochs(self) -> str:
        """See `RunRecord`."""
        try:
            return bounds.text(self.metrics, bounds.ROWS)
        except (OSError, ValueError) as error:
            check_is_its_own(error)
            return ""

    def last_epochs(self) -> str:
        """See `RunRecord`."""
        try:
            with bounds.opened(self.metrics) as stream:
                heading = stream.readline(_END)
                stream.seek(max(stream.seek(0, os.SEEK_END) - _END, len(heading)))
                rest = stream.read()
        except (OSError, bounds.Unbounded) as error:
            check_is_its_own(error)
            return ""
        # What is cut off at the front is a row that is not the last.
        return (heading + rest).decode("utf-8", "replace")

    def text(self, name: str) -> str | None:
        """See `RunRecord`."""
        path = self.path / name
        try:
            with naming(path):
                return bounds.content(path, bounds.ROWS).decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None
        except bounds.Unbounded as error:
            raise UserError(f"{path} {error}") from None

    def has_parameters(self) -> bool:
        """See `RunRecord`."""
        return self.best.exists()

    def lock(self) -> AbstractContextManager[Any]:
        """Hold the run, to be used with `with`; makes the folder.

        Raises:
            Busy: another process holds it.
            UserError: see `check_links`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.check_links()
        try:
            return holding.Hold(self.path)
        except BlockingIOError:
            raise Busy(f"{self.path} is being trained by another process") from None

    def check_links(self) -> None:
        """Refuse to write through a link, which may lead anywhere.

        Raises:
            UserError: what is appended to, or a folder that is written into, is one.
        """
        for name in (LOCK, "log.txt", *_FOLDERS):
            if (place := self.path / name).is_symlink():
                what = "is a link, and nothing is written through links in the folder of a run"
                raise UserError(f"{place}: {what}; remove it, or put what it leads to there")

    def is_held(self) -> bool:
        """Whether a process is training the run; asks for no more than the right to read."""
        return holding.is_held(self.path)

    def is_run(self) -> bool:
        """See `RunRecord`."""
        return any((self.path / name).is_file() for name in RECORDS)

    def is_kept(self) -> bool:
        """Whether the folder of a run that was begun is still there."""
        return self.config.exists()

    def newer(self) -> str:
        """Where the run is of a newer version of the program, and is to be left alone: why."""
        for name in RECORDS:
            if found := file_version.newer(read_json(self.path / name, lambda _: "", "state")):
                return f"{self.path / name}: {found}"
        return ""

    def check_kept(self) -> None:
        """Raise an OSError if it is not: nothing is to be written into a folder without it."""
        if not self.is_kept():
            said = "the folder of this run was removed while it was trained"
            raise FileNotFoundError(errno.ENOENT, said, str(self.path))

    def write_status(
        self, state: str, identity: str, reason: str = "", registered: Sequence[Stamp] = ()
    ) -> None:
        """Record where the run stands, and the stamps that it is to carry once it starts."""
        assert state in STATES
        content: dict[str, Any] = {"state": state, "reason": reason, "run": identity}
        content |= {"updated": stamps.now()} | ({REGISTERED: registered} if registered else {})
        self._write_json(STATUS, content)

    def write_failure(self, identity: str, error: Exception) -> None:
        """What ended the run: a line for the status, and all of it in the log if nobody foresaw it.

        Args:
            identity: of the run that failed.
            error: a person's mistake, a failure of the machine, or a fault of a program.
        """
        known = str(error) if isinstance(error, UserError) else failure(error)
        if known is None:
            self.say("".join(traceback.format_exception(error)).rstrip())
        reason = known or registry.reason(error)
        self.say(f"failed: {reason}")
        self.write_status("failed", identity, reason)

    def write_result(self, result: dict[str, Any]) -> None:
        """Record the final numbers."""
        self._write_json(RESULT, result)

    def write_config(self, experiment: Experiment) -> None:
        """Record the resolved configuration."""
        content = file_version.marked(resolved(experiment.config))
        write_text(self.config, OmegaConf.to_yaml(OmegaConf.create(content)))
        metrics = [one for one in registry.variants().values() if one.kind == "metric"]
        for variant in [*experiment.config.variants, *metrics]:
            for file in [] if variant.ours else registry.files_of(variant):
                place = self.variants / file.relative_to(variant.file.parent)
                place.parent.mkdir(parents=True, exist_ok=True)
                write_text(place, file.read_text(encoding="utf-8"))

    def occupant(self) -> str:
        """The identity of the run that is here; empty where nothing of it would be lost."""
        if self.status().get("state") in ("queued", "failed"):
            kept = self.last.exists() or self.has_parameters() or self.result()
            return self.identity() if kept else ""
        return self.identity()

    def occupied(self, wanted: Experiment, checksums: Mapping[str, str]) -> str:
        """Why a folder whose identity is another's is left alone, and what to do; see `another`."""
        reason = self.another(wanted, checksums) or "an earlier version of this program trained it"
        return (
            f"{self.path} holds another run: {reason}; --fresh trains again, runs_dir=DIR keeps "
            "both"
        )

    def clear(self) -> None:
        """Forget the run: delete what the program made, and no other file; the lock stays."""
        tidy(self.path)
        made = [path for pattern in _MADE for path in self.path.glob(pattern)]
        for entry in (path for path in made if not self._is_linked(path.parent)):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for name in _FOLDERS:
            inner = sorted(self.path.glob(f"{name}/**/"), reverse=True)
            for empty in (path for path in inner if not self._is_linked(path)):
                tidy(empty)
                with suppress(OSError):  # it holds something else
                    empty.rmdir()

    def _is_linked(self, folder: Path) -> bool:
        """Whether the way from the run's folder to this one leads through a link."""
        way = [folder, *folder.parents]
        return any(place.is_symlink() for place in way[: way.index(self.path)])

    def sync_metrics(self) -> None:
        """Have the rows of metrics.csv on disk before a checkpoint counts them."""
        if self.metrics.exists():
            sync(self.metrics)

    def say(self, line: str) -> None:
        """Append one line to log.txt."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        with naming(self.log), self.log.open("a", encoding="utf-8") as stream:
            stream.write(f"{now} {visible(line)}\n")

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        write_text(self.path / name, json.dumps(file_version.marked(content), indent=2) + "\n")


@dataclass(frozen=True)
class RunsFolder(RunRecords):
    """The folders below one."""

    root: Path

    def replicates(self, home: Path) -> list[Replicate]:
        """See `RunRecords`."""
        named = (Replicate.named(path.name) for path in home.glob("seed-*"))
        return sorted(one for one in named if one is not None)

    def is_there(self, home: Path) -> bool:
        """See `RunRecords`."""
        # Path.is_dir raises an OSError where a name is too long for the file system.
        return os.path.isdir(home)  # noqa: PTH112

    def run(self, path: Path) -> RunFolder:
        """See `RunRecords`."""
        return RunFolder(path)

    def named(self, name: str | Path) -> RunFolder:
        """See `RunRecords`."""
        return named_run(name, self.root)

    def every(self) -> list[RunFolder]:
        """See `RunRecords`."""
        found: list[RunFolder] = []
        for folder, inner, files in os.walk(self.root, onerror=check_is_its_own):
            if not _RECORDS.isdisjoint(files):
                found.append(RunFolder(Path(folder)))
            inner[:] = sorted(name for name in inner if name != STORE)  # as paths are ordered
        return found

    def together(self, home: Path) -> dict[str, dict[str, Any]]:
        """See `RunRecords`."""
        found = {}
        for path in sorted(home.glob("seeds-*/evaluation/*/evaluation.json")):
            try:
                content = json.loads(bounds.text(path, bounds.RECORD))
                wrong = "" if isinstance(content, dict) else "it is not a mapping"
                wrong = wrong or file_version.newer(content)
            except (OSError, ValueError, RecursionError) as error:
                check_is_its_own(error)
                wrong = one_line(error)
            damaged = {"state": DAMAGED, "reason": f"{path} is damaged ({wrong})"}
            found[path.parent.relative_to(home).as_posix()] = damaged if wrong else content
        return found

    def times(self) -> dict[str, dict[str, Any]]:
        """See `RunRecords`."""
        files = sorted((self.root / TIMES).glob("*.json"))
        return {path.stem: read_json(path, lambda _: "", "state") for path in files}

    def without_parameters(self) -> str:
        """See `RunRecords`."""
        return "no run has kept its parameters"


@lru_cache(maxsize=64)
def _settings(text: str) -> dict[str, Any]:
    """The content of a config.yaml, once for the seeds of a variant, which lie side by side."""
    try:
        return settings_of(yaml_of(text))
    except ValueError:
        return {}


def runs_root(runs_dir: str | Path | None) -> Path:
    """`runs_dir`, else the environment variable BENCH_RUNS, else `runs` under this directory."""
    return expanded(runs_dir or os.environ.get("BENCH_RUNS") or "runs")


def named_run(name: str | Path, runs_dir: str | Path | None = None) -> RunFolder:
    """The run that a person means: by its path, or as `bench status` has it, below the runs folder.

    Args:
        name: of a folder, there or not.
        runs_dir: see `runs_root`.

    Raises:
        UserError: `runs_dir` is a table of results.
    """
    root = runs_root(runs_dir)
    if root.is_file():
        raise UserError(f"{root}: a table holds no trained parameters; name the folder of the runs")
    below = root / name
    return RunFolder(below if below.is_dir() and not Path(name).exists() else Path(name))


def with_start(experiment: Experiment, runs: RunRecords | None = None) -> Experiment:
    """An experiment that starts from another run's weights, with their checksum.

    Where that run is gone, it is the experiment that was begun in its own place.

    Args:
        experiment: any; one without `init` stays as it is.
        runs: where its own run is; None for the folder that it says.

    Raises:
        UserError: there are no such weights, and none was begun from them.
    """
    config = experiment.config
    if config.init is None:
        return experiment
    source = named_run(config.init, config.runs_dir)
    if source.best.is_file():
        checksum: str | None = digest([source.best])
    else:
        records = runs or RunsFolder(runs_root(config.runs_dir))
        home = variant_home(experiment, records)
        own = (records.run(home / str(one)).settings() for one in records.replicates(home))
        checksum = next((found["init_sha256"] for found in own if "init_sha256" in found), None)
    if checksum is None:
        raise UserError(f"init={config.init}: no best.pt there; name the folder of a trained run")
    return replace(experiment, config=replace(config, init_sha256=checksum))


def check_name(experiment: Experiment) -> None:
    """Refuse a name under which another variant lies already.

    Raises:
        UserError: there is one, of any replicate.
    """
    name = experiment.config.name
    if name is None:
        return
    own, wanted = run_folder(experiment).path, completed(flat(experiment.determinants))
    for path in sorted(own.parent.glob("seed-*")):
        settings = RunFolder(path).settings()
        there = completed(settings) if settings and path != own else {}
        keys = (key for key in wanted if key not in replicate.KEYS and key in there)
        if other := next((key for key in keys if there[key] != wanted[key]), None):
            raise UserError(
                f"name={name}: {path} is another variant, with {other}={there[other]} (here "
                f"{wanted[other]}); take another name"
            )


def run_folder(experiment: Experiment) -> RunFolder:
    """Where the experiment's run lives."""
    home = variant_home(experiment, RunsFolder(runs_root(experiment.config.runs_dir)))
    return RunFolder(home / str(Replicate.of(experiment.config)))


def variant_home(experiment: Experiment, runs: RunRecords) -> Path:
    """The folder of a variant's runs, one for each replicate.

    The folders of earlier versions have the variant's whole name. Where there is one it is still
    the variant's, for seeds to come too: those of a variant lie side by side.
    """
    home = runs.root / experiment.config.data.name / experiment.config.condition.name
    whole = home / experiment.variant
    there = experiment.config.name is None and runs.is_there(whole)
    return whole if there else home / experiment.folder_name
