"""`bench sweep --until decided` from the command line, with an executor that invents the errors."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from deepset_bench import stamps
from deepset_bench.processor import model_name
from deepset_bench.stamps import REGISTERED, STARTED
from deepset_bench.study.answer import answers
from deepset_bench.study.collect import Where
from deepset_bench.study.open_questions import Question, left_open
from deepset_bench.study.tables_command import chosen
from deepset_bench.study.verdict import LESS, UNDECIDED
from deepset_bench.sweep import studies
from deepset_bench.sweep.executors.executor import End
from deepset_bench.sweep.plan import Run, plan
from tests.study.folders import fill, write_times
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES

pytestmark = pytest.mark.usefixtures("tiny")

STUDY = f"""
title: Widths
looks: [3, 5, 8]
common: [{", ".join(OVERRIDES)}]
"""
WIDTHS = """
title: Widths
baseline: narrow
runs:
  - {label: narrow, overrides: []}
  - {label: worse, overrides: [width=16]}
  - {label: same, overrides: [width=24]}
  - {label: restless, overrides: [width=32]}
"""
CLAIMS = "- {claim: Worse is worse, compare: {worse: narrow}, metric: energy_mae, change: more}\n"
EFFECT = {8: 0.0, 16: 0.4, 24: 0.0, 32: 0.0}
"""Width -> log of the error over that of the baseline."""
SCATTER = {8: 0.0, 16: 0.01, 24: 0.001, 32: 0.3}


def error(width: int, seed: int, which: int) -> float:
    """Of a run, over that of the baseline of seed 0."""
    noise = np.random.default_rng([width, seed, which]).standard_normal()
    return math.exp(0.1 * math.sin(seed) + EFFECT[width] + SCATTER[width] * noise)


@dataclass
class Invented:
    """A job whose runs have ended."""

    runs: Sequence[Run]

    def end(self) -> End:
        return End()


@dataclass
class Executor:
    """Writes results; `failing` says of a run that it diverges, `begun` lists (width, seed)."""

    failing: Callable[[int, int], bool] = lambda width, seed: False
    begun: list[tuple[int, int]] = field(default_factory=list)
    jobs: int = 2
    stack: int = 4

    def start(self, runs: Sequence[Run], slot: int, group: str) -> Invented:
        for run in runs:
            config = run.experiment.config
            self.begun.append((config.width, config.seed))
            found = {REGISTERED: run.folder.status().get(REGISTERED, []), STARTED: stamps.now()}
            if self.failing(config.width, config.seed):
                run.folder.write_result({"status": "diverged", "reason": "nan"} | found)
                run.folder.write_status("diverged", run.identity, "nan")
                continue
            errors = [0.02 * error(config.width, config.seed, which) for which in (0, 1)]
            fill(run.experiment, *errors, **found)
            run.folder.write_status("done", run.identity)
        return Invented(runs)

    def stop(self, jobs: Sequence[Invented]) -> None:
        pass


@pytest.fixture
def executor(monkeypatch) -> Executor:
    found = Executor()
    chosen = (lambda *_: found), {}
    monkeypatch.setattr("deepset_bench.sweep.executors.chosen.chosen", lambda words: chosen)
    monkeypatch.setattr("deepset_bench.sweep.execute._PAUSE", 0.0)
    return found


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "widths"
    folder.mkdir()
    (folder / "study.yaml").write_text(STUDY)
    (folder / "widths.yaml").write_text(WIDTHS)
    (folder / "claims.yaml").write_text(CLAIMS)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def bench(monkeypatch, capsys):
    def run(*words: str, status: int = 0) -> str:
        monkeypatch.setenv("BENCH_STUDY", "")
        found, out, err = inside(monkeypatch, capsys, *words)
        assert found == status, (out, err)
        return out + err if "--format" in words or status else " ".join(out.split())

    return run


def test_seeds_go_to_what_is_open(bench, study, executor):
    out = bench("sweep", "--until", "decided")
    every = {width: sorted(s for w, s in executor.begun if w == width) for width in EFFECT}
    assert every[16] == every[24] == [0, 1, 2]  # decided at the first look
    assert every[8] == every[32] == list(range(8))  # and the baseline of what is not
    assert len(executor.begun) == len(set(executor.begun))
    assert "next: look at 3 seeds, 12 runs, 2 at once; time: unknown" in out
    assert "next: look at 5 seeds, 4 runs" in out
    assert "next: look at 8 seeds, 6 runs" in out
    assert "4 of 6" in out
    assert "1 of 1" in out  # the claim
    assert "the look at 8 seeds was the last; what is open stays so" in out
    assert (study / "registered.yaml").is_file()

    # The table says at which look, and its claims, too.
    shown = bench("tables", "--format", "markdown")
    worse, same, restless = (
        next(line for line in shown.splitlines() if line.startswith(f"| {row} |"))
        for row in ("worse", "same", "restless")
    )
    assert "** |" in worse
    assert "(3)" in worse
    assert "= " in same
    assert "(3)" in same
    assert "(" not in restless
    assert "Seeds were added until looks had decided" in shown
    assert "more: yes" in shown
    assert "holds (3)" in shown
    assert "Claim 1: seeds were added until looks, at 3, 5, 8 seeds, had decided." in shown
    page = studies.read(study)
    (said,) = answers(page, chosen(page, [""], Where()))
    assert (
        "no change is shown to lower the energy error; 1 of 3 changes raises it, worse" in said.text
    )


def test_it_goes_on_where_it_stopped(bench, study, executor):
    out = bench("sweep", "--until", "decided", "--seeds", "4")
    assert len(executor.begun) == 12
    assert "the next look is at 5 seeds, which --seeds 4 leaves out" in out
    registered = (study / "registered.yaml").read_text()
    bench("sweep", "--until", "decided")
    assert sorted(seed for width, seed in executor.begun if width == 32) == list(range(8))
    assert len(executor.begun) == len(set(executor.begun)) == 12 + 2 * 5
    again = bench("sweep", "--until", "decided")
    assert len(executor.begun) == 22
    assert "next" not in again
    assert (study / "registered.yaml").read_text() == registered


def test_what_is_there_already_counts(bench, study, executor):
    """Seeds that were run before are looked at as if the sweep had run them."""
    bench("sweep", "--seeds", "5")
    begun = len(executor.begun)
    assert begun == 20
    bench("sweep", "--until", "decided")
    assert {width for width, _ in executor.begun[begun:]} == {8, 32}
    assert {seed for _, seed in executor.begun[begun:]} == {5, 6, 7}


def test_runs_that_were_registered_with_looks_are_judged_so(bench, study, executor):
    bench("study", "register")
    bench("sweep", "--seeds", "5")
    shown = bench("tables", "claims", "--format", "markdown")
    assert "more: yes (at 3 seeds)" in shown
    assert "(n=5)" in shown


def test_a_dry_run_says_what_is_next_and_writes_nothing(bench, study, executor):
    out = bench("sweep", "--until", "decided", "--dry-run")
    assert "next: look at 3 seeds, 12 runs" in out
    assert "0 of 6" in out
    assert not executor.begun
    assert not (study / "registered.yaml").exists()
    assert not Path(os.environ["BENCH_RUNS"]).exists()


def test_a_look_that_does_not_fit_the_budget_does_not_begin(bench, study, executor, monkeypatch):
    """A run is said to take an hour."""
    hours = "deepset_bench.study.until.estimate.seconds"
    monkeypatch.setattr(hours, lambda runs, *_: 3600.0 * len(runs))
    out = bench("sweep", "--until", "decided", "--budget", "11h")
    assert not executor.begun
    assert "12 runs, 2 at once; time: about 12.0 h" in out
    assert "stopped: 11.0 h of the budget of 11h are left; the same command goes on" in out
    bench("sweep", "--until", "decided", "--budget", "12.5 h", "--seeds", "3")
    assert len(executor.begun) == 12
    bench("sweep", "--until", "decided", "--budget", "5 h")  # four runs, then six
    assert len(executor.begun) == 16


def test_steps_that_were_timed_say_whether_a_look_fits(bench, study, executor):
    """Twelve runs of 3,000 steps of 2 ms, each row's in a stack, two at once; none is done."""
    ms = {label: [2.0] * 8 for label in ("narrow", "worse", "same", "restless")}
    _, widths = studies.find("widths")
    write_times(Path(os.environ["BENCH_RUNS"]), widths, "", ms, processor=model_name())
    out = bench("sweep", "--until", "decided", "--budget", "11s")
    assert "12 runs, 2 at once; time: about 12 s" in out
    assert "stopped: " in out
    assert not executor.begun


def test_a_dry_run_gives_one_time(bench, study, executor):
    """Of steps that were timed, no run being done."""
    ms = {label: [2.0] * 8 for label in ("narrow", "worse", "same", "restless")}
    _, widths = studies.find("widths")
    write_times(Path(os.environ["BENCH_RUNS"]), widths, "", ms, processor=model_name())
    out = bench("sweep", "--until", "decided", "--dry-run")
    assert out.count("2 at once; time: about 12 s") == 2


def test_without_waiting_the_next_look_waits_for_this_one(bench, study, executor):
    """Another process trains a run of it: what is open may be decided once that has ended."""
    held = plan(["widths"], 3).runs[2]
    with held.folder.lock():
        out = bench("sweep", "--until", "decided", "--no-wait")
    assert len(executor.begun) == 11
    assert "stopped: others train runs of this look; later the same command goes on" in out
    bench("sweep", "--until", "decided")
    every = {width: sorted(s for w, s in executor.begun if w == width) for width in EFFECT}
    assert every[16] == every[24] == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--until", "decided", "--budget", "soon"], "--budget soon: must be a time, as in 6h"),
        (["--until", "decided", "--seeds", "2"], "--seeds 2: the first look is at 3 seeds"),
        (["--until", "decided", "seed=0,1"], "seed=0,1: --until decided chooses the seeds"),
        (
            ["--until", "decided", "data.split_seed=0,1"],
            "data.split_seed=0,1: --until decided adds",
        ),
        (["--budget", "6h"], "--budget 6h: is for --until decided"),
        (["--until", "decided", "--print-sbatch"], "--print-sbatch is for executor=slurm"),
    ],
)
def test_a_mistake_is_one_line(bench, study, executor, words, expected):
    out = bench("sweep", *words, status=2)
    assert out.startswith("error: ")
    assert expected in out
    assert out.count("\n") == 1
    assert not executor.begun


def test_a_fixed_number_that_is_registered_stays_so(bench, study, executor):
    bench("study", "register", "--seeds", "10")
    out = bench("sweep", "--until", "decided", status=2)
    assert "is registered with 10 seeds a row" in out
    bench("study", "register", "--looks", "2,4")
    bench("sweep", "--until", "decided")
    assert sorted(seed for width, seed in executor.begun if width == 32) == [0, 1, 2, 3]


def test_looks_in_the_study_are_checked(bench, study):
    (study / "study.yaml").write_text(STUDY.replace("[3, 5, 8]", "[5, 3]"))
    out = bench("sweep", "--until", "decided", status=2)
    assert "looks:" in out
    assert "more seeds than the one before" in out


def test_axes_that_are_typed_carry_their_rule(bench, executor):
    words = [*(line for line in OVERRIDES if not line.startswith("width=")), "width=8,16"]
    out = bench("sweep", *words, "--until", "decided")
    assert sorted(executor.begun) == [(width, seed) for width in (8, 16) for seed in range(3)]
    assert "(3)" in out
    assert "Seeds were added until looks had decided" in out


def test_a_run_that_diverges_is_not_repeated(bench, study, executor):
    executor.failing = lambda width, seed: (width, seed) == (16, 1)
    bench("sweep", "--until", "decided", status=1)
    # Three shared seeds are there with the next look's.
    assert sorted(seed for width, seed in executor.begun if width == 16) == [0, 1, 2, 3, 4]


def test_what_is_open_is_said_in_few_words():
    def asked(row: str, metric: str, word: str) -> Question:
        return Question("t", row, metric, word, frozenset())

    every = [asked("a", "MAE", UNDECIDED), asked("a", "RMSE", UNDECIDED)]
    every += [asked("b", "MAE", LESS), asked("b", "RMSE", UNDECIDED), asked("c", "MAE", LESS)]
    assert left_open(every) == "a; b (RMSE)"
    assert left_open(every[-1:]) == ""
    assert left_open([asked("3", "", UNDECIDED)]) == "3"


def test_nothing_to_compare(bench, study, executor):
    (study / "claims.yaml").unlink()
    (study / "widths.yaml").write_text("title: one\nruns:\n  - {label: a, overrides: []}\n")
    out = bench("sweep", "--until", "decided", status=2)
    assert "compares no rows" in out


def test_seeds_in_the_file_are_not_chosen_look_by_look(bench, study, executor):
    (study / "widths.yaml").write_text(f"common: [seed=0]\n{WIDTHS}")
    out = bench("sweep", "--until", "decided", status=2)
    assert "seed=0: --until decided chooses the seeds; leave this out" in out


def test_a_claim_that_is_open_after_the_last_look_stays_so(bench, study, executor):
    (study / "claims.yaml").write_text(CLAIMS.replace("worse:", "restless:"))
    bench("sweep", "--until", "decided", "--seeds", "3")
    shown = bench("tables", "claims", "--format", "markdown")
    assert "core-hours, but the last look is at 8" in shown
    assert "bench sweep widths.yaml --until decided" in shown
    bench("sweep", "--until", "decided")
    shown = bench("tables", "claims", "--format", "markdown")
    assert "to decide 1: no more; the look at 8 seeds was the last" in shown
    assert "bench sweep" not in shown
