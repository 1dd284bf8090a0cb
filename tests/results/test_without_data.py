"""A table of results is read where the set that its runs were trained on is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deepset_bench.data import catalogue
from deepset_bench.files import data_home
from tests import toy
from tests.study.folders import write
from tests.test_cli import inside

OVERRIDES = ["data=tiny", "data.train_size=20", "data.val_size=8", "data.test_size=7", "width=8"]
ROW = "  - {label: %s, overrides: [%s]}\n"


@pytest.fixture
def bench(monkeypatch, capsys):
    """Runs a command line in this process: status, and what it says."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setenv("BENCH_STUDY", "")
        status, out, err = inside(monkeypatch, capsys, *map(str, words))
        return status, out + err

    return run


@pytest.fixture
def study(tmp_path: Path, tiny: object) -> Path:
    """Two rows of two seeds on a set that the study has an option for, and their table."""
    folder = tmp_path / "mine"
    (folder / "conf/data").mkdir(parents=True)
    shutil.copy(data_home() / "conf/data/tiny.yaml", folder / "conf/data/tiny.yaml")
    common = "".join(f"\n  - {line}" for line in OVERRIDES)
    (folder / "study.yaml").write_text(f"title: Is deep better?\nmargin: 5 %\ncommon:{common}\n")
    rows = ROW % ("narrow", "") + ROW % ("wide", "width=16")
    (folder / "widths.yaml").write_text(f"title: Widths\nruns:\n{rows}")
    claim = "{claim: Wide is better, compare: {wide: narrow}, metric: energy_mae, change: less}"
    (folder / "claims.yaml").write_text(f"- {claim}\n")
    for seed in range(2):
        write(tmp_path / "runs", OVERRIDES, seed, 0.02 + seed / 1000)
        write(tmp_path / "runs", [*OVERRIDES, "width=16"], seed, 0.01 + seed / 900)
    return folder


def gone() -> None:
    """The set is on another computer."""
    shutil.rmtree(data_home())
    assert "tiny" not in catalogue.names()


@pytest.mark.parametrize("words", [(), ("claims",), ("--format", "csv")])
def test_tables_say_the_same(bench, study, tmp_path, words):
    table = tmp_path / "results.csv"
    assert bench("results", "export", table, "--runs-dir", tmp_path / "runs")[0] == 0
    there = bench("tables", study, *words, "--results", table)
    assert there[0] == 0
    assert "wide" in there[1].lower()
    gone()
    assert bench("tables", study, *words, "--results", table) == there


def test_runs_on_another_version_of_it_are_not_averaged_with_these(bench, study, tmp_path):
    catalogue.register("tiny", toy.frames(3, 61, bias=0.5), {"method": "analytic"}, force=True)
    write(tmp_path / "runs", OVERRIDES, 2, 0.03, started="2026-01-01T00:00:00+00:00")
    gone()
    status, said = bench("tables", study, "--runs-dir", tmp_path / "runs", "--format", "csv")
    assert status == 0
    assert "were replaced" in said


def test_a_set_that_no_run_knows_is_one_line(bench, study, tmp_path):
    shutil.rmtree(tmp_path / "runs")
    gone()
    status, said = bench("tables", study, "--runs-dir", tmp_path / "runs")
    assert status == 2
    assert "tiny" in said
    assert said.count("\n") == 1


def test_the_page_says_that_the_set_is_not_here(bench, study, tmp_path):
    gone()
    page = tmp_path / "page.html"
    status, said = bench("report", study, "--runs-dir", tmp_path / "runs", "--out", page)
    assert status == 0, said
    assert "This set is not on this computer" in page.read_text()
