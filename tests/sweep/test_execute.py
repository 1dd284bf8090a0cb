"""The processes of a sweep, with a stand-in that ends, fails, dies or hangs in no time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from deepset_bench.errors import UserError
from deepset_bench.files import PACKAGE
from deepset_bench.record import ERRORS
from deepset_bench.runs import RunFolder
from deepset_bench.sweep import execute
from deepset_bench.sweep.execute import Sweep, units
from deepset_bench.sweep.executors import local
from deepset_bench.sweep.executors.executor import End
from deepset_bench.sweep.executors.local import Local as Share
from deepset_bench.sweep.executors.local import share_out
from deepset_bench.sweep.plan import Run, plan
from tests.training.tiny import OVERRIDES

pytestmark = pytest.mark.usefixtures("tiny")

# Trains nothing: a folder that holds a file BEHAVE does what the file says, else it is done.
STAND_IN = """
import json, os, sys
from pathlib import Path

folders = {folders}
result = {result}


def train(runs):
    seeds = [int(line.split("=")[1]) for run in runs for line in run if line.startswith("seed=")]
    with open("calls", "a") as calls:
        print(json.dumps([seeds, os.environ.get("CUDA_VISIBLE_DEVICES")]), file=calls)
    with open("groups", "a") as groups:
        print(os.environ.get("WANDB_RUN_GROUP"), file=groups)
    for seed in seeds:
        folder = Path(folders[seed])
        behave = (folder / "BEHAVE").read_text() if (folder / "BEHAVE").exists() else "done"
        if behave == "die":
            os.kill(os.getpid(), 9)
        if behave == "die above":
            os.kill(os.getppid(), 9)
        if behave in ("hang", "die above"):
            os.read(0, 1)
            return 130
        if behave == "busy":
            (folder / "BEHAVE").unlink()
            return 75
        if behave == "stack" and len(seeds) > 1:
            return 1
        status = json.loads((folder / "status.json").read_text())
        status["state"] = "failed" if behave == "fail" else "done"
        if behave != "fail":
            (folder / "result.json").write_text(json.dumps(result))
        (folder / "new").write_text(json.dumps(status))
        (folder / "new").replace(folder / "status.json")
        if behave == "fail":
            return 1
    return 0


if len(sys.argv) > 1:
    sys.exit(train(json.loads(sys.argv[1])))
sys.path.append({package})
from deepset_bench.sweep.executors.forking import serve

sys.exit(serve(lambda runs: open("warm", "a").write("."), train))
"""

_ERRORS = {part: dict.fromkeys(ERRORS, 1.0) for part in ("test", "val")}
RESULT = {
    **{"status": "done", "reason": "", "metrics": _ERRORS, "baselines": _ERRORS},
    "data_verdict": {"verdict": "ok", "findings": []},
    **dict.fromkeys(("threads", "parameters", "epochs", "best_epoch", "wall_seconds"), 1),
    **{"device": "cpu", "label_floor_ev_per_angstrom": None},
}


@pytest.fixture(params=["forked", "started"])
def runs(tmp_path, monkeypatch, request) -> list[Run]:
    """Four seeds of one variant, to be trained by the stand-in: one process a run either way."""
    if request.param == "forked" and not local.FORKS:
        pytest.skip("forks are for Linux")
    monkeypatch.setattr(local, "FORKS", request.param == "forked")
    listed = plan(OVERRIDES, 4).runs
    script = tmp_path / "stand_in.py"
    folders = [str(run.folder.path) for run in listed]
    text = STAND_IN.replace("{folders}", repr(folders)).replace("{result}", repr(RESULT))
    script.write_text(text.replace("{package}", repr(str(PACKAGE.parent))))
    monkeypatch.setattr(local, "TRAIN", (sys.executable, "-S", "-E", str(script)))
    monkeypatch.setattr(execute, "_PAUSE", 0.01)
    monkeypatch.chdir(tmp_path)
    return listed


def behave(run: Run, how: str) -> None:
    run.folder.path.mkdir(parents=True, exist_ok=True)
    (run.folder.path / "BEHAVE").write_text(how)


def execute_all(runs: list[Run], share: Share = Share(2, 1, (), 1)) -> list[str]:  # noqa: B008
    sweep = Sweep(runs, share)
    sweep.execute(lambda: None)
    return [sweep.standing(run).state for run in runs]


def calls() -> list[list]:
    return [json.loads(line) for line in Path("calls").read_text().splitlines()]


def test_each_run_once_and_nothing_again(runs):
    assert execute_all(runs) == ["done"] * 4
    assert execute_all(runs) == ["done"] * 4
    assert sorted(seeds for seeds, _ in calls()) == [[0], [1], [2], [3]]


def test_runs_of_a_sweep_are_a_group_of_its_name(runs, monkeypatch):
    """Unless the environment has another."""
    Sweep(runs[:1], Share(1, 1, (), 1), "quick").execute(lambda: None)
    monkeypatch.setenv("WANDB_RUN_GROUP", "mine")
    Sweep(runs[1:2], Share(1, 1, (), 1), "quick").execute(lambda: None)
    assert Path("groups").read_text().split() == ["quick", "mine"]


def test_on_past_a_failure_and_a_killed_process(runs):
    behave(runs[0], "fail")
    behave(runs[1], "die")
    assert execute_all(runs) == ["failed", "failed", "done", "done"]
    assert "signal 9" in runs[1].folder.status()["reason"]
    assert "signal 9" in runs[1].folder.log.read_text()
    behave(runs[1], "done")
    assert execute_all(runs) == ["failed", "done", "done", "done"]  # failures are tried again
    assert [seeds for seeds, _ in calls()].count([0]) == 2


@pytest.mark.skipif(not local.FORKS, reason="forks are for Linux")
def test_where_the_process_that_forks_is_killed_its_runs_fail_and_the_sweep_goes_on(
    runs, monkeypatch
):
    monkeypatch.setattr(local, "FORKS", True)
    behave(runs[0], "die above")
    assert execute_all(runs, Share(1, 1, (), 1)) == ["failed", "done", "done", "done"]
    reason = "the process that starts the runs ended with signal 9"
    assert runs[0].folder.status()["reason"] == reason
    assert Path("warm").read_text() == "...."


def test_diverged_runs_are_left_alone(runs):
    runs[0].folder.write_status("diverged", runs[0].identity, "nan")
    runs[0].folder.write_result({"status": "diverged", "reason": "nan"})
    assert execute_all(runs) == ["diverged", "done", "done", "done"]
    assert [0] not in [seeds for seeds, _ in calls()]


def test_another_run_in_a_folder_is_left_alone(runs):
    runs[0].folder.write_status("done", "of other data")
    before = runs[0].folder.status()
    sweep = Sweep(runs, Share(2, 1, (), 1))
    sweep.execute(lambda: None)
    assert "holds another run" in sweep.standing(runs[0]).reason
    assert runs[0].folder.status() == before
    assert len(calls()) == 3


def test_another_run_in_a_folder_is_forgotten_where_that_is_asked_for(runs):
    """And what is done as asked for is not trained again."""
    runs[0].folder.write_status("done", "of other data")
    runs[0].folder.write_result(RESULT)
    assert execute_all(runs[1:2]) == ["done"]
    sweep = Sweep(runs, Share(2, 1, (), 1), fresh=True)
    sweep.execute(lambda: None)
    assert [sweep.standing(run).state for run in runs] == ["done"] * 4
    assert runs[0].folder.identity() == runs[0].identity
    assert sorted(seeds for seeds, _ in calls()) == [[0], [1], [2], [3]]


def test_a_run_that_was_only_planned_with_other_data_is_planned_anew(runs):
    runs[0].folder.write_status("queued", "of other data")
    assert execute_all(runs) == ["done"] * 4


def test_a_run_that_another_process_trains_is_waited_for(runs):
    """And taken over if that process stops before it is done."""
    sweep = Sweep(runs[:2], Share(2, 1, (), 1))
    held = runs[0].folder.lock()
    runs[0].folder.write_status("running", runs[0].identity)
    states, reasons = [], set()

    def watch():
        if len(states) < 20:
            reasons.add(sweep.standing(runs[0]).reason)
        states.append([sweep.standing(run).state for run in runs[:2]])
        if states[-1] == ["running", "done"] and len(states) > 20:
            held.__exit__(None, None, None)

    sweep.execute(watch)
    assert states[-1] == ["done", "done"]
    assert reasons == {"in another process"}
    assert [seeds for seeds, _ in calls()] == [[1], [0]]


def test_a_failure_elsewhere_is_not_tried_a_second_time(runs):
    sweep = Sweep(runs[:2], Share(1, 1, (), 1))

    def watch():
        if sweep.standing(runs[0]).state != "done":
            RunFolder(runs[1].folder.path).write_status("failed", runs[1].identity, "elsewhere")

    sweep.execute(watch)
    assert sweep.standing(runs[1]).reason == "elsewhere"
    assert [seeds for seeds, _ in calls()] == [[0]]


def test_a_process_that_finds_its_run_held_is_started_again(runs):
    behave(runs[2], "busy")
    assert execute_all(runs) == ["done"] * 4
    assert [seeds for seeds, _ in calls()].count([2]) == 2


def test_ctrl_c_ends_the_processes(runs):
    for run in runs:
        behave(run, "hang")
    sweep = Sweep(runs, Share(2, 1, (), 1))

    def watch():
        if Path("calls").exists() and len(calls()) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.execute(watch)
    stopped = End("its process ended with exit status 130")
    assert [job.end() for job in sweep._jobs.values()] == [stopped] * 2
    assert [run.folder.status()["state"] for run in runs] == ["queued"] * 4
    for run in runs:
        behave(run, "done")
    assert execute_all(runs) == ["done"] * 4


def test_stacks_and_devices(runs):
    assert execute_all(runs, Share(2, 1, ("5", "7"), 2)) == ["done"] * 4
    assert sorted(calls()) == [[[0, 1], "5"], [[2, 3], "7"]]


def test_what_fails_in_a_stack_is_tried_alone(runs):
    for run in runs:
        behave(run, "stack")
    assert execute_all(runs, Share(1, 1, (), 4)) == ["done"] * 4
    assert [seeds for seeds, _ in calls()] == [[0, 1, 2, 3], [0], [1], [2], [3]]


def test_units_hold_seeds_of_one_variant():
    listed = plan([*OVERRIDES, "scalars=none,sq"], 3).runs
    found = units(listed, 2)
    assert sorted(len(unit) for unit in found) == [1, 1, 2, 2]
    assert all(len({run.experiment.variant for run in unit}) == 1 for unit in found)
    assert sorted((run for unit in found for run in unit), key=id) == sorted(listed, key=id)


def test_the_machine_is_shared_out(runs, monkeypatch):
    from deepset_bench.sweep.executors import local as machine

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "_cores", lambda: 12)
    assert share_out(runs) == Share(4, 3, (), 1)
    assert share_out(runs, jobs=24) == Share(24, 1, (), 1)
    assert share_out(runs, jobs=2).environment()["MKL_NUM_THREADS"] == "6"
    monkeypatch.setattr(machine, "device", lambda _: "cuda")
    monkeypatch.setattr(machine, "cuda_devices", lambda: ("2", "3"))
    assert share_out(runs) == Share(2, 6, ("2", "3"), 2)
    assert share_out(runs, jobs=4, stack=3) == Share(4, 3, ("2", "3"), 3)
    each = [share_out(runs, jobs=4).own_environment(slot, "") for slot in range(4)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in each] == ["2", "3", "2", "3"]
    monkeypatch.setattr(machine, "for_one_process", lambda: True)
    assert share_out(runs, jobs=2).jobs == 2
    with pytest.raises(UserError, match=r"exclusive process.; give --jobs 2, or --stack N"):
        share_out(runs, jobs=4)
    monkeypatch.setattr(machine, "device", lambda _: "mps")
    assert share_out(runs) == Share(1, 12, (), 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert share_out(runs).threads is None
