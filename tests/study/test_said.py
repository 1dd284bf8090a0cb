"""What is said of runs that are few, lack a number, or share a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepset_bench.page.comparing import Facts
from deepset_bench.study.answer import answers
from deepset_bench.study.collect import Where
from deepset_bench.study.sections import page
from deepset_bench.study.tables import Table, build
from deepset_bench.sweep import studies
from deepset_bench.units import HARTREE
from tests.study.folders import write, write_unseen


@pytest.fixture
def study(tmp_path: Path) -> studies.Study:
    """Rows w8, the baseline, and w16."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "study.yaml").write_text("title: t\n")
    runs = ", ".join(f"{{label: w{w}, overrides: [width={w}]}}" for w in (8, 16))
    (folder / "widths.yaml").write_text(f"title: t\nruns: [{runs}]\n")
    return studies.read(folder)


def table(study: studies.Study, root: Path, *conditions: str) -> Table:
    return build(study.comparisons["widths"], conditions or [""], Where((), root))


def test_the_answer_says_what_is_missing(study, tmp_path):
    def said() -> str:
        (found,) = answers(study, [table(study, tmp_path)])
        return found.text

    assert said() == "Not known yet: no run is done."
    for seed in (0, 1, 2):
        write(tmp_path, ["width=8"], seed, 0.01)
    assert "no run is done of what is compared with w8" in said()
    for seed in (3, 4):
        write(tmp_path, ["width=16"], seed, 0.01)
    assert "no other row has a seed in common with w8" in said()
    write(tmp_path, ["width=16"], 0, 0.01)
    assert "one seed of each tells no difference from chance" in said()


def test_a_number_says_of_how_many_runs_it_is(study, tmp_path):
    for seed in range(4):
        write(tmp_path, ["width=8"], seed, 0.01)
        made = write(tmp_path, ["width=16"], seed, 0.01)
        if seed > 1:
            result = made.result()
            for part in result["metrics"].values():
                part["forces_mae_ev_per_angstrom"] = None
            made.write_result(result)
    frame = table(study, tmp_path).frame
    (row,) = frame[(frame.row == "w16") & (frame.part == "mean")].to_dict("records")
    assert (row["n"], row["energy_n"], row["forces_n"]) == (4, 4, 2)
    assert (row["energy_n_shared"], row["forces_n_shared"]) == (4, 2)
    shown = page(table(study, tmp_path), "hartree", ["mean"])
    each = [row for block in shown.blocks for row in block.rows if row[0].plain == "w16"]
    counts = [row[2].plain for row in each if len(row) > 2]
    assert counts[:2] == ["4", "2"]


def test_runs_of_one_split_count_once_in_the_words_of_a_page(study, tmp_path):
    for split in range(3):
        for seed in range(4):
            lines = ["width=8", f"data.split_seed={split}"]
            write(tmp_path, [*lines, "condition=report"], seed, 0.02 + 0.01 * split)
            write(tmp_path, [*lines, "condition=corrected"], seed, 0.02)
    shown = table(study, tmp_path, "report", "corrected")
    found = Facts(shown).between("w8", "report", "corrected", "energy")
    assert found["seeds"] == "3 splits"
    assert found["times"] == "1.4 [0.61, 3.4]"
    assert found["before"] == pytest.approx(0.03 * HARTREE)
    assert found["after"] == pytest.approx(0.02 * HARTREE)


def test_what_is_undetermined_has_no_share_and_no_change(study, tmp_path):
    sweep = study.comparisons["widths"]
    for seed in range(3):
        for label in ("w8", "w16"):
            write_unseen(tmp_path, sweep, label, seed, None, ["task=pent_2_ene"])
    where = Where(("task=pent_2_ene",), tmp_path)
    facts = Facts(build(sweep, [""], where))
    assert facts.of_trivial("") is None
    rows = facts.rows()["rows"]
    assert [one["energy"] for one in rows] == [None, None]
    assert [one["energy_change"] for one in rows] == ["", ""]
    assert rows[1]["forces_change"]
