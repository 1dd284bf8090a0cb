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
    ],
)  # fmt: skip
def test_what_slurm_wrote_last_counts(last, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # without sacct
    log = tmp_path / "log"
    log.write_text(f"{BEFORE}{BEGINS}n2\n{last}\n")
    assert ended(log, "1_0") == (expected and expected + AGAIN)


def test_without_a_log_sacct_tells(tmp_path, monkeypatch):
    """A stand-in: accounting needs a database."""
    script = tmp_path / "sacct"
    script.write_text('#!/bin/sh\n[ "$2" = 1_0 ] && echo "CANCELLED by 0" || echo OUT_OF_MEMORY\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert ended(tmp_path / "none", "1_0") == "cancelled" + AGAIN
    assert ended(tmp_path / "none", "1_1") == "killed for memory" + AGAIN
