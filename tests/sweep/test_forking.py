"""A run that is forked is the run of a fresh process, whatever was trained before it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deepset_bench import config, registry
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.runs import RunFolder
from deepset_bench.sweep.execute import Sweep
from deepset_bench.sweep.executors import child, local
from deepset_bench.sweep.executors.forked import kills_for_memory
from deepset_bench.sweep.plan import plan
from deepset_bench.training import setup
from tests import toy
from tests.test_cli import env
from tests.training.tiny import OVERRIDES, run

pytestmark = pytest.mark.usefixtures("tiny")

EACH = [("data=tiny", "threads=2"), ("data=longer", "threads=2"), ("data=tiny", "threads=1")]
OWN = "from deepset_bench.variants import scalar\n\n\n@scalar('own')\ndef own(d):\n    return {d}\n"


def columns(folder: RunFolder) -> list[list[str]]:
    """metrics.csv without what the clock decides."""
    rows = [line.split(",") for line in folder.metrics.read_text().splitlines()]
    kept = [n for n, name in enumerate(rows[0]) if "seconds" not in name]
    return [[row[n] for n in kept] for row in rows]


@pytest.mark.skipif(not local.FORKS, reason="forks are for Linux")
def test_a_third_run_is_that_of_a_fresh_process(monkeypatch, tmp_path):
    """After runs of other data and with other threads."""
    catalogue.register("longer", toy.frames(4, 60, bias=0.5), {"method": "analytic"})
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = [[*OVERRIDES, *own, f"seed={n}"] for n, own in enumerate(EACH)]
    forked = [run for overrides in alone for run in plan(overrides).runs]
    sweep = Sweep(forked, local.Local(1, None, (), 1))
    sweep.execute(lambda: None)
    assert [sweep.standing(run).state for run in forked] == ["done"] * 3
    third = forked[2]
    elsewhere = [[*third.overrides, f"runs_dir={tmp_path / 'fresh'}"]]
    fresh = [*local.TRAIN, json.dumps(elsewhere)]
    with subprocess.Popen(fresh, stdin=subprocess.PIPE, env=env()) as process:
        assert process.wait() == 0  # and its standard input was open for as long
    (fresh_one,) = (RunFolder(path.parent) for path in (tmp_path / "fresh").rglob("best.pt"))
    assert columns(fresh_one) == columns(third.folder)
    both = (torch.load(one.best, weights_only=True) for one in (fresh_one, third.folder))
    a, b = (one["potential"] for one in both)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert [run.folder.result()["threads"] for run in forked] == [2, 2, 1]


def test_what_every_run_does_the_same_is_done_before(monkeypatch, tmp_path):
    """It is left alone where a person's own variants may have changed before a run starts."""
    monkeypatch.setattr(setup, "_VERDICTS", {})
    own = tmp_path / "own.py"
    own.write_text(OWN.replace("{d}", "d"))
    monkeypatch.setenv(registry.ENVIRONMENT, str(own))
    registry._variants.cache_clear()
    config._experiment.cache_clear()
    child._warm([OVERRIDES])
    assert not setup._VERDICTS
    assert registry._variants.cache_info().currsize == 0
    assert config._experiment.cache_info().currsize == 0
    monkeypatch.delenv(registry.ENVIRONMENT)
    child._warm([OVERRIDES, OVERRIDES])
    assert [labels for _, labels in setup._VERDICTS] == ["potential"]


def test_a_set_that_was_replaced_is_looked_at_again(monkeypatch):
    monkeypatch.setattr(setup, "_VERDICTS", {})
    child._warm([OVERRIDES])
    frames = toy.frames(3, 60)
    still = replace(frames, forces=np.ones_like(frames.forces))
    catalogue.register("tiny", still, {"method": "analytic"}, force=True)
    child._warm([OVERRIDES])
    before, after = setup._VERDICTS.values()
    assert before.verdict != after.verdict == "defect"


def test_nothing_is_computed_by_the_process_that_forks():
    """No thread of PyTorch may be there when it forks: a fork would wait for it for ever."""
    code = (
        "from deepset_bench.sweep.executors import child; import os; "
        f"child._warm([{list(OVERRIDES)!r}]); print(len(os.listdir('/proc/self/task')))"
    )
    if not Path("/proc/self/task").is_dir():
        pytest.skip("no /proc here")
    few = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env(few), capture_output=True, text=True
    )
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("group", "file"),
    [
        ("0::/job_7/step_0", "sys/fs/cgroup/job_7/step_0/memory.events"),
        ("5:cpu:/x\n4:memory:/job_7", "sys/fs/cgroup/memory/job_7/memory.oom_control"),
    ],
)
def test_what_the_kernel_kills_for_memory_is_counted(group, file, tmp_path):
    assert kills_for_memory(tmp_path) == 0
    for name, text in (("proc/self/cgroup", group), (file, "oom 3\noom_kill 2\n")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert kills_for_memory(tmp_path) == 2


def test_a_sweep_in_the_background_stops_its_runs_in_order(monkeypatch):
    """A shell starts what stands before a `&` with Ctrl-C switched off, and forks inherit that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr(child, "_end_with_the_sweep", lambda: None)
        monkeypatch.setattr(child, "_train", lambda _: signal.raise_signal(signal.SIGINT))
        assert child._stoppable([]) == child.INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_that_fails_before_its_first_step_is_the_run_that_was_planned():
    """It is tried again, and not taken for another: what it starts from is a part of what it is."""
    source = run().folder
    planned = plan([*OVERRIDES, f"init={source.path}", "seed=4"]).runs
    assert Sweep(planned, local.Local(1, None, (), 1)).free(()) == planned
    (one,) = planned
    for gone in (False, True):
        if gone:
            source.best.unlink()
        child._note_failure(experiment(one.overrides), UserError("its elements are others"))
        assert one.folder.status()["state"] == "failed"
        assert not one.is_taken
        one.folder.write_status("queued", one.identity)
