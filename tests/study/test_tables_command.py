"""`bench tables` from the command line to files."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from typer.testing import CliRunner

from deepset_bench import cli
from tests.study.folders import write
from tests.test_cli import inside


@pytest.fixture
def runs(tmp_path):
    root = tmp_path / "results"
    for seed in range(2):
        for condition in ("report", "corrected"):
            write(root, [f"condition={condition}"], seed, 0.02 + 0.001 * seed)
            write(root, [f"condition={condition}", "scalars=all"], seed, 0.03 + 0.002 * seed)
    return root


def bench(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["tables", *arguments])
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_one_table(runs):
    text = bench("1", "--runs-dir", str(runs))
    assert "Table 1: Energy and force error" in text
    assert "0.02343" in text
    assert "0.02050" in text
    assert "Table 2" not in text
    assert "claim" not in text


def test_the_environment_says_where_runs_are(runs, monkeypatch):
    monkeypatch.setenv("BENCH_RUNS", str(runs))
    assert "0.02050" in bench("1")
    assert "runs_dir" not in bench("3")


def test_one_condition_in_mev(runs):
    text = bench("1", "--runs-dir", str(runs), "--condition", "corrected", "--unit", "mev")
    assert "corrected" in text
    assert "report" not in text
    assert "557.8" in text


@pytest.mark.parametrize(
    ("style", "ending"), [("markdown", "md"), ("latex", "tex"), ("csv", "csv")]
)
def test_files(runs, tmp_path, style, ending):
    out = tmp_path / "out"
    text = bench("1", "claims", "--format", style, "--out", str(out), "--runs-dir", str(runs))
    names = {path.name for path in out.iterdir()}
    assert names == {f"{'tables' if style == 'csv' else 'table_1'}.{ending}", f"claims.{ending}"}
    assert len(text.splitlines()) == 2


def test_claims_of_several_studies_are_files_of_their_own(runs, tmp_path):
    rows = "runs: [{label: w8, overrides: [width=8]}, {label: w16, overrides: [width=16]}]"
    for name in "ab":
        (folder := tmp_path / name).mkdir()
        (folder / "study.yaml").write_text(f"title: {name}\n")
        (folder / f"widths_{name}.yaml").write_text(f"title: t\n{rows}\n")
        claim = f"{{claim: of {name}, compare: {{w16: w8}}, metric: energy_mae, change: less}}"
        (folder / "claims.yaml").write_text(f"- {claim}\n")
    out = tmp_path / "out"
    studies = [str(tmp_path / name) for name in "ab"]
    for style in ("csv", "markdown"):
        bench(*studies, "--format", style, "--out", str(out), "--runs-dir", str(runs))
    for name in "ab":
        for ending in ("csv", "md"):
            assert f"of {name}" in (out / f"{name}_claims.{ending}").read_text()


def test_csv_is_one_table(runs):
    frame = pd.read_csv(io.StringIO(bench("1", "3", "--format", "csv", "--runs-dir", str(runs))))
    assert set(frame.table) == {"table_1", "table_3"}


def test_everything(runs):
    """Tables 1 to 7, the sweeps that have runs, and the claims."""
    text = bench("--format", "markdown", "--runs-dir", str(runs))
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert [h[:11] for h in headings[:7]] == [f"### Table {n}" for n in range(1, 8)]
    assert [h[4:8] for h in headings[7:]] == ["flaw", "flaw", "moe:", "Does"]


OTHERS = """
title: The DeepSet beside other networks
baseline: DeepSet
common: [condition=corrected]
runs:
  - {label: DeepSet, overrides: []}
  - {label: SchNet, overrides: [model=schnet]}
  - {label: ViSNet, overrides: [model=visnet]}
"""


def test_published_networks(runs, tmp_path):
    (tmp_path / "others.yaml").write_text(OTHERS)
    for seed in range(2):
        write(runs, ["model=schnet"], seed, 0.001, parameters=455_809)
    text = bench(str(tmp_path / "others.yaml"), "--runs-dir", str(runs), "--format", "markdown")
    energy, _, size = (line for line in text.splitlines() if line.startswith("| SchNet |"))
    assert "0.00100" in energy
    assert "**−95.1 %" in energy
    assert "455,809" in size
    assert "| *mean energy* | 0.02040" in text
    assert "ViSNet, seed 0, 1: not run" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["8"], "unknown sweep '8' (overrides have an '='); did you mean table_"),
        (["mo"], "unknown sweep 'mo' (overrides have an '='); did you mean moe"),
        (["1", "seed=3"], "seed=3: tables and figures take every seed there is"),
        (["1", "trainer.epoch=3"], "unknown group or key 'trainer.epoch'"),
        (["1", "--data", "but-3-ene"], "unknown option data=but-3-ene; did you mean but-2-ene"),
        (["1", "--condition", "correct"], "unknown condition 'correct'; did you mean corrected"),
        (["1", "claims", "--format", "csv"], "claims and tables have different columns"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(monkeypatch, capsys, arguments, expected):
    status, out, err = inside(monkeypatch, capsys, "tables", *arguments)
    assert (status, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
