"""Runs of one split are one draw of frames, however many seeds they have."""

from __future__ import annotations

import math

import pytest

from deepset_bench.replicate import Replicate
from deepset_bench.study.collect import Where
from deepset_bench.study.draws import independent
from deepset_bench.study.effect import effect
from deepset_bench.study.statistics import estimate
from deepset_bench.study.tables import build
from deepset_bench.sweep.comparisons import of_axes
from deepset_bench.units import HARTREE
from tests.study.folders import write


def grid(*splits: tuple[float, ...]) -> dict[Replicate, float]:
    """Values of seeds 0, 1, ... on each split."""
    return {
        Replicate(seed, split): value
        for split, values in enumerate(splits)
        for seed, value in enumerate(values)
    }


def test_seeds_that_draw_their_split_are_independent():
    values = {Replicate(2): 3.0, Replicate(0): 1.0, Replicate(1): 2.0}
    assert independent(values) == [1.0, 2.0, 3.0]
    assert independent({}) == []


def test_runs_of_one_split_are_one_value():
    assert independent(grid((1.0, 3.0), (4.0, 4.0), (5.0,))) == [2.0, 4.0, 5.0]


def test_runs_of_one_split_alone_are_told_apart():
    """There is no other scatter; a note says what it does not show."""
    assert independent(grid((1.0, 3.0))) == [1.0, 3.0]


def test_the_same_run_counts_once():
    """A split that seed 0 draws is the same whether it is asked for or not."""
    assert independent({Replicate(0): 1.0, Replicate(0, 0): 1.0}) == [1.0]
    both = {Replicate(0): 1.0, Replicate(0, 0): 1.0, Replicate(1, 0): 4.0, Replicate(1): 5.0}
    assert independent(both) == [2.5, 5.0]


def test_a_change_over_a_grid_is_as_sure_as_its_splits():
    variant = grid((1.0, 1.0, 1.0), (2.0, 2.0, 2.0))
    one = effect("", variant, dict.fromkeys(variant, 1.0))
    assert one.changes == pytest.approx((0.0, math.log(2)))
    assert one.n == 2


def test_a_table_says_what_runs_of_one_split_count_as(tmp_path):
    lines = ["gnn=none,sage", "data=but-2-ene"]
    for gnn, error in (("none", 0.02), ("sage", 0.01)):
        for split in range(3):
            for seed in range(2):
                more = [f"gnn={gnn}", "data=but-2-ene", f"data.split_seed={split}"]
                write(tmp_path, more, seed, error * (1 + 0.1 * split + 0.01 * seed))
    table = build(of_axes(lines), [""], Where((), tmp_path))
    row = table.frame[(table.frame.row == "gnn=sage") & (table.frame.part == "mean")].iloc[0]
    means = [0.01 * (1.005 + 0.1 * split) for split in range(3)]
    assert (row.n, row.energy_n_shared) == (6, 3)
    assert row.energy_mean == pytest.approx(sum(means) / 3 * HARTREE)
    assert row.energy_half == pytest.approx(estimate(means).half * HARTREE)
    assert any(note.startswith("Some runs share their split.") for note in table.notes)
    write(tmp_path, ["gnn=edge", "data=but-2-ene", "data.split_seed=0"], 0, 0.01)
    write(tmp_path, ["gnn=edge", "data=but-2-ene", "data.split_seed=0"], 1, 0.01)
    one = build(of_axes(["gnn=edge,gat", "data=but-2-ene"]), [""], Where((), tmp_path))
    assert any(note.startswith("All runs of a row are of one split") for note in one.notes)
