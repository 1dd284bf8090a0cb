"""Runs of one variant: by the seed, and by a seed of the split alone."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.config import experiment
from deepset_bench.config_file import determinants
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.replicate import Replicate, overrides, words
from deepset_bench.results import exporting, stored
from deepset_bench.runs import RunsFolder, run_folder, runs_root
from deepset_bench.study.collect import Where, collect
from deepset_bench.study.tables import build, by_seed
from deepset_bench.sweep.axes import combinations
from deepset_bench.sweep.comparisons import of_axes
from deepset_bench.sweep.plan import plan
from tests.study.folders import write
from tests.test_cli import inside
from tests.training.tiny import EVEN, UNMOVED, asked, run, run_seeds

GRID = [Replicate(seed, split) for split in (0, 1) for seed in (0, 1, 2)]
replicates = st.builds(Replicate, st.integers(0, 99), st.none() | st.integers(0, 99))


@given(replicates)
def test_a_name_comes_back(one):
    assert Replicate.named(str(one)) == one


@pytest.mark.parametrize("name", ["seed-", "seed-x", "seeds-0-1", "seed-1-split", "seed-1-split-x"])
def test_no_name_of_a_run(name):
    assert Replicate.named(name) is None


@settings(deadline=None, max_examples=30)
@given(st.lists(replicates, min_size=1, max_size=12))
def test_what_asks_for_runs_asks_for_these_alone(some):
    found = [
        Replicate.of(experiment(line).config)
        for lines in overrides(some)
        for line in combinations(lines)
    ]
    assert sorted(found) == sorted(set(some))


def test_words():
    assert words([Replicate(2), Replicate(0)]) == "seed 0, 2"
    some = [Replicate(1, 4), Replicate(0), Replicate(0, 4)]
    assert words(some) == "seed 0; split 4, seed 0, 1"
    assert overrides(GRID) == [["data.split_seed=0,1", "seed=0,1,2"]]
    assert [str(one) for one in sorted(some)] == ["seed-0", "seed-0-split-4", "seed-1-split-4"]


def test_the_split_is_of_the_run_and_not_of_the_variant():
    usual, other = experiment([]), experiment(["data.split_seed=7"])
    assert usual.variant == other.variant == "baseline"
    assert run_folder(other).path == run_folder(usual).path.with_name("seed-0-split-7")
    assert "split_seed" not in determinants(usual.config)["data"]
    assert usual.identity("data") != other.identity("data")
    assert usual.config.drawing_seed == 0
    assert other.config.drawing_seed == 7
    for value, reason in (("-1", "must not be negative"), (str(2**63), r"must be less than 2\^63")):
        with pytest.raises(UserError, match=rf"data\.split_seed={value} {reason}"):
            experiment([f"data.split_seed={value}"])


@pytest.mark.usefixtures("tiny")
def test_a_run_has_the_split_of_the_one_and_the_weights_of_the_other():
    short = ("trainer.epochs=1", *UNMOVED, EVEN)
    plain = {seed: run(*short, f"seed={seed}").folder for seed in (0, 1)}
    mixed = run(*short, "seed=1", "data.split_seed=0").folder
    assert mixed.path == plain[1].path.with_name("seed-1-split-0")
    splits = [Split.load(folder.split) for folder in (mixed, plain[0], plain[1])]
    for part in ("train", "val", "test", "held_out"):
        mine, same, another = (getattr(one, part) for one in splits)
        np.testing.assert_array_equal(mine, same)
        assert not np.array_equal(mine, another)
    weights = [torch.load(folder.best)["potential"] for folder in (mixed, plain[1], plain[0])]
    name = next(n for n, t in weights[0].items() if t.dim() == 2 and t.std() > 0.1)
    torch.testing.assert_close(weights[0][name], weights[1][name], atol=1e-4, rtol=1e-3)
    assert not torch.allclose(weights[0][name], weights[2][name], atol=1e-2)
    records = RunsFolder(runs_root(None))
    found = records.replicates(mixed.path.parent)
    assert found == [Replicate(0), Replicate(1), Replicate(1, 0)]


@pytest.mark.usefixtures("tiny")
def test_seeds_of_one_split_are_stacked_and_evaluated_as_one(monkeypatch, capsys, tmp_path):
    short = ("trainer.epochs=1", "gating.experts=1", *UNMOVED, EVEN, "data.split_seed=5")
    outcomes = run_seeds(*short, seeds=[0, 1])
    assert [outcome.folder.path.name for outcome in outcomes] == [
        *("seed-0-split-5", "seed-1-split-5"),
    ]
    assert all(outcome.result["stack"] == 2 for outcome in outcomes)
    one, other = (Split.load(outcome.folder.split) for outcome in outcomes)
    np.testing.assert_array_equal(one.train, other.train)
    paths = [str(outcome.folder.path) for outcome in outcomes]
    status, out, err = inside(monkeypatch, capsys, "evaluate", *paths, "part=held_out")
    assert (status, err) == (0, "")
    assert "0 of 34 frames (0 %) are training frames" in out
    home = outcomes[0].folder.path.parent
    (kept,) = RunsFolder(runs_root(None)).together(home)
    assert kept == "seeds-0-split-5-1-split-5/evaluation/tiny-held_out"
    records = RunsFolder(runs_root(None))
    exporting.export(records, records.every(), tmp_path / "t.csv")
    table = stored.read(tmp_path / "t.csv")
    there = table.root / home.relative_to(records.root)
    assert table.replicates(there) == [Replicate(0, 5), Replicate(1, 5)]
    assert list(table.together(there)) == [kept]
    assert inside(monkeypatch, capsys, "evaluate", paths[0], "seed=3")[0] == 0
    assert (outcomes[0].folder.path / "evaluation" / "tiny-random-7-seed-3").is_dir()


@pytest.mark.usefixtures("tiny")
def test_status_says_which(monkeypatch, capsys):
    run("trainer.epochs=1", *UNMOVED, "seed=3", "data.split_seed=2")
    status, out, _ = inside(monkeypatch, capsys, "status", "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["seed"], found["split"]) == (3, 2)
    words = asked("trainer.epochs=1", *UNMOVED, "data.split_seed=2")
    assert "seed-3-split-2" in inside(monkeypatch, capsys, "status", *words)[1]
    assert "seed-3" not in inside(monkeypatch, capsys, "status", "data.split_seed=1")[1]


def test_a_sweep_lists_splits_and_seeds():
    found = plan(["scalars=none,all", "data.split_seed=0,1"], seeds=2)
    assert len(found.runs) == 8
    assert {run.folder.path.name for run in found.runs} == {
        f"seed-{seed}-split-{split}" for seed in (0, 1) for split in (0, 1)
    }
    typed = of_axes(["scalars=none,all", "data.split_seed=0,1", "seed=0,1"])
    assert [row.label for row in typed.runs] == ["scalars=none", "scalars=all"]
    assert plan(["name=own", "data.split_seed=0,1"], seeds=1).repeated == 0


def test_tables_pair_within_a_split(tmp_path):
    """A baseline on two splits, one of which is harder; a variant that is better by a tenth."""
    hard = {0: 0.020, 1: 0.030}
    for one in GRID:
        which = ["condition=corrected", f"data.split_seed={one.split}"]
        energy = hard[int(one.split or 0)] + 0.0001 * one.seed
        write(tmp_path, which, one.seed, energy)
        if one != GRID[-1]:
            write(tmp_path, [*which, "scalars=all"], one.seed, 0.9 * energy)
    write(tmp_path, ["condition=corrected", "scalars=all"], 0, 0.5)  # of no split of the others
    sweep = of_axes(["scalars=none,all"])
    where = Where((), tmp_path)
    runs = collect(sweep, ["corrected"], where)
    assert sorted(set(runs.replicate)) == [Replicate(0), *GRID]
    assert list(runs.split[:2]) == [None, 0]
    base, ours = (
        by_seed(runs[runs.label == f"scalars={name}"], "energy_mean") for name in ("none", "all")
    )
    assert sorted(base) == GRID
    assert sorted(ours) == [Replicate(0), *GRID[:-1]]
    table = build(sweep, ["corrected"], where)
    (row,) = table.frame[(table.frame.row == "scalars=all") & (table.frame.part == "mean")].to_dict(
        "records"
    )
    assert row["energy_n_shared"] == 2  # the runs of a split are one value
    assert row["energy_change"] == pytest.approx(-0.1)
    assert row["energy_change_high"] == pytest.approx(-0.1)  # the same in every pair
    assert any("over 5 of its 6 seeds" in note for note in table.notes)
    missing = dict(table.missing)
    assert missing["scalars=none, corrected, seed 0: not run"].endswith(
        f"condition=corrected runs_dir={shlex.quote(str(tmp_path))} seed=0"
    )
    (command,) = (c for what, c in table.missing if "split 1, seed 2: not run" in what)
    assert command.endswith("data.split_seed=1 seed=2")


def test_tables_take_every_replicate():
    with pytest.raises(UserError, match=r"data\.split_seed=1: tables and figures take every seed"):
        Where(("data.split_seed=1",))
