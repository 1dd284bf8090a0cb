"""Every number of a finding is what the runs say, and none is said without runs."""

from __future__ import annotations

import pytest

from deepset_bench.page.findings import Said, findings
from deepset_bench.page.provenance import provenance
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where
from deepset_bench.study.tables import Table, build
from tests.study.folders import write
from tests.study.shipped import PRINTED, REPORT, asked_for

BOTH = ["report", "corrected"]
LINES = {"": 0.0234, "scalars=all": 0.0207, "scalars=sq": 0.0182, "scalars=sq_cub": 0.0154}


def said(root, unit: str = "hartree") -> dict[str, Said]:
    where = Where((), root)

    def table(name: str) -> Table:
        return build(asked_for(name), BOTH, where, (), PRINTED)

    found = findings(REPORT, table, claims(REPORT, BOTH, where), unit)
    return {one.heading: one for one in found}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Four variants: as printed under report, in the reverse order and small under corrected."""
    root = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        for line, energy in LINES.items():
            lines = [line] if line else []
            write(root, ["condition=report", *lines], seed, energy + 1e-4 * seed)
            write(root, lines, seed, (0.03 - energy) / 10 + 1e-6 * seed, forces=0.00298)
    return root


def test_sentences(root):
    found = said(root)
    assert (
        "an error of 0.02320 Ha/bohr: 78 % of"
        in found["The force labels themselves are wrong"].text
    )
    text = found["How far from the trivial baseline"].text
    assert "Trained as the report did, 4 variants of 20 reach 76 to 115 %" in text
    assert "10 % of that of predicting zero force" in text
    text = found["The same network on sound labels"].text
    assert "0.00066 instead of 0.02345 Ha (36 times smaller)" in text
    assert "0.00298 instead of 0.02700 Ha/bohr (9 times smaller)" in text
    text = found["Does the report's ranking come back?"].text
    assert "τ = +1.00" in text
    assert "τ = −1.00" in text
    text = found["The report trained each variant once; one seed has no interval"].text
    assert "variants have 2 seeds here; of 3 differences in energy" in text
    assert text.count("3 have an interval") == 2
    assert "1 holds" in found["The report's 9 claims"].text


def test_units(root):
    text = said(root, "mev")["The force labels themselves are wrong"].text
    assert "1193.0 meV/Å" in text


def test_nothing_is_said_without_runs(tmp_path):
    assert list(said(tmp_path)) == ["The report's 9 claims"]


def test_where_numbers_are_from(root):
    where = Where((), root)
    tables = [build(asked_for(name), BOTH, where) for name in ("1", "2")]
    found = provenance(tables, "hartree", where)
    assert len(found.variants) == 8
    (baseline,) = [v for v in found.variants if v.folder.match("report/baseline")]
    assert baseline.tables == ["table_1", "table_2"]
    assert baseline.command.startswith("bench sweep condition=report runs_dir=")
    assert baseline.command.endswith("seed=0,1")
    assert [row[0].plain for row in baseline.seeds] == ["0", "1"]
    assert [row[1].plain for row in baseline.seeds] == ["0.02340", "0.02350"]
    for table in tables:
        done = table.frame[table.frame.n > 0]
        assert set(done.runs) <= {str(v.folder) for v in found.variants}
