"""How a task ended, by what its log holds, else by what sacct says."""

from __future__ import annotations

import os

import pytest

from deepset_bench.sweep.executors.slurm_states import BEGINS, ended

AGAIN = "; the same bench sweep goes on"
BEFORE = f"{BEGINS}n1\nslurmstepd: error: *** JOB 2 ON n1 CANCELLED AT X DUE TO TIME LIMIT ***\n"


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("error: *** JOB 3 ON n2 CANCELLED AT X DUE TO TIME LIMIT ***", "timed out"),
        ("error: Exceeded job memory limit\nerror: StepId=3.batch exceeded memory limit (9 > 5), "
         "being killed\nerror: *** JOB 3 ON n2 CANCELLED AT X ***", "killed for memory"),
        ("error: Detected 1 oom-kill event(s) in StepId=3.batch.", "killed for memory"),
        ("error: *** JOB 3 ON n2 CANCELLED AT X DUE TO NODE FAILURE ***", "its node failed"),
        ("error: *** JOB 3 ON n2 CANCELLED AT X DUE TO PREEMPTION ***", "preempted"),
        ("error: *** JOB 3 ON n2 CANCELLED AT X ***", "cancelled"),
        ("error: *** JOB 3 ON n2 CANCELLED AT X DUE TO JOB REQUEUE ***", ""),
        ("done        seed=0", ""),
        ("error: unknown data set", "its task ended with unknown data set"),
    ],
)  # fmt: skip
def test_what_slurm_wrote_last_counts(last, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # without sacct
    log = tmp_path / "log"
    log.write_text(f"{BEFORE}{BEGINS}n2\n{last}\n")
    assert ended({"1_0": log}) == ({"1_0": expected + AGAIN} if expected else {})


def test_a_task_that_does_not_begin_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    log = tmp_path / "log"
    log.write_text("slurm_script: line 18: /opt/python: No such file or directory\n")
    assert ended({"1_0": log})["1_0"].startswith("its task ended with slurm_script: line 18: /opt")


def test_without_a_log_sacct_tells(tmp_path, monkeypatch):
    """A stand-in: accounting needs a database."""
    script = tmp_path / "sacct"
    lines = "1_0|CANCELLED by 0\n1_[1-2%5]|OUT_OF_MEMORY\n1_3|COMPLETED\n1|RUNNING"
    script.write_text(f'#!/bin/sh\necho asked >> {tmp_path}/calls\necho "{lines}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = ended({f"1_{number}": tmp_path / "none" for number in range(5)})
    memory = f"killed for memory{AGAIN}"
    assert found == {"1_0": f"cancelled{AGAIN}", "1_1": memory, "1_2": memory}
    assert (tmp_path / "calls").read_text() == "asked\n"
