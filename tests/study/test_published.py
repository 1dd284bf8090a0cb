"""What the report prints, and that nothing changed it on the way."""

from __future__ import annotations

import pytest

from deepset_bench.study.published import METRICS, PRINTED_OF
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR
from tests.study.shipped import PRINTED, REPORT

ENTRIES = [
    (name, entry) for name, table in PRINTED.content.items() for entry in table.get("columns", ())
]


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=lambda x: str(x)[:30])
def test_every_column_is_found_by_its_label(name, entry):
    found = PRINTED.printed(entry["label"], int(name.removeprefix("table_")))
    source = PRINTED.column(*entry["same_as"].split("/", 1)) if "same_as" in entry else entry
    assert "same_as" not in source
    for metric, unit in (("energy", HARTREE), ("forces", HARTREE_PER_BOHR)):
        for part, key in (("test", "test"), ("val", "val"), ("mean", "avg")):
            assert found[metric, part] / unit == pytest.approx(source[f"{key}_{metric}"])


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=lambda x: str(x)[:30])
def test_the_mean_is_that_of_test_and_val(name, entry):
    """But for rounding: a slip in copying would show."""
    values = PRINTED.printed(entry["label"], int(name.removeprefix("table_")))
    for metric in METRICS:
        test, val, mean = (values[metric, part] for part in PRINTED_OF)
        assert mean == pytest.approx((test + val) / 2, rel=3e-4)


def test_twenty_distinct_columns():
    assert sum("same_as" not in entry for _, entry in ENTRIES) == 20
    assert [row["step"] for row in PRINTED.content["table_10"]["rows"]] == [5, 15, 40]


def test_the_tables_own_column_comes_first():
    assert (
        PRINTED.printed("x3 sqrt", 2)
        == PRINTED.printed("x3 sqrt", 6)
        == PRINTED.printed("No RBF", 7)
    )
    assert PRINTED.printed("x3 sqrt")["energy", "mean"] / HARTREE == pytest.approx(0.0142685)
    assert PRINTED.printed("as reported") == {}


@pytest.mark.parametrize("sweep", [s for s in REPORT.tables if s.table], ids=lambda s: s.name)
def test_a_sweep_has_every_column_of_its_table(sweep):
    table = PRINTED.content[sweep.name]
    assert sweep.table == int(sweep.name.removeprefix("table_"))
    assert {entry["label"] for entry in table["columns"]} <= {run.label for run in sweep.runs}
    assert all(PRINTED.printed(run.label, sweep.table) for run in sweep.runs)
