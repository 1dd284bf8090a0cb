"""`bench sweep` and `bench status` from the command line, with real runs."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import StringIO

import pytest

from deepset_bench.console import Console
from deepset_bench.runs import RunFolder
from deepset_bench.sweep import estimate
from deepset_bench.sweep import overview as display
from deepset_bench.sweep.execute import Sweep
from deepset_bench.sweep.executors.local import Local as Share
from deepset_bench.sweep.plan import Run, plan
from deepset_bench.sweep.status import Standing, last_epoch, standing
from deepset_bench.training.train import train
from deepset_bench.units import HARTREE
from tests.study.folders import write
from tests.test_cli import command, env, inside
from tests.training.tiny import OVERRIDES, asked

pytestmark = pytest.mark.usefixtures("tiny")

LONG = "trainer.epochs=20000"  # longer than any of these tests lasts


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`bench sweep` as a process that does not outlive the test."""
    with ExitStack() as stack:

        def started(*arguments: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    command("sweep", *arguments),
                    env=env(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield started


def until(happened: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def written(run: Run) -> tuple[int, ...]:
    """When each file that says a run is done was written."""
    names = ("result.json", "status.json", "last.pt", "metrics.csv", "log.txt")
    return tuple((run.folder.path / name).stat().st_mtime_ns for name in names)


def test_two_at_once_past_a_failure_and_again(monkeypatch, capsys):
    """The run in the middle asks for more frames than there are."""
    arguments = asked("data.val_size=8,1000,9")
    before, impossible, after = plan(arguments).runs
    status, out, err = inside(monkeypatch, capsys, "sweep", *arguments, "--jobs", "2")
    assert (status, err) == (1, "")
    assert [run.folder.status()["state"] for run in (before, after)] == ["done", "done"]
    assert impossible.folder.status()["state"] == "failed"
    (line,) = [x for x in out.splitlines() if x.startswith("failed data.val_size=1000: ")]
    assert line.endswith(f"data.val_size=5 data.test_size=5; see {impossible.folder.log}")
    assert "do not fit" in impossible.folder.log.read_text()
    assert "Traceback" not in impossible.folder.log.read_text()
    assert "3 runs: 1 failed, 2 done" in out

    times = written(before), written(after)
    status, out, _ = inside(monkeypatch, capsys, "sweep", *arguments, "--dry-run", "--jobs", "2")
    assert status == 0
    assert "3 runs: 1 failed, 2 done" in out
    assert "2 at once; time: about" in out  # from the pace of the two that are done
    done = asked("data.val_size=8,9")
    status, out, _ = inside(monkeypatch, capsys, "sweep", *done)
    assert status == 0
    assert out.count("done        data.val_size=") == 2
    assert (written(before), written(after)) == times

    status, out, _ = inside(monkeypatch, capsys, "status")
    assert status == 0
    assert out.count("\n") == 5  # a heading, three runs and how many they are
    assert out.count("epoch 4/4, val energy MAE ") == 2
    assert "3 runs: 1 failed, 2 done" in out


def test_a_sweep_that_diverged_exits_with_status_1(monkeypatch, capsys):
    (run,) = plan(OVERRIDES).runs
    reason = "the training loss of epoch 3 is nan"
    run.folder.write_status("diverged", run.identity, reason)
    run.folder.write_result({"status": "diverged", "reason": reason})
    status, out, err = inside(monkeypatch, capsys, "sweep", *OVERRIDES)
    assert (status, err) == (1, "")
    assert f"diverged {run.name}: the training loss of epoch 3 is nan; see" in out


def test_killed_in_the_middle_and_repeated(start, monkeypatch, capsys):
    """SIGKILL of the sweep alone: its process ends by itself, and the same command goes on."""
    axes = asked("trainer.epochs=4,300")
    short, long = plan(axes).runs
    train([short.experiment])
    before = written(short)
    sweep = start(*axes, "--jobs", "1")
    until(lambda: long.folder.last.exists())
    assert long.folder.is_held()
    sweep.kill()
    sweep.communicate()
    until(lambda: not long.folder.is_held())
    assert standing(long.folder).state == "interrupted"
    assert 0 < standing(long.folder).epoch < 300

    status, _, err = inside(monkeypatch, capsys, "sweep", *axes, "--jobs", "1")
    assert (status, err) == (0, "")
    assert written(short) == before
    assert long.folder.result()["status"] == "done"
    assert long.folder.log.read_text().count("going on after epoch") == 1
    assert last_epoch(long.folder)["epoch"] == 300


def test_two_sweeps_at_once_run_nothing_twice(start):
    arguments = (*asked("trainer.epochs=50"), "--seeds", "2", "--jobs", "1")
    runs = plan([*OVERRIDES, "trainer.epochs=50"], 2).runs
    sweeps = [start(*arguments), start(*arguments)]
    for sweep in sweeps:
        out, err = sweep.communicate(timeout=120)
        assert (sweep.returncode, err) == (0, "")
        assert "2 runs: 2 done" in out
    for run in runs:
        assert run.folder.log.read_text().count("data tiny: ") == 1  # said once a training
        assert "going on" not in run.folder.log.read_text()
        assert len(run.folder.metrics.read_text().splitlines()) == 51


def test_ctrl_c_stops_and_says_how_to_go_on(start):
    (run,) = plan([*OVERRIDES, LONG]).runs
    sweep = start(*asked(LONG))
    until(lambda: run.folder.last.exists())
    sweep.send_signal(signal.SIGINT)
    _, err = sweep.communicate(timeout=30)
    assert sweep.returncode == 130
    assert err.count("same command") == 1
    assert "Traceback" not in err + run.folder.log.read_text()
    assert not run.folder.is_held()
    assert standing(run.folder).state == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["gnn=sage,egde"], "unknown option gnn=egde"),
        (["nowhere"], "unknown sweep 'nowhere'"),
        (["aggregation=mean,max"], "aggregation=max is not read by gnn=none"),
        (["seed=1", "--seeds", "2"], "give one of them"),
        (["--stack", "0"], "--stack 0: give auto or a number"),
        (["device=mps"], "device=mps is not available"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(monkeypatch, capsys, arguments, expected):
    if expected.startswith("device=mps") and sys.platform == "darwin":
        pytest.skip("this machine may have it")
    overrides = [word for word in arguments if "=" in word]
    others = [word for word in arguments if "=" not in word]
    status, out, err = inside(monkeypatch, capsys, "sweep", *asked(*overrides), *others)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert expected in err
    assert err.count("\n") == 1


def test_a_dry_run_writes_nothing_and_admits_not_to_know(monkeypatch, capsys, tmp_path):
    status, out, _ = inside(monkeypatch, capsys, "sweep", *OVERRIDES, "seed=0,0,1", "--dry-run")
    assert status == 0
    assert "2 runs: 2 queued" in out
    assert "asked for more than once: 1" in out
    assert "time: unknown" in out
    assert not (tmp_path / "runs").exists()


def test_status_of_nothing(monkeypatch, capsys, tmp_path):
    status, out, _ = inside(monkeypatch, capsys, "status", "--runs-dir", str(tmp_path / "none"))
    assert (status, out) == (0, "no runs\n")


def test_standings_from_half_written_folders(tmp_path):
    folder = RunFolder(tmp_path)
    assert standing(folder) == Standing("queued")
    folder.write_status("running", "x")
    assert standing(folder).state == "interrupted"
    with folder.lock():
        assert standing(folder).state == "running"
    header = "epoch,val_energy_mae_ev,val_forces_mae_ev_per_angstrom,seconds\n"
    for rows, epoch in (("", 0), ("1,2,3,4\n", 1), ("1,2,3,4\n2,3", 1), ("1,2,3,4\n2,\n", 0)):
        folder.metrics.write_text(header + rows)
        assert standing(folder, 5).epoch == epoch


def test_a_run_kept_without_its_epochs(tmp_path):
    folder = write(tmp_path, ["trainer.epochs=7"], 0, energy=0.02, epochs=7)
    folder.write_status("done", "x")
    stands = standing(folder)
    assert (stands.state, stands.epoch, stands.epochs) == ("done", 7, 7)
    assert stands.energy == pytest.approx(0.9 * 0.02 * HARTREE)


@pytest.mark.parametrize(
    ("stack", "seconds"), [({}, 10.0), ({"stack": 1}, 10.0), ({"stack": 3}, 30.0)]
)
def test_a_share_of_a_stack_is_not_the_time_of_a_run(tmp_path, stack, seconds):
    """Results of version 0.1.0 do not say how many were stacked: they hold the time of all."""
    done, waiting = plan(OVERRIDES, 2).runs
    machine = f"{platform.system()} {platform.machine()}"
    facts = {"epochs": 4, "machine": machine, "wall_seconds": 10.0, **stack}
    write(tmp_path / "runs", OVERRIDES, 0, energy=0.02, **facts)
    done.folder.write_status("done", done.identity)
    assert estimate.seconds([done, waiting], Share(1, 1, (), 1)) == pytest.approx(seconds)


def test_runs_that_are_forgotten_take_their_whole_time(tmp_path, monkeypatch, capsys):
    """They are done, but another's: `--fresh` trains them again."""
    (done,) = plan(OVERRIDES).runs
    facts = {"epochs": 4, "machine": f"{platform.system()} {platform.machine()}"}
    write(tmp_path / "runs", OVERRIDES, 0, energy=0.02, wall_seconds=10.0, **facts)
    done.folder.write_status("done", "another")
    at_once = Share(1, 1, (), 1)
    assert estimate.seconds([done], at_once, None, True) == pytest.approx(10)
    words = ["sweep", *OVERRIDES, "--dry-run", "--jobs", "1"]
    assert "1 at once; time: about 10 s" in inside(monkeypatch, capsys, *words, "--fresh")[1]
    done.folder.write_status("done", done.identity)
    assert estimate.seconds([done], at_once, None, True) == 0


def test_the_runs_that_started_last_tell_the_time(tmp_path):
    *done, waiting = plan(OVERRIDES, 6).runs
    machine = f"{platform.system()} {platform.machine()}"
    for seed, (day, seconds) in enumerate([(5, 12), (1, 90), (4, 10), (2, 90), (3, 50)]):
        facts = {"epochs": 4, "machine": machine, "started": f"2026-11-0{day}T10:00:00+00:00"}
        write(tmp_path / "runs", OVERRIDES, seed, energy=0.02, wall_seconds=seconds, **facts)
        done[seed].folder.write_status("done", done[seed].identity)
    assert estimate.seconds([*done, waiting], Share(1, 1, (), 1)) == pytest.approx(12)


def test_time_left():
    running = Standing("running", epoch=2, epochs=10, seconds=4.0)
    queued = Standing("queued", epochs=10)
    done = Standing("done", epoch=10, epochs=10, seconds=20.0)
    assert running.seconds_left == 16.0
    assert display.seconds_left([running, queued, queued, done], jobs=2) == (16 + 20 + 20) / 2
    assert display.seconds_left([queued], 1) is None
    assert display.seconds_left([done], 1) is None
    assert [display.duration(s) for s in (3, 600, 7200)] == ["3 s", "10 min", "2.0 h"]


def test_the_table_fits_a_terminal(monkeypatch):
    runs = plan(OVERRIDES, 40).runs
    sweep = Sweep(runs, Share(1, 1, (), 1))
    sweep.ended[runs[30]] = Standing("failed", "out of [memory]", 2, 4, 0.5, 0.25)
    console = Console(file=StringIO(), force_terminal=True, width=100, height=24)
    with display.watching(console, sweep) as watch:
        watch()
    shown = console.file.getvalue()
    assert "out of [memory]" in shown.replace("\n", "")
    assert "500.0" in shown
    assert "250.0" in shown
    assert "40 runs: 1 failed, 39 queued" in shown
    assert os.environ["BENCH_RUNS"] not in shown


def test_runs_are_called_by_what_differs():
    runs = plan([*OVERRIDES, "gnn=none,sage", "cutoff=4,5"], 2).runs
    names = list(display.called(runs).values())
    assert names[0] == "gnn=none cutoff=4 seed=0"
    assert len(set(names)) == len(runs) == 8
    (alone,) = plan(OVERRIDES).runs
    assert display.called([alone]) == {alone: alone.name}
    quick = display.called(plan(["quick"]).runs)
    assert list(quick.values()) == ["scalars=none", "scalars=cub_sqrt"]


def test_a_live_table_has_one_line_a_run():
    axes = ("trainer.schedule.warmup_steps=1,2", "trainer.learning_rate=0.001,0.002")
    runs = plan([*OVERRIDES, *axes]).runs[:2]
    sweep = Sweep(runs, Share(1, 1, (), 1))
    for run in runs:
        reason = "the training loss of epoch 3 is nan, and more words than a line has"
        sweep.ended[run] = Standing("failed", reason, 20000, 20000, 0.7155, 1.5555)
    console = Console(file=StringIO(), force_terminal=True, width=100, height=24, color_system=None)
    with display.watching(console, sweep):
        pass
    shown = {line for line in console.file.getvalue().splitlines() if "20000/20000" in line}
    assert {line.split()[0] for line in shown} == {axis.split(",")[0] for axis in axes[1:]} | {
        "trainer.learning_rate=0.002"
    }
    assert all(" failed " in line and "715.5" in line for line in shown)
    assert all(len(line.split("\x1b[2K")[-1]) <= 100 for line in shown)
