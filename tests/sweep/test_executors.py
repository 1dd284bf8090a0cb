"""What a sweep asks of an executor, with one that is no process: it writes results itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from deepset_bench.sweep.execute import Sweep
from deepset_bench.sweep.executors.executor import End
from deepset_bench.sweep.plan import Run, plan
from tests.sweep.test_execute import RESULT
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES

pytestmark = pytest.mark.usefixtures("tiny")


@dataclass
class Here:
    """A job that is trained when it is looked at for the second time."""

    runs: Sequence[Run]
    dies: bool = False
    looks: int = 0

    def end(self) -> End | None:
        self.looks += 1
        if self.looks == 1:
            return None
        if self.dies:
            return End("the queue lost it")
        for run in self.runs:
            run.folder.write_result(RESULT)
            run.folder.write_status("done", run.identity)
        return End()


@dataclass
class InThisProcess:
    """An executor of these; the job of a seed in `dying` dies."""

    jobs: int = 2
    stack: int = 1
    dying: tuple[int, ...] = ()
    started: list[tuple[list[int], int, str]] = field(default_factory=list)
    stopped: list[Here] = field(default_factory=list)

    def start(self, runs: Sequence[Run], slot: int, group: str) -> Here:
        seeds = [run.experiment.config.seed for run in runs]
        self.started.append((seeds, slot, group))
        return Here(runs, any(seed in self.dying for seed in seeds))

    def ask_to_stop(self, jobs: Sequence[Here]) -> None:
        raise AssertionError("nobody asked")

    def stop(self, jobs: Sequence[Here]) -> None:
        self.stopped += jobs


@pytest.fixture
def here(monkeypatch) -> InThisProcess:
    """`executor=here`."""
    executor = InThisProcess()

    def make(
        runs: Sequence[Run], jobs: int | None, stack: int | None, settings: dict
    ) -> InThisProcess:
        executor.jobs, executor.stack = jobs or executor.jobs, stack or executor.stack
        return executor

    monkeypatch.setattr("deepset_bench.sweep.executors.chosen.chosen", lambda words: (make, {}))
    monkeypatch.setattr("deepset_bench.sweep.execute._PAUSE", 0.0)
    return executor


def test_an_executor_takes_a_sweep_through(here, monkeypatch, capsys):
    arguments = [*OVERRIDES, "--seeds", "4", "executor=here", "--jobs", "3"]
    status, out, err = inside(monkeypatch, capsys, "sweep", *arguments)
    assert (status, err) == (0, "")
    runs = plan(OVERRIDES, 4).runs
    assert [run.folder.status()["state"] for run in runs] == ["done"] * 4
    assert sum(line.startswith("done ") for line in out.splitlines()) == 4
    assert [seeds for seeds, _, _ in here.started] == [[0], [1], [2], [3]]
    assert [slot for _, slot, _ in here.started] == [0, 1, 2, 0]
    assert {group for _, _, group in here.started} == {" ".join(OVERRIDES)}
    assert here.stopped == []
    assert inside(monkeypatch, capsys, "sweep", *arguments)[0] == 0
    assert len(here.started) == 4  # nothing again


def test_a_job_that_died_is_reported_as_the_local_one_is(here, monkeypatch, capsys):
    here.dying = (1,)
    arguments = [*OVERRIDES, "--seeds", "3", "executor=here"]
    status, out, err = inside(monkeypatch, capsys, "sweep", *arguments)
    assert (status, err) == (1, "")
    runs = plan(OVERRIDES, 3).runs
    assert [run.folder.status()["state"] for run in runs] == ["done", "failed", "done"]
    assert runs[1].folder.status()["reason"] == "the queue lost it"
    assert "failed: the queue lost it" in runs[1].folder.log.read_text()
    assert f"failed seed=1: the queue lost it; see {runs[1].folder.log}" in out
    here.dying = ()
    assert inside(monkeypatch, capsys, "sweep", *arguments)[0] == 0  # failures are tried again


def test_seeds_are_stacked_and_tried_alone_where_their_job_dies(here):
    here.jobs, here.stack, here.dying = 1, 3, (2,)
    runs = plan(OVERRIDES, 3).runs
    sweep = Sweep(runs, here)
    sweep.execute(lambda: None)
    assert [seeds for seeds, _, _ in here.started] == [[0, 1, 2], [0], [1], [2]]
    assert [sweep.standing(run).state for run in runs] == ["done", "done", "failed"]


def test_what_goes_on_is_stopped_with_the_sweep(here):
    def watch() -> None:
        raise KeyboardInterrupt

    runs = plan(OVERRIDES, 3).runs
    with pytest.raises(KeyboardInterrupt):
        Sweep(runs, here).execute(watch)
    assert [job.runs for job in here.stopped] == [runs[:1], runs[1:2]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("locl", "did you mean local?"), ("slrum", "did you mean slurm")],
)
def test_an_unknown_executor_is_one_line(name, expected, monkeypatch, capsys):
    status, out, err = inside(monkeypatch, capsys, "sweep", *OVERRIDES, f"executor={name}")
    assert (status, out) == (2, "")
    assert f"error: no executor is called {name}; {expected}" in err
