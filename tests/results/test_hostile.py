"""A table that is damaged, or wants to harm, is refused in one line; nothing is written."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from pathlib import Path

import pytest

from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.results import epochs, exporting, restoring, stored
from deepset_bench.results.opening import opened
from deepset_bench.runs import RunsFolder
from deepset_bench.study.collect import Where, collect
from tests.study.folders import write
from tests.study.shipped import REPORT


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Of two runs, which have epochs."""
    for seed in (0, 1):
        folder = write(tmp_path / "runs", [], seed, 0.02)
        folder.write_status("done", "ab12")
        folder.metrics.write_text("epoch,val_loss\n1,0.5\n2,0.25\n")
    records = RunsFolder(tmp_path / "runs")
    exporting.export(records, records.every(), tmp_path / "t.csv")
    return tmp_path / "t.csv"


def change(file: Path, column: str, text: str | None, row: int = 3) -> None:
    """Put a text into a cell, the column behind the others if there is none; None drops it."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    if column not in rows[0]:
        rows = [[*cells, "" if n else column] for n, cells in enumerate(rows)]
    place = rows[0].index(column)
    if text is None:
        rows = [cells[:place] + cells[place + 1 :] for cells in rows]
    else:
        rows[row - 1][place] = text
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    file.write_text(stream.getvalue(), encoding="utf-8")


def refused(file: Path, said: str) -> None:
    root = file.parent / "into"
    with pytest.raises(UserError, match=re.escape(said)) as error:
        restoring.restore(stored.read(file), root)
    assert str(error.value).startswith(str(file.with_name(file.name.partition(".")[0])))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    assert not root.exists()


ENERGY = "result.metrics.test.energy_mae_ev"


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("folder", None, "has no column folder"),
        ("table_version", None, "has no column table_version"),
        (
            "table_version",
            "2",
            "row 3, column table_version: a newer version of this program wrote it",
        ),
        ("notes", "good", "unknown column 'notes'; delete it"),
        (ENERGY, None, "row 2, columns result.*: metrics.test.energy_mae_ev is not a number"),
        (ENERGY, "NaN", f"row 3, column {ENERGY}: 'NaN' is not a number"),
        (ENERGY, "1e400", f"row 3, column {ENERGY}: '1e400' is not a number"),
        (ENERGY, "9" * 400, f"row 3, column {ENERGY}: 99999999999999999999... is too large"),
        (ENERGY, "small", "row 3, columns result.*: metrics.test.energy_mae_ev is not a number"),
        (ENERGY, "=1+1", f"row 3, column {ENERGY}: '=1+1' is not a number"),
        (ENERGY, "[1", f"row 3, column {ENERGY}: is not JSON"),
        ("result.metrics", "5", "other columns say that it holds keys"),
        (f"{ENERGY}.x", "5", "another column says that there is no such key"),
        ("result.threads", "1.0", "row 3, columns result.*: threads is 1.0"),
        ("result.status", "well", "row 3, columns result.*: its status is 'well'"),
        ("result.data_verdict.verdict", "defect", "data_verdict lacks its finding"),
        ("status.state", "", "row 3, columns status.*: its state is None"),
        ("config.seed", "x", "row 3, columns config.*: config.seed"),
        ("epochs_recorded", "-1", "row 3, column epochs_recorded: -1 is not a number of epochs"),
        ("epochs_recorded", "3", "has 2 epochs of but-2-ene/corrected/baseline/seed-1, and"),
        ("as_is", "[1]", "row 3, column as_is: is not a mapping"),
        ("as_is", '{"../x": "1"}', "row 3, column as_is: '../x' is not a file of a run"),
        (
            "as_is",
            '{"config.yaml": 1}',
            "row 3, column as_is: 'config.yaml' is not a file of a run",
        ),
        ("seeds_as_one", '{"../../x": {}}', "row 3, column seeds_as_one: '../../x' is no"),
        ("seeds_as_one", '{"seeds-0/evaluation/..": {}}', "is not an evaluation of seeds"),
        ("folder", "../../seed-0", "row 3, column folder: '../../seed-0' is not a folder below"),
        ("folder", "/etc/seed-0", "row 3, column folder: '/etc/seed-0' is not a folder below"),
        ("folder", "a//seed-0", "is not a folder below"),
        ("folder", '"a\\u0000b"', "is not a folder below"),
        ("key_order", '{"result": [0, 0]}', "row 3, column key_order: does not name each of the"),
        ("key_order", '{"result": {"a": 1}}', "row 3, column key_order: does not name each of"),
        ("folder", "", "row 3, column folder: None is not a folder below"),
        ("folder", "7", "row 3, column folder: 7 is not a folder below"),
        ("folder", "but-2-ene/corrected/baseline/seed-0", "is another row's already"),
    ],
)
def test_a_damaged_table(table, column, text, said):
    change(table, column, text)
    refused(table, said)


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("val_loss", "=1", "row 3, column val_loss: '=1' is not a number"),
        ("val_loss", "", "row 3, column val_loss: '' is not a number"),
        ("val_loss", "1_0", "row 3, column val_loss: '1_0' is not a number"),
        ("folder", "x", "has 1 epochs of but-2-ene/corrected/baseline/seed-0, and"),
        ("=x", "1", "unknown column '=x'"),
    ],
)
def test_damaged_epochs(table, column, text, said):
    change(epochs.beside(table), column, text)
    refused(table, said)


def test_epochs_that_are_gone(table):
    epochs.beside(table).unlink()
    refused(table, "no such file; the curves of")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no column table_version"),
        (b"\xff\xfe", "cannot be read"),
        (b'table_version,folder\n1,"x', "cannot be read"),
        (b"table_version,folder\n1,a,b\n", "row 2 has 3 cells, not 2"),
        (b"table_version;folder\n1;a\n", "has no column table_version"),
        (b"table_version,folder,folder\n", "has more than one column folder"),
        (b"table_version,folder,config.a,config.a\n", "has more than one column config.a"),
    ],
)
def test_no_table(tmp_path, content, said):
    file = tmp_path / "x.csv"
    file.write_bytes(content)
    refused(file, said)
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress(content))
    refused(packed, said)


def test_a_packed_table_that_is_cut_short(table):
    packed = table.with_name("t.csv.gz")
    packed.write_bytes(gzip.compress(table.read_bytes())[:-9])
    refused(packed, "cannot be read")
    packed.write_bytes(table.read_bytes())
    refused(packed, "cannot be read")


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: no such file; name a table of bench results"):
        opened(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    assert opened(tmp_path / "folder.csv").every() == []


def test_a_file_name_says_the_format(tmp_path):
    (tmp_path / "t.txt").write_text("")
    refused(tmp_path / "t.txt", "a table of results ends in .csv, .csv.gz, .parquet")


def test_parquet_names_its_extra(table, monkeypatch):
    """Where pyarrow is not installed, and where it is, as if it were not."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    file = table.with_name("t.parquet")
    file.write_bytes(b"PAR1")
    with pytest.raises(NotInstalled, match=r"pip install 'deepset-bench\[parquet\]'"):
        stored.read(file)


def test_what_a_spreadsheet_saves_is_read(table):
    """A mark of the byte order, other ends of lines, quotes everywhere."""
    before = [run.result() for run in stored.read(table).every()]
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(rows)
    table.write_bytes(b"\xef\xbb\xbf" + stream.getvalue().encode())
    assert [run.result() for run in stored.read(table).every()] == before


def test_interpolations_stay_text(table, tmp_path, monkeypatch):
    """A configuration that names a variable of the environment does not get its value."""
    monkeypatch.setenv("SECRET", "hunter2")
    change(table, "config.aggregation", "${oc.env:SECRET}")
    restoring.restore(stored.read(table), tmp_path / "into")
    (text,) = {path.read_text() for path in (tmp_path / "into").rglob("seed-1/config.yaml")}
    assert "${oc.env:SECRET}" in text
    change(table, "config.aggregation", "${")
    assert json.dumps("${") or True


def test_tables_of_a_table_that_is_damaged_are_one_line(table):
    change(table, ENERGY, "NaN")
    with pytest.raises(
        UserError, match=rf"^{re.escape(str(table))}: row 3, column {ENERGY}: 'NaN'"
    ):
        collect(REPORT.comparisons["table_1"], ["corrected"], Where((), table))
    with pytest.raises(UserError, match=r"none\.csv: no such file"):
        collect(
            REPORT.comparisons["table_1"], ["corrected"], Where((), table.with_name("none.csv"))
        )
