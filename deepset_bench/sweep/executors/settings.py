"""What can be asked of Slurm; nothing heavy is imported for it."""

from __future__ import annotations

from dataclasses import dataclass, field

_PER_GPU = 4


@dataclass(frozen=True)
class Settings:
    """The keys of `executor=slurm`; see `conf/executor/slurm.yaml`."""

    account: str | None = None
    partition: str | None = None
    constraint: str | None = None
    time: str | None = None
    cpus: int = 1
    gpus: int = 0
    memory: str | None = None
    runs_per_task: int | None = None
    throttle: int | None = None
    margin: int = 120
    sbatch: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    python: str | None = None

    @property
    def size(self) -> int:
        """Runs in a task."""
        return self.runs_per_task or (_PER_GPU * self.gpus if self.gpus else self.cpus)
