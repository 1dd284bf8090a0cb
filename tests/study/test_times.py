"""Times of training steps: the interval, the files, what tables and tables of runs make of them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepset_bench import surroundings
from deepset_bench.config import experiment
from deepset_bench.results import stored
from deepset_bench.runs import RunsFolder
from deepset_bench.study.collect import Where
from deepset_bench.study.time_tables import times_of
from deepset_bench.study.times import Median, identity_of, median, timed_ratio, timings
from deepset_bench.sweep.studies import find
from tests.study.folders import write, write_times
from tests.test_cli import inside
from tests.training.tiny import asked

_, TABLE_1 = find("table_1")
assert TABLE_1 is not None
BASE, OTHER = TABLE_1.baseline, next(r.label for r in TABLE_1.runs if r.label != TABLE_1.baseline)
ROUNDS = 8
MS = {BASE: [10.0 + n for n in range(ROUNDS)], OTHER: [2 * (10.0 + n) for n in range(ROUNDS)]}


@pytest.fixture
def bench(monkeypatch, capsys):
    def typed(*arguments: str) -> tuple[int, str, str]:
        return inside(monkeypatch, capsys, *arguments)

    return typed


def test_an_end_of_an_interval_says_on_which_side_of_one_it_is():
    assert Median(1.03, 1.002, 1.06).text == "×1.03 [1.002, 1.06]"
    assert Median(0.97, 0.95, 0.9996).text == "×0.97 [0.95, 0.9996]"
    assert Median(1.0, 1.0, 1.0).text == "×1.00 [1.00, 1.00]"


@pytest.mark.parametrize(("n", "k"), [(6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (40, 14)])
def test_the_interval_of_a_median_lies_between_order_statistics(n, k):
    """k of tables of the sign test."""
    values = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    found = median(values.tolist())
    assert (found.value, found.low, found.high) == ((n + 1) / 2, k, n + 1 - k)


def test_five_values_have_no_interval():
    found = median([1.0, 5.0, 2.0, 3.0, 4.0])
    assert found.value == 3.0
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not found.excludes_one
    assert found.text == "×3.00"


def test_the_interval_holds_the_median_as_often_as_it_says():
    """Whatever the distribution: of twelve values in 1 - 2 * 79 / 4096 of all cases."""
    drawn = np.random.default_rng(1).exponential(size=(4000, 12))
    found = [median(row.tolist()) for row in drawn]
    held = np.mean([one.low <= math.log(2) <= one.high for one in found])
    assert held == pytest.approx(1 - 2 * 79 / 4096, abs=4 * math.sqrt(0.04 * 0.96 / 4000))


def test_a_step_is_the_same_whichever_epoch_is_kept():
    one, other = (experiment([f"trainer.select={rule}"]) for rule in ("loss", "last"))
    assert identity_of(one) == identity_of(other) != identity_of(experiment(["scalars=all"]))


def test_a_ratio_is_taken_within_rounds_and_the_baseline_is_one(tmp_path):
    write_times(tmp_path, TABLE_1, "corrected", MS)
    where = Where((), tmp_path)
    found = timed_ratio(TABLE_1, OTHER, BASE, "corrected", where)
    assert found is not None
    assert found.rounds == (2.0,) * ROUNDS
    assert found.words == "×2.00 [2.00, 2.00] (8 rounds, 1 thread of Abacus, 29 November 2026)"
    itself = timed_ratio(TABLE_1, BASE, BASE, "corrected", where)
    assert itself is not None
    assert itself.rounds == (1.0,) * ROUNDS
    assert timed_ratio(TABLE_1, OTHER, BASE, "report", where) is None
    other_data = Where(("data.train_size=900",), tmp_path)
    assert timed_ratio(TABLE_1, OTHER, BASE, "corrected", other_data) is None


def test_the_latest_measurement_of_both_counts(tmp_path):
    later = {"measured": "2026-12-01T08:00:00+00:00"}
    write_times(tmp_path, TABLE_1, "corrected", MS, name="b")
    write_times(tmp_path, TABLE_1, "corrected", {**MS, OTHER: MS[BASE]}, name="a", **later)
    write_times(tmp_path, TABLE_1, "corrected", {BASE: MS[BASE]}, name="c", **later)
    found = timed_ratio(TABLE_1, OTHER, BASE, "corrected", Where((), tmp_path))
    assert found is not None
    assert found.median.value == 1.0


def test_tables_compare_wall_times_that_were_measured_and_no_others(bench, tmp_path):
    for overrides in ([], ["scalars=all"]):
        write(tmp_path, ["condition=corrected", *overrides], 0, 0.02)
    words = ("tables", "1", "--condition", "corrected", "--format", "markdown")
    words = (*words, "--runs-dir", str(tmp_path))
    before = bench(*words)[1]
    assert "wall time of a training step" not in before
    assert "time / s" not in before
    assert "— wall times of training steps: not measured" in before
    assert f"bench time sweeps/table_1.yaml runs_dir={tmp_path}" in before
    write_times(tmp_path, TABLE_1, "corrected", MS)
    after = bench(*words)[1]
    _, _, block = after.partition("**wall time of a training step**")
    (base,) = (line for line in block.splitlines() if line.startswith(f"| {BASE} |"))
    (other,) = (line for line in block.splitlines() if line.startswith(f"| {OTHER} |"))
    assert base == f"| {BASE} | baseline | 13.5 [11.8, 15.2] | 40 s |"
    assert other == f"| {OTHER} | **×2.00 [2.00, 2.00]** | 27.0 [23.5, 30.5] | 81 s |"
    assert "8 rounds, 1 thread of Abacus, 29 November 2026; compiled" in after
    assert "not measured" not in after


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # Conditions of the study are measured together, whichever of them are shown.
        (("table_1", "--condition", "report"), "bench time sweeps/table_1.yaml "),
        (("scalars=none,all",), "bench time scalars=none,all "),
        (
            ("scalars=none,all", "--condition", "report"),
            "bench time scalars=none,all --condition report ",
        ),
        (
            ("scalars=none,all", "--condition", "report,corrected"),
            "bench time scalars=none,all --condition report,corrected ",
        ),
    ],
)
def test_the_command_measures_what_the_table_shows(bench, tmp_path, words, expected):
    text = bench("tables", *words, "--format", "markdown", "--runs-dir", str(tmp_path))[1]
    (command,) = (line for line in text.splitlines() if line.startswith("bench time"))
    assert command == f"{expected}runs_dir={tmp_path}"


def test_of_a_busy_machine_ratios_are_shown_and_no_milliseconds(bench, tmp_path):
    write_times(tmp_path, TABLE_1, "corrected", MS, waited=0.3)
    words = ("tables", "1", "--condition", "corrected", "--format", "markdown")
    text = bench(*words, "--runs-dir", str(tmp_path))[1]
    assert f"| {OTHER} | **×2.00 [2.00, 2.00]** | — | — |" in text
    assert "The machine was busy: 30 % of the time was not ours; ratios stand" in text


def test_csv_has_the_numbers(bench, tmp_path):
    write_times(tmp_path, TABLE_1, "corrected", MS)
    out = tmp_path / "out"
    words = ("tables", "1", "--condition", "corrected", "--format", "csv", "--out", str(out))
    assert bench(*words, "--runs-dir", str(tmp_path))[0] == 0
    frame = pd.read_csv(out / "tables.csv").query("part == 'mean'").set_index("row")
    assert frame.step_ratio[OTHER] == 2.0
    assert frame.step_ratio[BASE] == 1.0
    assert frame["step / ms"][BASE] == 13.5


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[:-40], "times.json is damaged (it is not JSON"),
        (lambda text: "[1]", "times.json is damaged (it is not a mapping)"),
        (
            lambda text: text.replace('"schema": 1', '"schema": 9'),
            "a newer version of this program wrote it (layout 9,",
        ),
        (lambda text: text.replace('"threads": 1', '"threads": "x"'), "threads is 'x'"),
        (lambda text: text.replace("2026-11", "26-11"), "measured is '26-11"),
        (lambda text: text.replace("20.0,", "-20.0,"), "step 2: ms is not a positive number"),
        (lambda text: text.replace("20.0,", ""), "step 2: ms is not a positive number"),
        (lambda text: text.replace('"identity"', '"name"'), "step 1: identity is missing"),
        (lambda text: re.sub(r'(?s)"steps": .*\]\n', '"steps": []\n', text), "it has no steps"),
    ],
)
def test_a_damaged_file_is_a_line_and_no_hindrance(bench, tmp_path, change, problem):
    path = write_times(tmp_path, TABLE_1, "corrected", MS, name="times")
    path.write_text(change(path.read_text()))
    write_times(tmp_path, TABLE_1, "corrected", {**MS, OTHER: MS[BASE]}, name="whole")
    (one,), (line,) = timings(RunsFolder(tmp_path))
    assert one.name == "whole"
    assert line.startswith("left out: times of times: ")
    assert problem in line
    words = ("tables", "1", "--condition", "corrected", "--format", "markdown")
    status, text, _ = bench(*words, "--runs-dir", str(tmp_path))
    assert status == 0
    assert line in text
    assert f"| {OTHER} | ×1.00" in text


def test_tables_of_runs_hold_times(bench, tmp_path):
    folder = tmp_path / "runs"
    write(folder, ["condition=corrected"], 0, 0.02)
    path = write_times(folder, TABLE_1, "corrected", MS)
    table = tmp_path / "results.csv"
    _, said, _ = bench("results", "export", str(table), "--runs-dir", str(folder))
    assert f"times of steps in {tmp_path / 'results.times.json'}" in said
    found = times_of(TABLE_1, ["corrected"], Where((), table))
    assert found.steps == times_of(TABLE_1, ["corrected"], Where((), folder)).steps
    again = tmp_path / "again"
    assert bench("results", "import", str(table), "--runs-dir", str(again))[0] == 0
    assert (again / "times" / path.name).read_bytes() == path.read_bytes()
    assert bench("results", "import", str(table), "--runs-dir", str(again))[0] == 0
    path.unlink()
    assert bench("results", "export", str(table), "--runs-dir", str(folder))[0] == 0
    assert not (tmp_path / "results.times.json").exists()


def test_an_export_of_some_runs_has_their_times_alone(bench, tmp_path):
    write(tmp_path, ["condition=corrected"], 0, 0.02)
    write_times(tmp_path, TABLE_1, "corrected", MS, name="a")
    write_times(tmp_path, TABLE_1, "corrected", MS, name="b", overrides=["cutoff=4"])
    table = tmp_path / "results.csv"
    words = ("results", "export", "table_1", str(table), "--runs-dir", str(tmp_path))
    assert bench(*words)[0] == 0
    assert list(stored.read(table).times()) == ["a"]


@pytest.mark.parametrize("content", ["[", '{"../x": {"steps": []}}', '{"a": 1}', '{"a": {}}'])
def test_damaged_times_of_a_table_are_a_line(bench, tmp_path, content):
    write(tmp_path / "runs", ["condition=corrected"], 0, 0.02)
    table = tmp_path / "results.csv"
    bench("results", "export", str(table), "--runs-dir", str(tmp_path / "runs"))
    Path(tmp_path / "results.times.json").write_text(content)
    _, (line,) = timings(stored.read(table))
    assert "results.times.json is damaged" in line
    status, _, err = bench("results", "import", str(table), "--runs-dir", str(tmp_path / "x"))
    assert (status, err.count("\n")) == (2, 1)
    assert "results.times.json" in err


TINY = asked("scalars=none,cub_sqrt", "trainer.epochs=1")


@pytest.mark.usefixtures("tiny")
def test_from_the_command_line(bench, tmp_path):
    status, said, err = bench("time", *TINY, "--rounds", "6", "--steps", "2", "--eager")
    assert (status, err) == (0, "")
    (path,) = (tmp_path / "runs" / "times").iterdir()
    assert said.rstrip().endswith(str(path))
    content = json.loads(path.read_text())
    (timing,), damaged = timings(RunsFolder(tmp_path / "runs"))
    assert damaged == []
    assert {**timing.content(), "steps": []} == {**content, "steps": []}
    assert [one.label for one in timing.steps] == ["scalars=none", "scalars=cub_sqrt"]
    assert all(len(one.ms) == 6 and min(one.ms) > 0 for one in timing.steps)
    assert {(one.compiled, one.form, one.steps_a_run) for one in timing.steps} == {
        (False, "fused", 4)
    }
    assert (timing.threads, timing.device, timing.steps_a_turn) == (1, "cpu", 2)
    assert timing.waited is not None
    table = bench("tables", *TINY)[1]
    for text in (said, table):
        assert "wall time of a training step" in text
        assert re.search(r"scalars=none +baseline ", text)
        assert re.search(r"scalars=cub_sqrt +×\d+\.\d+ \[\d+\.\d+, \d+\.\d+\]\*? ", text)  # *: bold
    words = " ".join(table.split())
    assert f"Wall time of a training step ({timing.words}; eager)" in words


@pytest.mark.usefixtures("tiny")
def test_forms_are_rows_of_their_own(bench, tmp_path):
    words = asked("form=fused,reference", "compile=auto")
    assert bench("time", *words, "--rounds", "1", "--steps", "1", "--eager")[0] == 0
    (timing,), _ = timings(RunsFolder(tmp_path / "runs"))
    assert [one.form for one in timing.steps] == ["fused", "reference"]


@pytest.mark.usefixtures("tiny")
def test_rows_that_are_one_step_take_one_turn(bench, tmp_path):
    sheet = tmp_path / "mine.yaml"
    runs = [{"label": name, "overrides": []} for name in ("one", "same")]
    common = [*asked(), "condition=corrected"]
    sheet.write_text(json.dumps({"title": "Mine", "common": common, "runs": runs}))
    status, said, _ = bench("time", str(sheet), "--rounds", "1", "--steps", "1", "--eager")
    assert status == 0
    (timing,), _ = timings(RunsFolder(tmp_path / "runs"))
    assert [one.label for one in timing.steps] == ["one"]
    assert timing.name == "mine"
    assert re.search(r"same +×1.00 ", said)
    also = ("width=4", "--condition", "corrected", "--rounds", "1", "--steps", "1", "--eager")
    assert bench("time", str(sheet), *also)[0] == 0
    names = {one.name for one in timings(RunsFolder(tmp_path / "runs"))[0]}
    assert names == {"mine", "mine_width=4_condition=corrected"}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tabel_1"], "unknown sweep 'tabel_1'"),
        ([*asked("threads=1,2"), "--rounds", "1"], "rows ask for several threads (1, 2)"),
        (["scalars=none,abacus"], "unknown option scalars=abacus"),
        (["seed=3"], "seed=3: tables and figures take every seed there is"),
        ([*TINY, "--device", "abacus"], "device=abacus"),
    ],
)
def test_a_mistake_is_one_line(bench, tmp_path, words, expected):
    status, out, err = bench("time", *words)
    assert (status, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs" / "times").exists()


def test_networks_that_are_not_installed_have_no_turn(bench, monkeypatch):
    monkeypatch.setattr(surroundings, "is_installed", lambda name: False)
    status, out, err = bench("time", "model=painn,mace", "--rounds", "1", "--steps", "1")
    how = "not installed: pip install 'deepset-bench[peers]'"
    assert (status, out) == (2, "")
    assert f"model=painn: {how}; model=mace: {how}" in err


def test_a_table_takes_no_times(bench, tmp_path):
    write(tmp_path / "runs", ["condition=corrected"], 0, 0.02)
    table = tmp_path / "results.csv"
    bench("results", "export", str(table), "--runs-dir", str(tmp_path / "runs"))
    status, _, err = bench("time", "table_1", "--runs-dir", str(table))
    assert status == 2
    assert "is a table, which takes no times; name a folder" in err
