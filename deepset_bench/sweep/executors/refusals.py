"""What a person can change where Slurm refuses a job."""

from __future__ import annotations

import re

_BEFORE = re.compile(r"^\w+: (?:error: )?|^Batch job submission failed: ")
_REMEDIES = {  # the first whose sign is in what Slurm says
    "nvalid partition": "sinfo lists the partitions; give executor.partition=NAME",
    "ubmitJob": "a user may have so many tasks and no more: put more runs into each with "
    "executor.runs_per_task=N, or give the same command again when some have ended",
    "job array": "put more runs into a task with executor.runs_per_task=N",
    "Invalid account": "give executor.account=NAME; sacctmgr show user $USER withassoc lists yours",
    "qos spec": "give one of yours, as in executor.sbatch=[--qos=NAME]",
    "time limit is invalid": "give a shorter executor.time=",
    "--time": "give executor.time=\"'02:30:00'\"",
    "feature": "sinfo -o %f lists what nodes have; give executor.constraint=NAME",
    "generic resource": "this partition has no such GPUs; give another executor.partition= or "
    "executor.gpus=",
    "emory spec": "no node has so much; give less executor.memory=",
    "node configuration": "no node has so much; give less of executor.cpus=, executor.memory= and "
    "executor.gpus=, or another executor.partition=",
}


def explained(said: str) -> str:
    """What a command of Slurm's said, in one line, and what to change where that is known."""
    lines = [line.strip() for line in said.splitlines()]
    for _ in range(2):  # who speaks, and that it failed
        lines = [_BEFORE.sub("", line) for line in lines]
    text = "; ".join(dict.fromkeys(filter(None, lines)))
    remedy = next((words for sign, words in _REMEDIES.items() if sign in text), "")
    return f"{text}; {remedy}" if remedy else text
