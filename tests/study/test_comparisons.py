"""Every sweep file composes under each of its conditions, every row a variant of its own."""

from __future__ import annotations

import pytest

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.replicate import Replicate
from deepset_bench.runs import run_folder
from deepset_bench.study.collect import IMPOSSIBLE, Where, collect, conditions_of
from deepset_bench.study.gaps import gaps
from deepset_bench.study.tables import build
from deepset_bench.sweep import comparisons
from tests.study.shipped import GENERALISATION, PRINTED, REPORT, asked_for

SWEEPS = REPORT.tables
SCALARS = {"table_7": ["x3", "sqrt"]}


def folders(sweep: comparisons.Comparison, condition: str) -> list[str]:
    return [
        str(run_folder(experiment([*run.overrides, f"condition={condition}"])).path)
        for run in sweep.runs
    ]


@pytest.mark.parametrize(
    ("sweep", "condition"),
    [(one, name) for one in SWEEPS for name in conditions_of(one, ["report", "corrected"])],
    ids=lambda it: getattr(it, "name", it),
)
def test_rows_are_distinct_variants(sweep, condition):
    found = folders(sweep, condition)
    assert len(set(found)) == len(found) == len(sweep.runs)


@pytest.mark.parametrize("condition", ["report", "corrected"])
def test_twenty_distinct_runs(condition):
    every = folders(asked_for("report"), condition)
    assert len(set(every)) == 20
    tables = {path for n in range(1, 8) for path in folders(asked_for(str(n)), condition)}
    assert tables == set(every)


def test_a_command_to_type_gives_each_key_once():
    row = comparisons.Row("wide", ("width=64", "condition=report"))
    words = Where(("width=8",)).command(row, "report", [Replicate(3)]).split()
    assert words == ["bench", "train", "width=8", "condition=report", "seed=3"]


@pytest.mark.parametrize("number", range(1, 8))
def test_a_run_is_what_the_report_says(number):
    """Scalars, layers, aggregation and extension of the printed columns."""
    sweep = asked_for(str(number))
    runs = {run.label: experiment(run.overrides).config for run in sweep.runs}
    for entry in PRINTED.content[f"table_{number}"]["columns"]:
        if "same_as" in entry:
            continue
        config = runs[entry["label"]]
        assert config.scalars == entry.get("scalars", SCALARS.get(sweep.name, []))
        assert config.gnn.kind == entry.get("gnn", "none")
        assert config.gnn.layers == entry.get("layers", int("gnn" in entry))
        assert config.rbf.transforms == entry.get("rbf", [])
        pooled = "max" if config.gnn.kind == "edge" else "mean"
        assert config.aggregation == entry.get("aggregation", pooled)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "must be a mapping"),
        ("title: a\nbaseline: x", "needs runs or axes"),
        ("title: a\nbaseline: x\nruns: []", "runs must be a list"),
        (
            "title: a\nbaseline: y\nruns: [{label: x, overrides: []}]",
            "no run has the label of the baseline, 'y'",
        ),
        ("title: a\nbaseline: x\nrun: 1\nruns: []", "unknown key 'run'; did you mean runs"),
        (
            "title: a\nbaseline: x\nruns: [{label: x, overrides: []}, {label: x, overrides: []}]",
            "the label 'x' is another run's already",
        ),
        (
            "title: a\nbaseline: x\nruns: [{label: x, overrides: gnn=gat}]",
            "must be a list of overrides",
        ),
        (
            "title: a\nbaseline: x\nruns: [{label: x, overrides: [seed=3]}]",
            "runs, entry 1: seed=3: rows share their seeds; write it under common",
        ),
        ("title: a\nruns_of: own", "runs_of=own takes its runs from another sweep; name that one"),
        ("title: a\nruns_of: none", "none.yaml: cannot be read"),
        ("title: a\nruns_of: own\nruns: [{label: x, overrides: []}]", "both runs and runs_of"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(tmp_path, text, expected):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=expected) as caught:
        comparisons.read(path)
    assert "\n" not in str(caught.value)


def test_ones_own_file_is_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "title: a\nbaseline: x\nruns: [{label: x, overrides: [gnn=gat]}]"
    (tmp_path / "own.yaml").write_text(text)
    sweep = asked_for("own.yaml")
    assert (sweep.name, sweep.file) == ("own", ("own.yaml",))
    built = build(sweep, ["corrected"], Where((), tmp_path / "runs"))
    assert built.missing[0][1].startswith("bench sweep own.yaml condition=corrected ")
    assert asked_for("sweeps/table_1.yaml").file == ("sweeps/table_1.yaml",)
    with pytest.raises(UserError, match=r"unknown sweep 'other\.yaml'"):
        asked_for("other.yaml")


def test_a_sweep_makes_anothers_runs_again(tmp_path):
    (tmp_path / "first.yaml").write_text(
        "title: a\ncommon: [seed=3]\nruns: [{label: x, overrides: [gnn=gat]}]"
    )
    path = tmp_path / "own.yaml"
    path.write_text("title: b\nbaseline: x\nruns_of: first\ncommon: [width=64]")
    (run,) = comparisons.read(path).runs
    assert (run.label, run.overrides) == ("x", ("width=64", "gnn=gat"))


@pytest.mark.parametrize("overrides", [("width=8",), ("rbf.size=8",), ("gnn.layers=2",)])
def test_a_sweep_that_cannot_take_an_override_is_left_out_in_a_line(overrides, tmp_path):
    where = Where(overrides, tmp_path)
    for sweep in [s for s in GENERALISATION.unseen if "leave_one_out" in s.name]:
        runs = collect(sweep, ["corrected"], where)
        found = gaps(sweep, runs, ["corrected"], where)
        impossible = (runs.state == IMPOSSIBLE).all()
        lines = [text for text, _ in found if text.startswith(f"{sweep.name}: left out, no run")]
        assert len(lines) == impossible
        assert not impossible or len(found) == 1


def test_an_override_that_no_sweep_can_take_is_a_mistake(tmp_path):
    for text, expected in (("width=x", "width"), ("nokey=3", "unknown group or key 'nokey'")):
        with pytest.raises(UserError, match=expected):
            collect(asked_for("1"), ["report"], Where((text,), tmp_path))
