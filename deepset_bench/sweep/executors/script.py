"""The script of an array job, as `sbatch` reads it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from deepset_bench import bounds
from deepset_bench.registry import ENVIRONMENT
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep.executors.settings import Settings
from deepset_bench.sweep.executors.submitted import Submission

_PASSED_ON = ("BENCH_RUNS", "BENCH_DATA", bounds.VARIABLE, STUDY, ENVIRONMENT, "PYTHONPATH")
"""What of this process's environment the tasks get; many clusters give them nothing of it."""


def sbatch_script(asked: Settings, planned: Submission, limit: str) -> str:
    """What is submitted.

    Args:
        asked: of a task.
        planned: the tasks.
        limit: of a task's time; empty for the partition's.
    """
    last, log = len(planned.tasks) - 1, planned.path.with_suffix("")
    throttle = f"%{asked.throttle}" if asked.throttle else ""
    options = {
        "job-name": planned.path.stem,
        "array": f"0-{last}{throttle}",
        "output": f"{str(log).replace('%', '%%')}-%A_%a.log",
        "open-mode": "append",
        "signal": f"B:USR1@{asked.margin}",
        "account": asked.account,
        "partition": asked.partition,
        "constraint": asked.constraint,
        "time": limit,
        "cpus-per-task": asked.cpus,
        "gres": f"gpu:{asked.gpus}" if asked.gpus else None,
        "mem": asked.memory,
    }
    given = [f"--{key}={_quoted(str(value))}" for key, value in options.items() if value]
    exports = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    python = shlex.quote(asked.python or sys.executable)
    command = f"{python} -m deepset_bench.sweep.executors.task {shlex.quote(str(planned.path))}"
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in [*given, "--requeue", *asked.sbatch]),
            f"cd {shlex.quote(str(Path.cwd()))}",
            *(f"export {name}={shlex.quote(value)}" for name, value in exports.items()),
            *asked.setup,
            f"exec {command}",
            "",
        ]
    )


def _quoted(text: str) -> str:
    """As sbatch reads options in a script: within double quotes a backslash is an escape."""
    if all(character.isalnum() or character in "-_./:%,@+=[]&|" for character in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
