"""The committed results are whole, and the pages hold what the tables make of them.

Nothing is said here of who wins: that is what the results are for.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepset_bench import cli, file_version
from deepset_bench.config import Experiment
from deepset_bench.data import catalogue
from deepset_bench.record import CONFIG, DATA, RunRecord
from deepset_bench.results import exporting, restoring, stored
from deepset_bench.runs import RunsFolder
from deepset_bench.schema import Config
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep.status import standing
from deepset_bench.typed import exactly
from deepset_bench.validation import complete
from tests.study.shipped import GENERALISATION, REPORT

ROOT = Path(__file__).parents[2]
TABLE = stored.read(ROOT / "docs" / "results.csv")
RESULTS = ("--results", "docs/results.csv")


def printed(monkeypatch, path: str, *wanted: str) -> str:
    """A page whose tables are what the command prints."""
    monkeypatch.chdir(ROOT)
    arguments = ["tables", *wanted, "--format", "markdown", *RESULTS]
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


@pytest.mark.parametrize("wanted", [("report_trajectory",), ("peers", "--unit", "mev")])
def test_so_are_words_and_tables_of_other_studies(wanted, monkeypatch, tmp_path):
    monkeypatch.setenv(STUDY, str(ROOT / "sweeps" / wanted[0]))
    page = printed(monkeypatch, f"docs/{wanted[0]}.md", *wanted)
    words = tmp_path / "words.md"
    arguments = ["report", *wanted, *RESULTS, "--out"]
    assert CliRunner().invoke(cli.app, [*arguments, str(words)]).exit_code == 0
    said = page.partition("<!-- words -->\n")[2].partition("\n<!-- tables -->\n")[0]
    assert said == words.read_text(encoding="utf-8")


def test_so_are_the_words_of_the_findings(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    words = tmp_path / "words.md"
    arguments = ["report", *RESULTS, "--out", str(words)]
    assert CliRunner().invoke(cli.app, arguments).exit_code == 0
    page = Path("docs/findings.md").read_text(encoding="utf-8")
    assert page.partition("<!-- words -->\n")[2] == words.read_text(encoding="utf-8")


@pytest.mark.parametrize("run", TABLE.every(), ids=TABLE.runs)
def test_a_committed_run_is_whole(run: RunRecord):
    stands = standing(run)
    assert stands.state == "done"
    assert stands.epoch == stands.epochs
    assert run.settings()["runs_dir"] is None


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> RunsFolder:
    """The committed runs as folders."""
    root = tmp_path_factory.mktemp("committed")
    assert restoring.restore(TABLE, root) == (len(TABLE.runs), 0)
    return RunsFolder(root)


def test_the_table_is_what_export_writes_of_its_folders(folders, tmp_path):
    exporting.export(folders, folders.every(), tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_bytes() == TABLE.file.read_bytes()


def test_tables_are_the_same_of_folders(folders):
    """Byte for byte, but for the name of the folder."""
    words = ["tables", "1", "--format", "markdown", "--runs-dir"]
    one, other = (CliRunner().invoke(cli.app, [*words, str(p)]) for p in (folders.root, TABLE.file))
    assert one.exit_code == other.exit_code == 0
    assert one.stdout.replace(str(folders.root), str(TABLE.root)) == other.stdout


def test_identities_are_what_they_were():
    """Configurations of these runs mean the same run in this version."""
    for folder, run in TABLE.runs.items():
        config = exactly(Config, file_version.unmarked(run.contents[CONFIG]))
        complete(config)
        here = [name for name in config.sets if name in catalogue.names()]
        checksums = run.result().get(DATA, {}) | catalogue.checksums(here)
        joined = "+".join(checksums[name] for name in config.sets)
        assert Experiment(config, "", {}).identity(joined) == run.identity(), folder
