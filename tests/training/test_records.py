"""Loggers beside metrics.csv write their own files, offline."""

from __future__ import annotations

import time

import pytest

from tests.training.test_train import Killed, stop_at
from tests.training.tiny import assert_same_run, metrics, run

pytestmark = pytest.mark.usefixtures("tiny")


def test_tensorboard(tmp_path):
    """Every epoch once, also after an interruption."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(Killed):
        run("logger=tensorboard", on_epoch=stop_at(3))
    folder = run("logger=tensorboard").folder
    events = EventAccumulator(str(folder.path))
    events.Reload()
    scalars = events.Scalars("val_loss")
    assert [event.step for event in scalars] == [1, 2, 3, 4]
    expected = metrics(folder)["val_loss"].astype(float).tolist()
    assert [event.value for event in scalars] == pytest.approx(expected, rel=1e-6)  # float32
    assert_same_run(folder, run(f"runs_dir={tmp_path}/csv").folder)


def test_wandb_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # any connection would be refused
    folder = run("logger=wandb", "logger.wandb=offline").folder
    (logged,) = folder.path.glob("wandb/offline-run-*/run-*.wandb")
    # wandb's own process writes the file, and may still be at it when finish() has returned.
    deadline = time.monotonic() + 60
    while logged.stat().st_size <= 1000 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert logged.stat().st_size > 1000
    assert len(metrics(folder)) == 4
    assert_same_run(folder, run(f"runs_dir={tmp_path}/csv").folder)
