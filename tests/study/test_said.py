"""What is said of runs that are few, lack a number, or share a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepset_bench.page.comparing import Facts
from deepset_bench.scoring.table import chosen
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


def test_the_answer_is_of_the_rows_and_frames_of_its_table(study, tmp_path):
    """It names what the table sets in bold, also where the study asks about one row of it."""
    path = study.file("widths.yaml")
    others = "".join(f"\n  - {{label: w{w}, overrides: [width={w}]}}" for w in (8, 16, 24, 32))
    path.write_text(f"title: t\nruns:{others}\n")
    (path.parent / "study.yaml").write_text("title: t\nanswer: [widths, w16]\n")
    asking = studies.read(path.parent)
    for seed, change in enumerate((1.06, 1.08, 1.12)):  # beyond chance by itself alone
        write(tmp_path, ["width=8"], seed, 0.01)
        write(tmp_path, ["width=16"], seed, 0.01 * change)
        for width in (24, 32):
            write(tmp_path, [f"width={width}"], seed, 0.01 * (1 + 0.1 * (seed - 1)))
    built = table(asking, tmp_path)
    (row,) = built.frame[(built.frame.row == "w16") & (built.frame.part == "mean")].to_dict(
        "records"
    )
    assert row["energy_p"] < 0.05 < row["energy_p_holm"]
    (found,) = answers(asking, [built])
    assert "no change of the energy error is beyond chance (largest: w16" in found.text


def test_differences_in_an_answer_have_their_unit(study, tmp_path):
    for seed in range(3):
        write(tmp_path, ["width=8"], seed, 0.01, forces=0.02)
        write(tmp_path, ["width=16"], seed, 0.01, forces=0.0)
    (found,) = answers(study, [table(study, tmp_path)])
    assert "w16 lowers the force error by 0.02000 Ha/bohr [0.02000, 0.02000]" in found.text


NOTHING = "force error smaller than that of knowing nothing (zero force)."


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ((0.01, 0.01), ""),
        ((0.01, 0.9), f"1 of 2 rows has no {NOTHING}"),
        ((0.9, 0.9), f"Neither row has a {NOTHING}"),
    ],
)
def test_the_answer_says_which_rows_have_learned_nothing(study, tmp_path, errors, said):
    for seed in range(3):
        for width, forces in zip((8, 16), errors, strict=True):
            write(tmp_path, [f"width={width}"], seed, 0.01, forces=forces * (1 + seed / 100))
    (found,) = answers(study, [table(study, tmp_path)])
    assert found.text.partition("(3 seeds).")[2].strip() == said


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


def test_nothing_is_said_of_an_energy_error_that_a_study_does_not_show(study, tmp_path):
    for seed in range(3):
        for width in (8, 16):
            write(tmp_path, [f"width={width}"], seed, 0.01)
    forces, usual = (
        Facts(build(study.comparisons["widths"], [""], Where((), tmp_path), chosen(names)))
        for names in (["forces_mae"], [])
    )
    assert usual.seeds("") == {"seeds": "3 seeds", "differences": 1, "apart": 0}
    assert forces.seeds("") is None
    assert forces.ranking("") is None


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
