"""The committed results are whole, and the pages hold what the tables make of them.

Nothing is said here of who wins: that is what the results are for.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.runs import RunFolder
from deepset_bench.sweep.status import find, standing
from tests.study.shipped import GENERALISATION, REPORT

ROOT = Path(__file__).parents[2]
RUNS = find(ROOT / "docs" / "results")


def printed(monkeypatch, path: str, *wanted: str) -> str:
    """A page whose tables are what the command prints."""
    monkeypatch.chdir(ROOT)
    arguments = ["tables", *wanted, "--format", "markdown", "--runs-dir", "docs/results"]
    result = CliRunner().invoke(cli.app, arguments)
    page = Path(path).read_text(encoding="utf-8")
    assert page.partition("<!-- tables -->\n")[2] == result.stdout
    return page


def test_the_page_is_what_the_command_prints(monkeypatch):
    page = printed(monkeypatch, "docs/results.md")
    titles = [sweep.title for sweep in REPORT.tables if sweep.table]
    assert len(titles) == 7
    assert all(title in page for title in titles)
    assert "Does the report's claim hold?" in page


def test_so_is_that_of_generalisation(monkeypatch):
    page = printed(monkeypatch, "docs/generalisation.md", "generalisation")
    tables = GENERALISATION.unseen
    assert sum(f"**{table.title}: MAE" in page for table in tables) >= 6


@pytest.mark.parametrize("folder", RUNS, ids=lambda run: str(run.path.relative_to(ROOT)))
def test_a_committed_run_is_whole(folder: RunFolder):
    stands = standing(folder)
    assert stands.state == "done"
    assert stands.epoch == stands.epochs
    assert yaml.safe_load(folder.config.read_text(encoding="utf-8"))["runs_dir"] is None
    assert {path.name for path in folder.path.iterdir()} == {
        "config.yaml",
        "result.json",
        "status.json",
    }
