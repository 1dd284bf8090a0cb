"""When a claim was stated, from runs that carry stamps or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepset_bench.study.claimed import claimed
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where, collect
from deepset_bench.study.sections import claims_page
from deepset_bench.study.stated import STATED_RULE, behind, registrations, stated
from deepset_bench.study.tables import build
from deepset_bench.sweep import studies
from deepset_bench.sweep.registered import hash_of, what_decides
from tests.study.folders import write

RULE = {"seeds": 3}
TIME, LATER = "2026-01-01T08:00:00+00:00", "2026-01-01T09:00:00+00:00"


@pytest.fixture
def study(tmp_path: Path) -> studies.Study:
    """Two claims: of a pair, and of all three rows."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "study.yaml").write_text("title: t\n")
    runs = ", ".join(f"{{label: w{w}, overrides: [width={w}]}}" for w in (8, 16, 32))
    (folder / "widths.yaml").write_text(f"title: t\nruns: [{runs}]\n")
    (folder / "claims.yaml").write_text(
        "- {claim: a, compare: {w16: w8}, metric: energy_mae, change: less}\n"
        "- {claim: b, metric: energy_mae, of_trivial: more than 50 %}\n"
    )
    return studies.read(folder)


def stamp(one: studies.Study, **others: str) -> dict:
    return {"study": "mine", "hash": hash_of(what_decides(one), RULE), "time": TIME,
            "rule": RULE} | others  # fmt: skip


def said(study: studies.Study, root: Path) -> list[str]:
    return list(claims(study, [""], Where((), root)).stated)


def test_every_run_of_the_verdict_counts_and_no_other(study, tmp_path):
    mark = {"registered": [stamp(study)], "started": LATER}
    assert said(study, tmp_path) == ["", ""]
    for seed in (0, 1):
        for width in (8, 16):
            write(tmp_path, [f"width={width}"], seed, 0.01 + seed / 1000, **mark)
    assert said(study, tmp_path) == ["before", "before"]
    write(tmp_path, ["width=8"], 2, 0.01)  # without its partner: no part of the first verdict
    assert said(study, tmp_path) == ["before", "after"]
    write(tmp_path, ["width=16"], 2, 0.01, **mark)
    assert said(study, tmp_path) == ["after", "after"]
    write(tmp_path, ["width=8"], 2, 0.01, **mark)
    write(tmp_path, ["width=32"], 0, 0.01)  # another row
    assert said(study, tmp_path) == ["before", "after"]


@pytest.mark.parametrize(
    ("others", "started", "when"),
    [
        ({}, LATER, "before"),
        ({}, TIME, "before"),
        ({"time": LATER}, TIME, "after"),
        ({"hash": "ab"}, LATER, "after"),
        ({"rule": {"seeds": 4}}, LATER, "after"),  # the hash is of another rule, too
        ({"study": "yours"}, LATER, "before"),  # its folder was called so
    ],
)
def test_stamps(study, others, started, when):
    result = {"registered": [stamp(study, **others)], "started": started}
    assert stated([result], what_decides(study)) == when
    assert stated([result, {}], what_decides(study)) == "after"
    assert stated([], what_decides(study)) == ""


def test_runs_of_a_pair(study, tmp_path):
    for width, seed in ((8, 0), (8, 1), (16, 1), (32, 1)):
        write(tmp_path, [f"width={width}"], seed, 0.01, mine=f"{width} {seed}")
    runs = collect(study.comparisons["widths"], [""], Where((), tmp_path))
    pair, every = (behind(one, runs) for one in claimed(study))
    assert sorted(one["mine"] for one in pair) == ["16 1", "8 1"]
    assert len(every) == 4


def test_the_page_has_a_column_and_explains_it(study, tmp_path):
    page = claims_page(study, claims(study, [""], Where((), tmp_path)))
    assert STATED_RULE not in page.notes
    for width in (8, 16):
        write(tmp_path, [f"width={width}"], 0, 0.01)
    page = claims_page(study, claims(study, [""], Where((), tmp_path)))
    (block,) = page.blocks
    place = [name for _, name in block.columns].index("stated")
    assert [row[place].plain for row in block.rows] == ["after", "after"]
    assert STATED_RULE in page.notes


def test_registrations_are_counted_oldest_first(study):
    one, two = stamp(study, hash="aa"), stamp(study, hash="bb", time=LATER)
    marked = [{"registered": [two], "started": LATER}] * 2
    results = [*marked, {"registered": [one], "started": LATER}, {}]
    assert registrations(results) == [
        "1 of 4 runs started after mine was registered on 2026-01-01 08:00 UTC (3 seeds; hash aa).",
        "2 of 4 runs started after mine was registered on 2026-01-01 09:00 UTC (3 seeds; hash bb).",
    ]
    assert registrations([{}]) == []


def test_frames_that_the_person_who_looks_chose_are_chosen_after(study, tmp_path):
    mark = {"registered": [stamp(study)], "started": LATER}
    for width in (8, 16):
        write(tmp_path, [f"width={width}"], 0, 0.01, **mark)
    for part, when in ((None, "before"), ("mean", "before"), ("test", "after")):
        assert list(claims(study, [""], Where((), tmp_path), part).stated) == [when] * 2
    under = claims(study, ["report"], Where((), tmp_path))
    write(tmp_path, ["width=8", "condition=report"], 0, 0.01, **mark)
    assert list(under.stated) == ["", ""]
    assert list(claims(study, ["report"], Where((), tmp_path)).stated) == ["", "after"]


def test_fewer_seeds_than_were_registered_are_another_look(study, tmp_path):
    mark = {"registered": [stamp(study)], "started": LATER}
    for seed, note in ((0, True), (1, True), (2, False), (3, True)):
        for width in (8, 16):
            write(tmp_path, [f"width={width}"], seed, 0.01 + seed / 1000, **mark)
        frame = claims(study, [""], Where((), tmp_path))
        assert frame.planned[0] == (3 if note else 0)
        line = "Claims 1, 2: 3 seeds a row were registered, and there are more or fewer."
        assert any(n.startswith(line) for n in claims_page(study, frame).notes) == note
        table = build(study.comparisons["widths"], [""], Where((), tmp_path))
        assert any(n.startswith("3 seeds a row were registered") for n in table.notes) == note


def test_seeds_that_may_have_been_chosen_are_chosen_after(study, tmp_path):
    mark = {"registered": [stamp(study)], "started": LATER}
    for seed in (0, 1, 3):
        for width in (8, 16):
            write(tmp_path, [f"width={width}"], seed, 0.01 + seed / 1000, **mark)
    assert said(study, tmp_path) == ["after", "after"]
    write(tmp_path, ["width=8"], 2, 0.01, **mark)
    write(tmp_path, ["width=16"], 2, 0.01, status="diverged", metrics=None, **mark)  # it is there
    assert said(study, tmp_path) == ["before", "before"]


def test_what_a_row_means_is_registered_too(study, tmp_path):
    task = study.folder / "conf" / "task" / "mine.yaml"
    task.parent.mkdir(parents=True)
    task.write_text("ood: {molecules: [C3H6]}\n")
    first = what_decides(study)
    mark = {"registered": [stamp(study)], "started": LATER}
    for width in (8, 16):
        write(tmp_path, [f"width={width}"], 0, 0.01, **mark)
    assert said(study, tmp_path) == ["before", "before"]
    task.write_text("# a remark\nood: {molecules: [C3H6]}\n")
    assert what_decides(study) == first
    task.write_text("ood: {molecules: [C2H4]}\n")
    assert said(study, tmp_path) == ["after", "after"]
    (study.folder / "variants.py").write_text("")
    assert what_decides(study)["files"].keys() == {"conf/task/mine.yaml", "variants.py"}


def test_an_entry_of_a_version_that_left_the_files_out_stands(study, tmp_path):
    earlier = what_decides(study)
    del earlier["files"]
    mark = {"registered": [stamp(study, hash=hash_of(earlier, RULE))], "started": LATER}
    for width in (8, 16):
        write(tmp_path, [f"width={width}"], 0, 0.01, **mark)
    assert said(study, tmp_path) == ["before", "before"]
