"""What a cluster allows and refuses, by a stand-in for Slurm's commands."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from deepset_bench.runs import runs_root
from deepset_bench.sweep import estimate
from deepset_bench.sweep.executors import limits, queue, submitted
from deepset_bench.sweep.executors.ranges import members, shortened
from deepset_bench.sweep.executors.slurm import Slurm
from deepset_bench.sweep.plan import plan
from tests.sweep.test_slurm import made
from tests.test_cli import inside
from tests.training.tiny import asked

pytestmark = pytest.mark.usefixtures("tiny")
COMMANDS = {
    "squeue": "cat waiting",
    "sinfo": 'case "$3" in *=*) grep "${3#*=}" partitions;; *) cat partitions;; esac',
    "scontrol": 'echo "MaxArraySize            = 2"',
    "scancel": 'echo "$@" > cancelled',
    "sbatch": """
n=$(ls script-* 2>/dev/null | wc -l)
if [ "$n" -ge "$(cat room)" ]; then cat refusal >&2; exit 1; fi
cat > script-$n
grep -q "array=0-1" script-$n && echo "1$n|0|PENDING||None
1$n|1|PENDING||None" >> waiting || echo "1$n|0|PENDING||None" >> waiting
echo 1$n
""",
}
FILES = {"waiting": "", "partitions": "long|2-00:00:00\nshort*|1:00:00\n", "room": "9"}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with Slurm's commands, which keep there what they are asked and what they say."""
    place = tmp_path / "slurm"
    place.mkdir()
    for name, text in COMMANDS.items():
        path = place / name
        path.write_text(f'#!/bin/sh\ncd "{place}" || exit 1\n{text}\n')
        path.chmod(0o755)
    for name, text in FILES.items():
        (place / name).write_text(text)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SBATCH_PARTITION", raising=False)
    return place


SWEEP = ("sweep", *asked(), "--seeds", "5", "executor=slurm")


def test_more_tasks_than_an_array_may_have_are_several_jobs(here, monkeypatch, capsys):
    """Each run is in one of them; the same command submits none of them again; all end at once."""
    status, out, err = inside(monkeypatch, capsys, *SWEEP, "executor.throttle=7")
    assert (status, err) == (0, "")
    assert "submitted 5 runs as jobs 10, 11, 12: 5 tasks of up to 1, 7 at once in each job" in out
    scripts = [path.read_text() for path in sorted(here.glob("script-*"))]
    arrays = [line for text in scripts for line in text.splitlines() if "--array" in line]
    assert arrays == ["#SBATCH --array=0-1%7", "#SBATCH --array=0-1%7", "#SBATCH --array=0-0%7"]
    every = submitted.every(runs_root(None))
    folders = [run.folder for one in every for task in one.tasks for run in task]
    assert len(folders) == len(set(folders)) == 5
    assert "5 runs: 5 queued or running in Slurm" in inside(monkeypatch, capsys, *SWEEP)[1]
    status, out, _ = inside(monkeypatch, capsys, "cancel", *asked())
    assert (status, out.splitlines()[0]) == (0, "cancelled 5 tasks: 10_[0-1] 11_[0-1] 12_0")
    assert (here / "cancelled").read_text() == "10_[0-1] 11_[0-1] 12_0\n"


def test_what_a_user_may_not_submit_is_said_and_submitted_later(here, monkeypatch, capsys):
    (here / "room").write_text("1")
    (here / "refusal").write_text(
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: "
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n"
    )
    status, _, err = inside(monkeypatch, capsys, *SWEEP)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert "sbatch refuses: QOSMaxSubmitJobPerUserLimit; Job violates accounting/QOS policy" in err
    assert "executor.runs_per_task=N" in err
    assert "(submitted before that: job 10, 2 tasks)" in err
    (here / "room").write_text("9")
    out = inside(monkeypatch, capsys, *SWEEP)[1]
    assert "5 runs: 2 queued or running in Slurm, 3 to submit" in out
    assert "submitted 3 runs as jobs 11, 12" in out


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission "
         "failed: Invalid partition name specified\n",
         "sbatch refuses: invalid partition specified: nope; Invalid partition name specified; "
         "sinfo lists the partitions; give executor.partition=NAME"),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition "
         "combination specified\n", "give executor.account=NAME"),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not "
         "available\n", "give less of executor.cpus="),
        ("", "sbatch refuses: exit status 1"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_with_what_to_change(said, expected, here, monkeypatch, capsys):
    """And nothing is noted as submitted."""
    (here / "room").write_text("0")
    (here / "refusal").write_text(said)
    status, _, err = inside(monkeypatch, capsys, *SWEEP)
    assert (status, len(err.splitlines())) == (2, 1)
    assert expected in err
    assert list((runs_root(None) / submitted.FOLDER).glob("*")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["executor.time='02:00:00'"], "executor.time=02:00:00: this partition ends tasks after "
         "01:00:00"),
        (["executor.time='00:02:00'"], "executor.margin=120: runs stop so many seconds before"),
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_is_refused(words, said, here, monkeypatch, capsys):
    """Slurm would let it wait for ever, or stop each run as soon as it starts."""
    status, _, err = inside(monkeypatch, capsys, *SWEEP, *words)
    assert (status, len(err.splitlines())) == (2, 1)
    assert said in err
    assert not list(here.glob("script-*"))


def test_no_more_time_is_asked_for_than_there_is(here, monkeypatch):
    """What a run does not end in, it goes on after."""
    monkeypatch.setattr(estimate, "seconds", lambda *_: 3600.0)
    runs = plan(asked()).runs

    def asks(*words: str) -> str:
        slurm = made("executor=slurm", *words)
        assert isinstance(slurm, Slurm)
        slurm.submit(runs, runs_root(None), "some")
        text = max(here.glob("script-*")).read_text()
        return next((line for line in text.splitlines() if "--time" in line), "")

    assert asks() == "#SBATCH --time=01:00:00"
    assert asks("executor.partition=long") == "#SBATCH --time=01:40:00"


def test_a_queue_without_tasks_of_arrays_and_limits_that_nobody_tells(here):
    (here / "waiting").write_text("7|N/A|RUNNING|n1|None\n")
    (here / "partitions").write_text("all*|infinite\n")
    assert queue.queued() == {}
    assert limits.asked(None) == limits.Limits(None, 2)
    (here / "scontrol").write_text("#!/bin/sh\nexit 1\n")
    assert limits.asked("none") == limits.Limits()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("30", 1800), ("5:00", 300), ("02:30:10", 9010), ("1-12", 129_600)],
        *[("2-00:00:00", 172_800), ("1-02:30", 95_400), ("infinite", None), ("a:b", None)],
        *[("", None), ("1-", None), ("1:2:3:4", None)],
    ],
)
def test_times_as_slurm_has_them(text, expected):
    assert limits.seconds(text) == expected
    if expected is not None:
        assert limits.seconds(limits.written(expected)) == expected


@pytest.mark.parametrize("numbers", [[3], [0, 1, 2], [0, 2, 3, 9], []])
def test_tasks_in_short(numbers):
    assert members(f"[{shortened(reversed(numbers))}%4]") == numbers
    assert members("7") == [7]
    assert members("batch") == []


def test_watching_ends_as_people_end_it_and_tells_what_never_begins(here, monkeypatch, capsys):
    assert inside(monkeypatch, capsys, *SWEEP)[0] == 0
    lines = (here / "waiting").read_text().replace("None", "PartitionTimeLimit", 1)
    (here / "waiting").write_text(lines)
    looked: list[float] = []

    def pressed(seconds: float) -> None:
        looked.append(seconds)
        raise KeyboardInterrupt

    # There alone: waiting for a process sleeps, too.
    clock = SimpleNamespace(sleep=pressed)
    monkeypatch.setattr("deepset_bench.sweep.sweep_command.time", clock)
    status, out, err = inside(monkeypatch, capsys, "status", *asked(), "--watch")
    assert (status, err, len(looked)) == (0, "", 1)
    assert out.count("in Slurm's queue") == 5
    assert out.count("for ever: no task of this partition may take so long; bench cancel it") == 1
