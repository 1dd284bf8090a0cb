"""MLflow: what a run logs there; a folder beside the runs needs neither server nor account.

MLflow's environment variables hold where the configuration leaves a choice; see docs/logging.md.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepset_bench.config import Experiment
from deepset_bench.files import write_text
from deepset_bench.runs import ML_FLOW, STORE, RunFolder, runs_root
from deepset_bench.schema import flat
from deepset_bench.surroundings import require
from deepset_bench.training.loop import Epoch
from deepset_bench.training.weights_and_biases import PROJECT, group, run_name, run_tags

_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""Seconds for each of so many tries; MLflow itself holds a run up for quarters of an hour."""
_FILES = {"MLFLOW_ALLOW_FILE_STORE": "true"}
"""MLflow would rather have a data base, for which most of its packages are needed."""
_LONGEST, _AT_ONCE = 500, 100  # characters of a value, parameters in one call; MLflow refuses more


class MLflow:
    """A run of MLflow; one that was interrupted is continued."""

    name = "MLflow"

    def __init__(self, folder: RunFolder, experiment: Experiment) -> None:
        self._entities = require("mlflow.entities", "mlflow")
        self._client = client(runs_root(experiment.config.runs_dir))
        self._status, self._epoch = "FAILED", 0  # until the run has ended
        self._run = self._continued(folder) or self._begun(folder, experiment)

    def epoch(self, row: Epoch) -> None:
        """Every column of metrics.csv, at the epoch's number."""
        self._epoch = row.epoch
        self._log({key: value for key, value in asdict(row).items() if key != "epoch"})

    def result(self, final: dict[str, Any]) -> None:
        """The final numbers as metrics, words as tags."""
        self._log({key: value for key, value in final.items() if not isinstance(value, str)})
        for key, value in final.items():
            if isinstance(value, str):
                self._client.set_tag(self._run, key, value)
        self._status = "FINISHED" if final["status"] == "done" else "FAILED"

    def close(self) -> None:
        """End the run of MLflow, as failed if it has no result."""
        self._client.set_terminated(self._run, self._status)

    def _log(self, numbers: dict[str, Any]) -> None:
        now = int(time.time() * 1e3)
        metric = self._entities.Metric
        known = {k: float(v) for k, v in numbers.items() if v is not None and math.isfinite(v)}
        metrics = [metric(key, value, now, self._epoch) for key, value in known.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def _continued(self, folder: RunFolder) -> str | None:
        """The run that this folder has had so far; None where there is none any more."""
        run = run_id(folder)
        if run is None:
            return None
        try:
            self._client.update_run(run, status="RUNNING")
        except _no_such_run():
            return None
        return run

    def _begun(self, folder: RunFolder, experiment: Experiment) -> str:
        config = experiment.config
        name = config.logger.project or os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        tags = dict(zip(("variant", "condition", "data"), run_tags(experiment), strict=True))
        tags |= {"group": group()} if group() else {}
        home = self._experiment(name)
        run = str(self._client.create_run(home, tags=tags, run_name=run_name(folder)).info.run_id)
        write_text(folder.path / ML_FLOW, run)
        param = self._entities.Param
        settings = {key: str(value)[:_LONGEST] for key, value in flat(asdict(config)).items()}
        params = [param(key, value) for key, value in settings.items()]
        for first in range(0, len(params), _AT_ONCE):
            self._client.log_batch(run, params=params[first : first + _AT_ONCE])
        return run

    def _experiment(self, name: str) -> str:
        """The id of MLflow's experiment of a name, which other processes may be making, too."""
        for _ in range(2):
            found = self._client.get_experiment_by_name(name)
            if found is not None:
                return str(found.experiment_id)
            try:
                return str(self._client.create_experiment(name))
            except _no_such_run():
                continue  # another process was faster
        raise RuntimeError(f"there is no experiment {name}, and none can be made")


def client(root: Path) -> Any:
    """What speaks with the store that MLFLOW_TRACKING_URI names, else with a folder.

    Args:
        root: the folder of the runs; the store is `mlruns` in it.

    Raises:
        NotInstalled: MLflow is not there.
    """
    for key, value in (_PATIENCE | _FILES).items():
        os.environ.setdefault(key, value)
    tracking = require("mlflow.tracking", "mlflow")
    where = os.environ.get("MLFLOW_TRACKING_URI") or (root / STORE).absolute().as_uri()
    return tracking.MlflowClient(tracking_uri=where)


def run_id(folder: RunFolder) -> str | None:
    """The name of the folder's run in MLflow; None where none was logged there."""
    try:
        return (folder.path / ML_FLOW).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _no_such_run() -> type[Exception]:
    """What MLflow raises where something is not there, or is there already."""
    kind: type[Exception] = require("mlflow.exceptions", "mlflow").MlflowException
    return kind
