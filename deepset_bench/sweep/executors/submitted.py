"""What was submitted to a batch system: one file a submission, in `submitted` below the runs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from deepset_bench import file_version
from deepset_bench.errors import UserError
from deepset_bench.files import write_text
from deepset_bench.reading import Kinds, lacking, read_json
from deepset_bench.surroundings import say
from deepset_bench.sweep.plan import Run

FOLDER = "submitted"
_KINDS: Kinds = {
    **{"name": str, "job": str, "study": (str, type(None)), "tasks": list},
    **dict.fromkeys(("jobs", "stack"), (int, type(None))),
}
_KEYS = tuple(_KINDS)


@dataclass(frozen=True)
class Requested:
    """A run of a task: its folder below the runs, and the overrides that ask for it."""

    folder: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Submission:
    """An array of tasks.

    Attributes:
        path: of its file, whose name is that of the job, too.
        name: of the sweep.
        job: the batch system's number of it; empty before it has one.
        jobs: runs at once in a task; None where the task is to choose.
        stack: most seeds in one model; None where the task is to choose.
        study: the folder of the study that the runs are for, if there is one.
        tasks: the runs of each.
    """

    path: Path
    name: str
    job: str
    jobs: int | None
    stack: int | None
    study: str | None
    tasks: tuple[tuple[Requested, ...], ...]

    def log(self, task: int) -> Path:
        """What a task said."""
        return self.path.with_name(f"{self.path.stem}-{self.job}_{task}.log")

    def write(self) -> None:
        """Keep it."""
        content = {key: value for key, value in asdict(self).items() if key in _KEYS}
        write_text(self.path, json.dumps(file_version.marked(content), indent=1) + "\n")


def planned(
    root: Path,
    name: str,
    tasks: Sequence[Sequence[Run]],
    jobs: int | None,
    stack: int | None,
) -> Submission:
    """A submission of these runs, with a name that no other has.

    Args:
        root: of the runs.
        name: of the sweep.
        tasks: runs of each task.
        jobs: see `Submission`.
        stack: see `Submission`.
    """
    study = next((str(run.study.absolute()) for task in tasks for run in task if run.study), None)
    asked = tuple(
        tuple(Requested(below(run.folder.path, root), run.overrides) for run in task)
        for task in tasks
    )
    short = re.sub(r"[^\w.-]+", "_", name).strip("_.")[:30] or "sweep"
    path = root / FOLDER / f"{short}-{datetime.now():%Y%m%d-%H%M%S-%f}.json"
    return Submission(path, name, "", jobs, stack, study, asked)


def read(path: Path) -> Submission:
    """The submission that a file holds.

    Raises:
        UserError: it cannot be read.
    """
    content = file_version.known(path, read_json(path, lambda _: "", "job"))
    try:
        if wrong := lacking(content, _KINDS):
            raise TypeError(wrong)
        tasks = tuple(
            tuple(Requested(str(run["folder"]), tuple(run["overrides"])) for run in task)
            for task in content["tasks"]
        )
        return Submission(path, tasks=tasks, **{k: content[k] for k in _KEYS if k != "tasks"})
    except (KeyError, TypeError):
        raise UserError(f"{path}: is damaged; remove it and submit again") from None


def every(root: Path) -> list[Submission]:
    """All that have a job, the oldest first; of one that is damaged it is said that it is."""
    names = {path: path.stem[-22:] for path in (root / FOLDER).glob("*.json")}
    found = []
    for path in sorted(names, key=lambda path: names[path]):
        try:
            found.append(read(path))
        except UserError as error:
            say(f"left out: {' '.join(str(error).splitlines())}", error=True)
    return [one for one in found if one.job]


def places(root: Path) -> dict[str, tuple[Submission, int]]:
    """Folder of a run below the runs -> the last submission that has it, and its task there."""
    return {
        asked.folder: (one, number)
        for one in every(root)
        for number, task in enumerate(one.tasks)
        for asked in task
    }


def below(path: Path, root: Path) -> str:
    """A run's folder as submissions have it."""
    whole, home = path.absolute(), root.absolute()
    return str(whole.relative_to(home) if whole.is_relative_to(home) else whole)
