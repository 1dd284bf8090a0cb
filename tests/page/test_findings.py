"""Every number of a finding is what the runs say, and none is said without runs."""

from __future__ import annotations

import shutil

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

ON = "test and validation frames, the mean of both"
TRAINED = "The report trained each variant once; one seed has no interval"
SPOKEN = {
    "The force labels themselves are wrong",
    "How far from the trivial baseline",
    "The same network on sound labels",
    "What each flaw costs",
    "Does the report's ranking come back?",
    TRAINED,
}


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
    text = found["The force labels themselves are wrong"].text
    assert "an error of 0.02320 Ha/bohr: 78 % of" in text
    assert f"(4 of 20 variants, 2 seeds each, on {ON}) scores 0.02700 to 0.02700 Ha/bohr" in text
    text = found["How far from the trivial baseline"].text
    assert f"Trained as the report did (4 of 20 variants, 2 seeds each, on {ON})" in text
    assert "76 to 115 % of that of predicting the mean energy, those of 2 variants no sm" in text
    assert "10 % of that of predicting zero force" in text
    text = found["The same network on sound labels"].text
    assert "0.00066 instead of 0.02345 Ha (36 [35, 36] times smaller, with" in text
    assert "over 2 seeds) and a force error of 0.00298 instead of 0.02700 Ha/bohr" in text
    assert "(9.1 [9.1, 9.1] times smaller)" in text
    text = found["Does the report's ranking come back?"].text
    assert "τ = +1.00 (p = 0.08)" in text
    assert "τ = −1.00" in text
    assert text.count("themselves with other seeds with τ = +1.00") == 2
    text = found["The report trained each variant once; one seed has no interval"].text
    assert "variants have 2 seeds here; of 3 differences in energy" in text
    assert text.count("3 are beyond chance") == 2
    assert "1 holds" in found["What the report says, in 11 sentences"].text


def test_one_seed_supports_no_sentence(tmp_path):
    """Nor do a hundred variants of it; those that have several are spoken of alone."""
    for line, energy in LINES.items():
        write(tmp_path, [line] if line else [], 0, energy)
    assert SPOKEN & said(tmp_path).keys() == {TRAINED}
    write(tmp_path, [], 1, 0.02)
    found = said(tmp_path)
    assert SPOKEN & found.keys() == {TRAINED, "How far from the trivial baseline"}
    assert (
        f"(1 of 20 variants, 2 seeds each, on {ON})"
        in found["How far from the trivial baseline"].text
    )


def test_what_each_flaw_costs(tmp_path):
    for seed in range(2):
        write(tmp_path, ["condition=report"], seed, 0.0204)
        sound = ["condition=report", "condition.labels=potential"]
        write(tmp_path, sound, seed, 0.0102 + 0.001 * seed, 0.00298)
    write(tmp_path, ["condition=report", "condition.energy_loss=plain"], 0, 0.0102)
    text = said(tmp_path)["What each flaw costs"].text
    assert f"(2 of 6 variants, 2 seeds each, on {ON})" in text
    assert "as reported, 0.02040 Ha and 0.02700 Ha/bohr (100 %, 91 %); " in text
    # exp of the mean of log 1/2 and log 0.549, and 12.7 standard errors of these to either side.
    changes = "(52 %, 10 %; −48 % [−71, −5] and −89.0 % [−89.0, −89.0])"
    assert f"unbiased forces, 0.01070 Ha and 0.00298 Ha/bohr {changes}. Forces" in text
    assert "plain loss" not in text


def test_what_each_flaw_costs_whichever_others_there_are(tmp_path):
    """Over all combinations: exact where each divides the error, and nothing of half a design."""
    heading = "What each flaw costs, whichever others there are"
    sheet = asked_for("flaws_factorial")
    rows = sheet.runs
    for seed in range(2):
        for run in rows[: len(rows) if seed else -1]:
            labels, units, _, reference = run.options(sheet.axes)
            error = 0.02 * (1 + seed)
            error *= 0.2 if labels == "potential" else 1
            error *= 0.5 if units == "consistent" else 1
            error *= 1.1 if reference == "composition" else 1
            write(tmp_path, run.overrides, seed, error, forces=error)
    assert heading not in said(tmp_path)
    write(tmp_path, rows[-1].overrides, 0, 0.02 * 0.2 * 0.5 * 1.1, forces=0.02 * 0.2 * 0.5 * 1.1)
    text = said(tmp_path)[heading].text
    assert f"(16 of 16 variants, 2 seeds each, on {ON})" in text
    gone = "−80.0 % [−80.0, −80.0]"
    assert f"by {gone} and {gone} (condition.labels: biased → potential); −50.0 %" in text
    assert "+10.0 % [+10.0, +10.0] (reference: molecule_mean → composition)." in text
    assert "×" not in text


def test_only_shared_seeds_are_compared(root, tmp_path):
    """A third seed of one variant, on frames that are harder, changes nothing."""
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    before = said(root)
    for lines in ([], ["condition=report"]):
        write(tmp_path, [*lines, "scalars=sq"], 2, 0.5, forces=0.5)
    after = said(tmp_path)
    same = (SPOKEN & after.keys()) - {TRAINED}
    assert len(same) == 4
    assert {name: after[name].text for name in same} == {name: before[name].text for name in same}


def test_units(root):
    text = said(root, "mev")["The force labels themselves are wrong"].text
    assert "1193.0 meV/Å" in text


def test_nothing_is_said_without_runs(tmp_path):
    assert list(said(tmp_path)) == ["What the report says, in 11 sentences"]


def test_runs_of_many_machines_are_told_apart(tmp_path):
    """Each names its own, however many there are."""
    for seed in range(30):
        write(tmp_path, [], seed, 0.02, machine=f"machine {seed}")
    where = Where((), tmp_path)
    found = provenance([build(asked_for("1"), ["corrected"], where)], "hartree", where)
    (variant,) = found.variants
    of_mark = {mark: used for used, mark in found.software.items()}
    named = [of_mark[row[found.columns.index("with")].plain] for row in variant.seeds]
    assert named == [f"; machine {seed}" for seed in range(30)]


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
