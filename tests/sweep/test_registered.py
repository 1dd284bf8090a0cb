"""A study is registered, and its runs say so, from the command line with real runs."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from deepset_bench import stamps
from deepset_bench.errors import UserError
from deepset_bench.record import wrong_result
from deepset_bench.runs import RunFolder, RunsFolder
from deepset_bench.sweep import registered, studies
from deepset_bench.sweep.executors import child
from deepset_bench.sweep.executors.executor import End
from deepset_bench.sweep.executors.local import Local
from deepset_bench.sweep.plan import Run, plan
from deepset_bench.training.train import train
from tests.study.folders import write
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES

SHEET = """
title: Widths
baseline: narrow
runs:
  - {label: narrow, overrides: []}
  - {label: wide, overrides: [width=16]}
"""
CLAIM = "- {claim: Wide is better, compare: {wide: narrow}, metric: energy_mae, change: less}\n"
HIGH = "- {claim: Errors are high, metric: energy_mae, of_trivial: more than 50 %}\n"


@pytest.fixture
def bench(monkeypatch, capsys):
    """Runs a command line in this process: its output; it has to end as it is said to."""

    def run(*words: str, status: int = 0) -> str:
        monkeypatch.setenv("BENCH_STUDY", "")
        found, out, err = inside(monkeypatch, capsys, *words)
        assert found == status, (out, err)
        return out + err

    return run


@dataclass
class Ended:
    """A job that has ended."""

    runs: Sequence[Run]

    def end(self) -> End:
        return End()


@pytest.fixture(autouse=True)
def no_processes(monkeypatch):
    """What a process of a sweep does is done here, at once: seconds less a run."""

    def start(_: Local, runs: Sequence[Run], slot: int, group: str) -> Ended:
        assert child._train([run.overrides for run in runs]) == 0
        return Ended(runs)

    monkeypatch.setattr(Local, "start", start)
    monkeypatch.setattr(Local, "stop", lambda *_: None)


@pytest.fixture
def study(tmp_path: Path, tiny: object) -> Path:
    """Two rows of a second each."""
    folder = tmp_path / "mine"
    folder.mkdir()
    common = "\n".join(f"  - {line}" for line in (*OVERRIDES[:7], "trainer.epochs=1"))
    common += "".join(f"\n  - {line}" for line in OVERRIDES[8:])
    (folder / "study.yaml").write_text(f"title: Is wide better?\nmargin: 5 %\ncommon:\n{common}\n")
    (folder / "widths.yaml").write_text(SHEET)
    (folder / "claims.yaml").write_text(CLAIM)
    return folder


def results(root: Path) -> dict[str, dict]:
    """The result of each run by the end of its path."""
    runs = RunsFolder(root).every()
    return {"/".join(run.path.parts[-2:]): run.result() for run in runs}


def verdicts(bench, study: Path, *words: str) -> list[tuple[str, str]]:
    """What `bench tables claims` says there: verdict, and when its claim was stated."""
    with contextlib.chdir(study):
        said = bench("tables", "claims", "--format", "csv", *words)
    return [(row["verdict"], row["stated"]) for row in csv.DictReader(said.splitlines())]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_runs_that_start_later_carry_the_stamp(bench, study, tmp_path):
    bench("sweep", str(study), "--seeds", "1", "--jobs", "1")
    said = bench("study", "register", str(study), "--looks", "2,4")
    (entry,) = registered.read(study, None)
    assert said == (
        f"mine: registered {entry.time}, hash {entry.hash}; looks at 2 and 4 seeds\n"
        f"{study / 'registered.yaml'}\n"
    )
    assert entry.decides["claims"][0]["claim"] == "Wide is better"
    assert entry.decides["margin"] == 0.05
    assert entry.decides["rows"]["widths"]["baseline"] == "narrow"
    assert entry.decides["rows"]["widths"]["runs"]["wide"][-1] == "width=16"
    bench("sweep", str(study), "--seeds", "2", "--jobs", "1")
    found = results(tmp_path / "runs")
    stamp = {"study": "mine", "hash": entry.hash, "time": entry.time, "rule": {"looks": [2, 4]}}
    assert len(found) == 4
    for name, result in found.items():
        assert result.get("registered") == ([stamp] if name.endswith("seed-1") else None)
        assert result["started"] >= (entry.time if name.endswith("seed-1") else "2")
    assert verdicts(bench, study) == [("undecided", "after")]  # seed 0 was known


def test_a_run_in_the_folder_of_the_study_carries_the_stamp(bench, study, tmp_path, monkeypatch):
    monkeypatch.chdir(study)
    bench("study", "register", "--seeds", "3")
    bench("train", *OVERRIDES)
    (result,) = results(tmp_path / "runs").values()
    assert [one["rule"] for one in result["registered"]] == [{"seeds": 3}]
    monkeypatch.chdir(tmp_path)
    bench("train", *OVERRIDES, "--fresh")
    (again,) = results(tmp_path / "runs").values()
    assert (again["registered"], again["started"]) == (result["registered"], result["started"])


def test_the_program_s_own_study_is_not_registered_by_mistake(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    status, _, said = inside(monkeypatch, capsys, "study", "register", "--seeds", "3")
    assert status == 2
    assert said.startswith("error: here is no study to register (study.yaml)")
    assert said.count("\n") == 1


def test_known_numbers_stay_known_if_the_run_is_trained_anew(bench, study, tmp_path, monkeypatch):
    monkeypatch.chdir(study)
    bench("train", *OVERRIDES)
    bench("study", "register", "--seeds", "3")
    bench("train", *OVERRIDES, "--fresh")
    assert "registered" not in next(iter(results(tmp_path / "runs").values()))


def test_a_run_that_was_begun_before_carries_none(bench, study, tmp_path):
    """It is stopped after its first epoch, and resumed by a sweep after the registration."""
    change(study / "study.yaml", "trainer.epochs=1", "trainer.epochs=3")
    (study / "widths.yaml").write_text("title: One\nruns: [{label: wide, overrides: []}]\n")
    (study / "claims.yaml").write_text(HIGH)
    (run,) = plan([str(study)]).runs

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([run.experiment], on_epoch=stop)
    with pytest.raises(KeyboardInterrupt):  # whose first epoch is in the checkpoint
        train([run.experiment], on_epoch=lambda _, row: row.epoch < 2 or stop())
    assert run.folder.last.exists()
    bench("study", "register", str(study))
    bench("sweep", str(study), "--jobs", "1")
    result = run.folder.result()
    assert "going on after epoch 1" in run.folder.log.read_text()
    assert result["epochs"] == 3
    assert "registered" not in result
    assert result["started"] <= registered.read(study, None)[0].time
    assert verdicts(bench, study)[0][1] == "after"


def test_claims_that_were_registered_are_said_to_be(bench, study, tmp_path, monkeypatch):
    """From the sweep to tables, page and an exported table; and what was changed afterwards."""
    assert verdicts(bench, study) == [("undecided", "")]
    bench("study", "register", str(study), "--seeds", "2")
    (entry,) = registered.read(study, None)
    said = bench("sweep", str(study), "--seeds", "2", "--jobs", "1")
    assert "stated" in said
    assert "Stated before: the study was registered" in " ".join(said.split())
    ((_, stated),) = verdicts(bench, study)
    assert stated == "before"
    assert verdicts(bench, study, "threads=1")[0][1] == "before"
    bench("report", str(study), "--out", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert "<td>before</td>" in page
    time = entry.time[:16].replace("T", " ")
    line = f"4 of 4 runs started after mine was registered on {time} UTC (2 seeds; hash "
    assert f"{line}{entry.hash})." in page
    bench("results", "export", str(study), str(tmp_path / "r.csv"))
    bench("results", "import", str(tmp_path / "r.csv"), "--runs-dir", str(tmp_path / "copy"))
    assert results(tmp_path / "copy") == results(tmp_path / "runs")
    for place in ("r.csv", "copy"):
        assert verdicts(bench, study, "--runs-dir", str(tmp_path / place))[0][1] == "before"
    change(study / "study.yaml", "5 %", "6 %")
    assert verdicts(bench, study)[0][1] == "after"
    change(study / "study.yaml", "6 %", "5 %")
    change(study / "claims.yaml", "less", "more")
    assert verdicts(bench, study)[0][1] == "after"
    bench("study", "register", str(study), "--seeds", "2")  # which changes no run's stamp
    assert verdicts(bench, study)[0][1] == "after"


def test_the_stamp_changes_no_identity(bench, study):
    before = [run.identity for run in plan([str(study)]).runs]
    bench("study", "register", str(study))
    runs = plan([str(study)]).runs
    assert [run.identity for run in runs] == before
    assert all(run.registered for run in runs)


def test_registered_twice(bench, study):
    """The file only grows; runs that start then carry the last entry; nothing new adds none."""
    bench("study", "register", str(study), "--seeds", "5")
    first = (study / "registered.yaml").read_text()
    assert "registered already, and nothing changed since" in bench(
        "study", "register", str(study), "--seeds", "5"
    )
    change(study / "claims.yaml", "less", "more")
    bench("study", "register", str(study), "--seeds", "5")
    bench("study", "register", str(study), "--seeds", "6")
    text = (study / "registered.yaml").read_text()
    assert text.startswith(first)
    one, two, three = registered.read(study, None)
    assert len({one.hash, two.hash, three.hash}) == 3
    assert two.decides == three.decides != one.decides
    (stamp,) = registered.carried_by(study, None)
    assert (stamp["hash"], stamp["rule"]) == (three.hash, {"seeds": 6})


def test_check_says_what_changed_since(bench, study):
    assert "mine: not registered" in bench("study", "check", str(study))
    bench("study", "register", str(study), "--seeds", "5")
    said = bench("study", "check", str(study))
    assert "5 seeds; its files still say the same" in said
    change(study / "claims.yaml", "claim: Wide", "source: a thesis, claim: Wide")
    change(study / "study.yaml", "Is wide better?", "Or narrow?")
    assert "its files still say the same" in bench("study", "check", str(study))
    change(study / "claims.yaml", "less", "-10 %")
    change(study / "widths.yaml", "width=16", "width=32")
    assert "changed since: claims, rows. Verdicts" in bench("study", "check", str(study))
    change(study / "study.yaml", "5 %", "10 %")
    assert "changed since: claims, margin, rows. Verdicts" in bench("study", "check", str(study))


def test_overrides_that_only_say_where_decide_nothing(study):
    one = studies.read(study)
    as_it_is = registered.what_decides(one)
    assert registered.what_decides(one, ["device=cpu", "threads=1", "runs_dir=x"]) == as_it_is
    assert registered.what_decides(one, ["trainer.epochs=9"]) != as_it_is


def test_a_folder_that_is_not_to_be_changed(bench, study, tmp_path, monkeypatch):
    """As the studies inside an installed program; what is registered lies below the runs."""
    monkeypatch.setattr(registered, "PACKAGE", tmp_path)
    said = bench("study", "register", str(study), "--seeds", "5")
    below = tmp_path / "runs" / "registered" / "mine.yaml"
    assert said.endswith(f"\n{below}\n")
    assert not (study / "registered.yaml").exists()
    assert "5 seeds; its files still say the same" in bench("study", "check", str(study))
    assert [one.rule for one in registered.read(study, None)] == [{"seeds": 5}]
    assert registered.read(study, tmp_path / "elsewhere") == []
    bench("sweep", str(study), "--jobs", "1")
    found = results(tmp_path / "runs").values()
    assert [one["registered"][0]["rule"] for one in found] == [{"seeds": 5}] * 2


def test_a_shipped_study_is_registered_by_its_name(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(registered, "PACKAGE", registered.Path("/"))
    bench("study", "register", "generalisation", "--runs-dir", str(tmp_path / "r"))
    (path,) = (tmp_path / "r" / "registered").iterdir()
    assert path.name == "generalisation.yaml"
    said = bench("study", "check", "generalisation", "--runs-dir", str(tmp_path / "r"))
    assert "looks at 3, 5, 8, 12 and 20 seeds; its files still say the same" in said


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("- time:", "- zeit:", "entry 1: time is missing"),
        ("- time: '2", "- time: 'yes 2", "is not a time with its zone"),
        ("change: less", "change: more", "entry 1: what it lists was changed since"),
        ("seeds: 5", "seeds: 6", "entry 1: what it lists was changed since"),
        ("seeds: 5", "seeds: 1", "is not a stopping rule: seeds are counted from 2 on"),
        ("- time:", "- [\n- time:", "registered.yaml: cannot be read"),
        ("- time", "a: b\n#", "registered.yaml"),
        ("hash: ", "hash: [1]\n  hush: ", "entry 1: hash is [1]"),
    ],
)
def test_a_damaged_file_is_one_line(bench, study, old, new, message):
    bench("study", "register", str(study), "--seeds", "5")
    change(study / "registered.yaml", old, new)
    for words in (("study", "check"), ("study", "register"), ("sweep",)):
        said = bench(*words, str(study), status=2)
        (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
        assert message in line
        assert str(study) in line


def test_mistakes_are_one_line(bench, study, tmp_path):
    for looks in ("3", "5,3", "3,x", "1,2", ""):
        status = 0 if looks == "3" else 2
        said = bench("study", "register", str(study), f"--looks={looks}", status=status)
        assert status == 0 or "give ascending numbers of seeds from 2 on" in said
    said = bench("study", "register", str(study), "--looks=3", "--seeds=3", status=2)
    assert "give one of them" in said
    (tmp_path / "alone.yaml").write_text(SHEET)
    said = bench("study", "register", str(tmp_path / "alone.yaml"), status=2)
    assert "is no study but a comparison by itself" in said
    change(study / "claims.yaml", "wide: narrow", "broad: narrow")
    said = bench("study", "register", str(study), "--seeds=9", status=2)
    assert "does not hold together, so nothing is registered: " in said
    assert len(registered.read(study, None)) == 1


STAMP = {"study": "s", "hash": "ab", "time": "2026-01-01T00:00:00+00:00", "rule": {"seeds": 3}}


def stamped(root: Path, **others: object) -> RunFolder:
    return write(root, [], 0, 0.02, **others)


@pytest.mark.parametrize(
    ("registered", "message"),
    [
        ({}, "registered is {}"),
        ([1], "registered: is no mapping"),
        ([STAMP | {"time": "today"}], "is not a time with its zone"),
        ([STAMP | {"rule": {"looks": [3, 2]}}], "more seeds than the one before"),
        ([STAMP | {"hash": 1}], "registered: hash is 1"),
    ],
)
def test_a_damaged_stamp_is_a_damaged_result(tmp_path, registered, message):
    folder = stamped(tmp_path, registered=registered)
    assert message in folder.result()["reason"]
    assert message in wrong_result(json.loads((folder.path / "result.json").read_text()))


def test_only_stamps_older_than_the_start_count():
    early, late = "2025-12-31T23:59:59+00:00", "2026-01-01T01:00:00+01:00"
    assert stamps.before_its_start({"registered": [STAMP], "started": late}) == [STAMP]
    assert stamps.before_its_start({"registered": [STAMP], "started": early}) == []
    assert stamps.before_its_start({"registered": [STAMP]}) == []
    assert stamps.rule_text({"looks": [3]}) == "looks at 3 seeds"


def test_a_study_needs_no_claims(tmp_path):
    (tmp_path / "study.yaml").write_text("title: t\n")
    (tmp_path / "widths.yaml").write_text(SHEET)
    one = studies.read(tmp_path)
    entry, path = registered.register(one, {"seeds": 3}, None)
    assert path == tmp_path / "registered.yaml"
    assert entry.decides["claims"] == []
    assert list(one.comparisons) == list(studies.read(tmp_path).comparisons) == ["widths"]
    (tmp_path / "claims.yaml").write_bytes(b"\xff")
    with pytest.raises(UserError, match="cannot be read"):
        registered.what_decides(one)
