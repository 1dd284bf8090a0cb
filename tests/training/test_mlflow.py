"""What MLflow is told of a run, with the real one where it is installed and with a stand-in."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.runs import RunFolder, run_folder, runs_root
from deepset_bench.training import ml_flow
from tests.test_cli import inside
from tests.training.test_loggers import FINAL, RESULT, started, whole
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import OVERRIDES, asked, metrics, run

MLFLOW = "logger=mlflow"


class FakeException(Exception):
    """In the place of MLflow's."""


@dataclass(frozen=True)
class Metric:
    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class Param:
    key: str
    value: str


class Store:
    """The part of `MlflowClient` that is used, in memory."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.experiments: list[str] = []
        self.runs: dict[str, Any] = {}
        self.fails = False

    def __call__(self, tracking_uri: str) -> Store:
        self.uris.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> Any:
        there = name in self.experiments
        return SimpleNamespace(experiment_id=str(self.experiments.index(name))) if there else None

    def create_experiment(self, name: str) -> str:
        if name in self.experiments:
            raise FakeException("it is there already")
        self.experiments.append(name)
        return str(len(self.experiments) - 1)

    def create_run(self, home: str, tags: dict[str, str], run_name: str) -> Any:
        info = SimpleNamespace(
            run_id=f"id{len(self.runs)}", experiment_id=home, run_name=run_name, status="RUNNING"
        )
        data = SimpleNamespace(tags=dict(tags), params={}, metrics={}, history=defaultdict(list))
        self.runs[info.run_id] = SimpleNamespace(info=info, data=data)
        return self.runs[info.run_id]

    def get_run(self, name: str) -> Any:
        if name not in self.runs:
            raise FakeException(f"no run {name}")
        return self.runs[name]

    def get_experiment(self, number: str) -> Any:
        return SimpleNamespace(name=self.experiments[int(number)])

    def log_batch(self, name: str, metrics: Any = (), params: Any = ()) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        data = self.get_run(name).data
        assert len(params) <= 100
        data.params |= {one.key: one.value for one in params}
        for one in metrics:
            data.history[one.key].append(one)
            data.metrics[one.key] = one.value

    def get_metric_history(self, name: str, key: str) -> list[Metric]:
        return list(self.get_run(name).data.history[key])

    def set_tag(self, name: str, key: str, value: str) -> None:
        self.get_run(name).data.tags[key] = value

    def update_run(self, name: str, status: str) -> None:
        self.get_run(name).info.status = status

    set_terminated = update_run


@pytest.fixture
def fake(monkeypatch) -> Store:
    """MLflow without MLflow."""
    store = Store()
    modules = {
        "mlflow": {},
        "mlflow.tracking": {"MlflowClient": store},
        "mlflow.entities": {"Metric": Metric, "Param": Param},
        "mlflow.exceptions": {"MlflowException": FakeException},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return store


@pytest.fixture(params=["stand-in", "real"], autouse=True)
def store(request, monkeypatch) -> None:
    """Every test twice, the second time with MLflow's own folder of files."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_RUN_GROUP"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "real":
        pytest.importorskip("mlflow.tracking")
    else:
        request.getfixturevalue("fake")


def logged(folder: RunFolder) -> Any:
    """The run of MLflow that belongs to a folder, and its client."""
    there = ml_flow.client(runs_root(None))
    return there.get_run(ml_flow.run_id(folder)), there


def test_it_has_what_wandb_has(tiny, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_GROUP", "width")
    whole(started(MLFLOW, "logger.project=mine"))
    folder = run_folder(experiment(OVERRIDES))
    found, client = logged(folder)
    assert found.info.status == "FINISHED"
    assert client.get_experiment(found.info.experiment_id).name == "mine"
    assert found.info.run_name == "/".join(folder.path.parts[-4:])[-128:]
    data = found.data
    assert [one.step for one in client.get_metric_history(found.info.run_id, "val_loss")] == [1, 2]
    assert data.metrics["val_loss"] == 0.25
    for name, value in FINAL.items():
        where = data.tags if isinstance(value, str) else data.metrics
        assert where[name] == value
    assert (data.tags["group"], data.tags["data"]) == ("width", "tiny")
    assert data.tags["condition"] == "corrected"
    assert data.tags["variant"] == experiment(OVERRIDES).variant
    assert data.params["trainer.epochs"] == "4"


def test_an_interrupted_run_continues_its_run(tiny):
    with pytest.raises(Killed):
        run(MLFLOW, on_epoch=stop_at(3))
    folder = run_folder(experiment(OVERRIDES))
    before, _ = logged(folder)
    assert before.info.status == "FAILED"
    done = run(MLFLOW)
    found, client = logged(folder)
    assert found.info.run_id == before.info.run_id
    assert found.info.status == "FINISHED"
    rows = client.get_metric_history(found.info.run_id, "val_loss")
    losses = dict(zip((one.step for one in rows), (one.value for one in rows), strict=True))
    expected = metrics(done.folder)["val_loss"].astype(float).tolist()
    assert [losses[step] for step in (1, 2, 3, 4)] == expected
    run(MLFLOW, fresh=True)
    assert logged(folder)[0].info.run_id != before.info.run_id


def test_a_run_that_diverged_is_marked_as_failed(tiny):
    loggers = started(MLFLOW)
    loggers.result(RESULT | {"status": "diverged", "metrics": None})
    loggers.close()
    found, _ = logged(run_folder(experiment(OVERRIDES)))
    assert (found.info.status, found.data.tags["status"]) == ("FAILED", "diverged")


def test_runs_of_one_project_are_side_by_side(tiny):
    for seed in (0, 1):
        whole(started(MLFLOW, f"seed={seed}"))
    both = [logged(run_folder(experiment([*OVERRIDES, f"seed={s}"])))[0] for s in (0, 1)]
    assert len({one.info.experiment_id for one in both}) == 1
    assert len({one.info.run_id for one in both}) == 2


def test_a_failing_mlflow_is_one_line_and_the_run_goes_on(tiny, fake, monkeypatch, capsys):
    fake.fails = True
    arguments = asked("trainer.epochs=2")
    status, out, err = inside(monkeypatch, capsys, "train", *arguments, MLFLOW)
    assert (status, err) == (0, "")
    (said,) = [line for line in out.splitlines() if "No space left" in line]
    assert said.startswith("MLflow: ")
    assert len(metrics(run_folder(experiment(arguments)))) == 2


def test_the_environment_names_the_store(tiny, fake, monkeypatch):
    whole(started(MLFLOW))
    assert fake.uris[0] == (runs_root(None) / "mlruns").absolute().as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    whole(started(MLFLOW, "seed=1"))
    assert fake.uris[-1] == "https://mlflow.example"
    assert fake.experiments == ["deepset-bench", "ours"]


def test_a_missing_mlflow_is_called_by_its_extra(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.entities", None)
    with pytest.raises(UserError, match=r"pip install 'deepset-bench\[mlflow\]'"):
        started(MLFLOW)
