"""`bench sweep executor=slurm`: on a real Slurm of two nodes, where one can be brought up."""

from __future__ import annotations

import json
import re

import pytest

from deepset_bench.runs import RunFolder, runs_root
from deepset_bench.sweep.executors import submitted
from deepset_bench.sweep.executors.chosen import chosen
from deepset_bench.sweep.executors.slurm import Slurm
from deepset_bench.sweep.plan import plan
from tests.sweep.slurm import CAN, WHY_NOT, Cluster, cluster, until
from tests.test_cli import inside
from tests.training.tiny import asked, assert_same_run

pytestmark = pytest.mark.usefixtures("tiny")
WORDS = [*asked("trainer.epochs=200"), "+scalars=none,sq"]
ON = ["executor=slurm", "executor.memory=2G", "executor.runs_per_task=1"]


def made(*words: str, runs: int = 1, jobs: int | None = None, stack: int | None = None) -> Slurm:
    make, settings = chosen(words)
    return make(plan(asked(), runs).runs, jobs, stack, settings)


def test_the_script_asks_for_what_is_set(monkeypatch, capsys):
    """And nothing is submitted, nor noted."""
    words = [
        *("executor=slurm_cpu", "executor.account=ab12", "executor.partition=short"),
        *("executor.time='02:30:00'", 'executor.constraint="a&b"', "executor.throttle=7"),
        *('executor.setup=["module load abc"]', "executor.sbatch=['--qos=long']"),
        *("executor.runs_per_task=2", "executor.python=/opt/python", "--print-sbatch"),
    ]
    monkeypatch.setenv("BENCH_LIMITS", "2")
    status, out, err = inside(monkeypatch, capsys, "sweep", *asked(), "--seeds", "5", *words)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "#!/bin/bash"
    assert "export BENCH_LIMITS=2" in lines  # a task reads what is read here
    for option in (
        *("--array=0-2%7", "--account=ab12", "--partition=short", "--time=02:30:00", "--mem=64G"),
        *("--constraint=a&b", "--cpus-per-task=32", "--signal=B:USR1@120", "--requeue"),
        *("--open-mode=append", "--qos=long"),
    ):
        assert f"#SBATCH {option}" in lines
    assert "module load abc" in lines
    assert lines[-2].startswith("exec /opt/python -m deepset_bench.sweep.executors.task ")
    assert not any(one.folder.path.exists() for one in plan(asked(), 5).runs)


def test_seeds_of_a_variant_share_a_gpu():
    runs = plan([*asked(), "+scalars=none,sq"], 5).runs
    on_gpu = made("executor=slurm_gpu")
    assert (on_gpu.jobs, on_gpu.stack) == (1, 8)
    tasks = on_gpu._tasks(runs)
    assert [[run.experiment.config.scalars for run in task] for task in tasks] == [
        [[]] * 5,
        [["x2"]] * 5,
    ]
    many = made("executor=slurm_many")
    assert [len(task) for task in many._tasks(runs)] == [4, 4, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["executor=slurm", "executor.acount=x"], "executor: unknown key 'acount'; did you mean"),
        (["executor=slurm", "executor.time=30"], "write '02:30:00'"),
        (["executor=slurm", "executor.cpus=none"], "executor.cpus=none must be a whole number"),
        (["executor=slurm", "executor.throttle=0"], "executor.throttle=0: must be 1 or more"),
        (["executor=local,slurm"], "a sweep has one executor"),
        (["executor.cpus=2"], "executor=local has no settings"),
        (["--print-sbatch"], "--print-sbatch is for executor=slurm"),
    ],
)
def test_settings_that_cannot_be_are_one_line(words, said, monkeypatch, capsys):
    status, _, err = inside(monkeypatch, capsys, "sweep", *asked(), *words)
    assert status == 2
    assert said in err


def test_an_executor_is_no_part_of_a_run(monkeypatch, capsys):
    status, _, err = inside(monkeypatch, capsys, "train", *asked(), "executor=slurm")
    assert status == 2
    assert "bench sweep takes it" in err


def test_without_slurm_it_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = inside(monkeypatch, capsys, "sweep", *asked(), "executor=slurm")
    assert status == 2
    assert "squeue is not there" in err


REFUSED = {
    "executor.partition=nope": "sbatch refuses: invalid partition specified: nope; ",
    "executor.time='2-00:00:00'": "this partition ends tasks after 24:00:00",
    "executor.gpus=2": "give another executor.partition= or executor.gpus=",
    "executor.constraint=none": "give executor.constraint=NAME",
}


@pytest.fixture
def slurm(tmp_path_factory, monkeypatch) -> Cluster:
    """A real one."""
    if not CAN:
        pytest.skip(WHY_NOT)
    with cluster(tmp_path_factory.mktemp("slurm") / "s") as up:
        monkeypatch.setenv("SLURM_CONF", str(up.conf))
        yield up


def states(monkeypatch, capsys, *words: str) -> dict[str, dict]:
    """What `bench status` says of runs, by the end of their names."""
    out = inside(monkeypatch, capsys, "status", *words, "--json")[1]
    found = [json.loads(line) for line in out.splitlines()]
    return {f"{'sq' if 'sq' in one['variant'] else 'baseline'}/{one['seed']}": one for one in found}


def release(slurm: Cluster) -> list[str]:
    """Tasks in the queue; those that Slurm makes wait for two minutes after a requeue wait less."""
    lines = slurm.run("squeue", "-h", "-r", "-o", "%F_%K %T %r").splitlines()
    for name, state, reason in (line.split(maxsplit=2) for line in lines):
        if (state, reason) == ("PENDING", "BeginTime"):
            slurm.run("scontrol", "update", f"JobId={name}", "StartTime=now")
    return lines


def test_a_sweep_on_a_cluster_that_fails_in_every_way(slurm, tmp_path, monkeypatch, capsys):
    odd = tmp_path / "100 %A of it's"
    odd.mkdir()
    monkeypatch.chdir(odd)
    monkeypatch.setenv("BENCH_RUNS", str(odd / "runs"))

    def bench(*words: str) -> str:
        status, out, err = inside(monkeypatch, capsys, *words)
        assert (status, err) == (0, "")
        return out

    def stands(*words: str) -> dict[str, dict]:
        return states(monkeypatch, capsys, *words)

    runs = plan(WORDS, 2).runs  # seed by seed: task 0 is none/0, 1 sq/0, 2 none/1, 3 sq/1
    submit = ["sweep", *WORDS, "--seeds", "2", *ON]
    assert "submitted 4 runs as job 1: 4 tasks of up to 1" in bench(*submit)
    assert "4 runs: 4 queued or running in Slurm" in bench(*submit)  # nothing again

    # One task is killed, one is told that its time is nearly up, one node is to be left alone.
    until(lambda: runs[0].folder.last.exists(), 120)
    now = stands(*WORDS)
    slurm.signal("1_0", "KILL")
    until(lambda: runs[1].folder.last.exists(), 120)
    slurm.signal("1_1", "USR1")
    slurm.run("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=test")
    assert (now["baseline/0"]["state"], now["baseline/0"]["job"]) == ("running", "1_0")
    assert now["sq/1"]["state"] == "queued"
    assert now["sq/1"]["reason"].startswith("in Slurm's queue (")
    until(lambda: "PENDING" in slurm.run("squeue", "-h", "-j", "1_1", "-o", "%T"), 60)
    slurm.end("slurmctld")
    slurm.start_controller()
    until(lambda: slurm.run("squeue", "-h", "-j", "1_1", "-o", "%T"), 30)
    requeued = stands(*WORDS)["sq/0"]
    assert (requeued["state"], requeued["job"]) == ("queued", "1_1")
    assert "requeued" in requeued["reason"]
    assert "stopped on request after epoch" in runs[1].folder.log.read_text()
    until(lambda: not release(slurm), 120)
    assert [one.folder.has_ended() for one in runs] == [False, True, True, True]
    assert stands(*WORDS)["baseline/0"]["state"] == "interrupted"
    home = runs_root(None) / submitted.FOLDER
    logs = "".join(path.read_text() for path in home.glob("*.log"))
    assert {node for node in ("n1", "n2") if f"task begins on {node}\n" in logs} == {"n1", "n2"}

    # The same command submits what is missing.
    slurm.run("scontrol", "update", "NodeName=n2", "State=RESUME")
    assert "submitted 1 run as job" in bench(*submit)
    until(lambda: not release(slurm), 120)
    assert "4 runs: 4 done" in bench(*submit)

    # As if they had been trained here, and each of them once.
    here = [*WORDS, f"runs_dir={tmp_path}/here"]
    bench("sweep", *here, "--seeds", "2")
    for run, other in zip(runs, plan(here, 2).runs, strict=True):
        assert_same_run(run.folder, other.folder)
        log = run.folder.log.read_text()
        assert log.count(" data tiny: ") - log.count("going on after epoch") == 1
        assert log.count(" done\n") == 1
    shown = ["tables", *WORDS, "--format", "csv"]
    local = bench(*shown, "--runs-dir", f"{tmp_path}/here")
    assert bench(*shown) == local.replace(f"{tmp_path}/here", f"{odd}/runs")


def test_limits_of_a_cluster_are_told(slurm, monkeypatch, capsys):
    """The limit itself stops a run in good time; memory does not; a sweep can be cancelled."""
    endless = [*asked("trainer.epochs=1000000", "seed=8"), "executor.time='00:01:00'"]
    short = [*asked("trainer.epochs=2", "seed=9"), "executor.memory=20M"]
    (limited,) = plan(endless[:-1]).runs
    for words in (endless, short):
        extra = [word for word in ON if word not in ON[1:2] or words is endless]
        assert inside(monkeypatch, capsys, "sweep", *words, *extra, "executor.margin=55")[0] == 0
    until(lambda: len(slurm.run("squeue", "-h").splitlines()) == 1, 60)
    one = states(monkeypatch, capsys, *short[:-1])["baseline/9"]
    assert one["reason"] == "killed for memory; the same bench sweep goes on"
    refused_and_held(monkeypatch, capsys)
    until(lambda: "stopped on request" in _text(limited.folder), 100)
    until(lambda: "PENDING" in slurm.run("squeue", "-h", "-o", "%T"), 30)
    said = states(monkeypatch, capsys, *endless[:-1])["baseline/8"]
    assert said["reason"] == "requeued (BeginTime)"
    status, out, _ = inside(monkeypatch, capsys, "cancel", *endless[:-1])
    assert (status, out.splitlines()[0]) == (0, "cancelled 1 task: 1_0")
    until(lambda: not slurm.run("squeue", "-h"), 30)
    assert inside(monkeypatch, capsys, "cancel")[1] == "nothing of these is in Slurm's queue\n"


def refused_and_held(monkeypatch, capsys):
    """Mistakes are one line; more tasks than an array may have are two jobs, which never begin."""
    submit = ["sweep", *asked(), "--seeds", "5", *ON]
    for word, said in REFUSED.items():
        status, _, err = inside(monkeypatch, capsys, *submit, word)
        assert (status, len(err.splitlines())) == (2, 1)
        assert said in err
    out = inside(monkeypatch, capsys, *submit, "executor.cpus=99")[1]
    assert re.search(r"submitted 5 runs as jobs \d+, \d+: 5 tasks of up to 1", out)
    held = states(monkeypatch, capsys, *asked()).values()
    assert {one["state"] for one in held} == {"queued"}
    assert all("for ever: no node of this partition has so many" in one["reason"] for one in held)
    out = inside(monkeypatch, capsys, "cancel", *asked())[1]
    assert re.match(r"cancelled 5 tasks: \d+_\[0-3\] \d+_0\n", out)
    left = states(monkeypatch, capsys, *asked()).values()
    assert {one["state"] for one in left} == {"interrupted"}
    assert inside(monkeypatch, capsys, "status", *asked(), "--watch")[0] == 0  # and it ends


def _text(folder: RunFolder) -> str:
    return folder.log.read_text() if folder.log.exists() else ""
