"""What scatters: the split, the seed, or both together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deepset_bench.replicate import Replicate
from deepset_bench.study.collect import Where
from deepset_bench.study.render import markdown
from deepset_bench.study.scatter import NOTE, Components, components, grid, pooled, two_way
from deepset_bench.study.sections import page
from deepset_bench.study.tables import build
from deepset_bench.sweep.comparisons import of_axes
from tests.study.folders import write


def test_a_table_of_four():
    """Mean squares 6.25 of rows, 2.25 of columns, 0.25 of the rest."""
    found = two_way(np.array([[1.0, 2.0], [3.0, 5.0]]))
    assert (found.split, found.seed, found.both) == pytest.approx((3.0, 1.0, 0.25))
    assert found.shape == (2, 2)


@pytest.mark.parametrize("spreads", [(0.1, 0.03, 0.02), (0.0, 0.05, 0.05), (0.08, 0.0, 0.04)])
def test_the_variances_of_simulated_errors_are_found(spreads):
    rng = np.random.default_rng(0)
    tables = [
        rng.normal(0, spreads[0], (4, 1)) + rng.normal(0, spreads[1], (1, 5)) + rest
        for rest in rng.normal(0, spreads[2], (4000, 4, 5))
    ]
    found = pooled(map(two_way, tables))
    wanted = [spread**2 for spread in spreads]
    assert [found.split, found.seed, found.both] == pytest.approx(wanted, rel=0.1, abs=1e-4)


def test_effects_without_a_rest():
    splits, seeds = np.array([0.1, 0.3, 0.2]), np.array([0.0, 0.04])
    table = np.exp(splits[:, None] + seeds)
    values = {Replicate(j, i): float(table[i, j]) for i in range(3) for j in range(2)}
    found = components(values)
    assert found is not None
    wanted = [100 * splits.std(ddof=1), 100 * seeds.std(ddof=1), 0]
    assert found.percent == pytest.approx(wanted, abs=1e-5)
    assert Components(-1.0, 0.01, 0.0).percent == pytest.approx((0, 10, 0))


def test_the_largest_grid_without_a_gap():
    def of(*runs: tuple[int, int]) -> np.ndarray | None:
        values = {Replicate(seed, split): 10.0 * split + seed for split, seed in runs}
        return grid(values | {Replicate(seed): 99.0 for seed in range(5)})

    assert of((0, 0), (0, 1), (1, 0)) is None
    assert of((0, 0), (0, 1), (0, 2)) is None
    two = of((0, 0), (0, 1), (1, 1), (1, 0), (2, 4))
    assert two is not None
    assert two.tolist() == [[0, 1], [10, 11]]
    many = of(*((split, seed) for split in range(3) for seed in range(4)), (3, 0), (3, 1))
    assert many is not None
    assert many.shape == (3, 4)
    assert components({Replicate(i, j): 0.0 for i in (0, 1) for j in (0, 1)}) is None


def test_a_table_says_where_the_scatter_is_from(tmp_path):
    sweep = of_axes(["scalars=none,all"])
    where = Where((), tmp_path)

    def shown() -> str:
        return markdown(page(build(sweep, ["corrected"], where), "hartree", ["mean"]))

    for seed in range(2):
        for split in range(3):
            own = [f"data.split_seed={split}", "condition=corrected"]
            energy = 0.02 * math.exp(0.1 * split + 0.02 * seed)
            write(tmp_path, own, seed, energy)
            if seed == 0:
                assert NOTE not in shown()
    text = shown()
    assert NOTE in text
    assert "**energy MAE: scatter over splits and seeds, in %**" in text
    lines = text.splitlines()
    energy, forces = (line for line in lines if line.startswith("| scalars=none | 3 × 2 |"))
    assert energy == "| scalars=none | 3 × 2 | 10.0 | 1.4 | 0.0 |"
    assert forces == "| scalars=none | 3 × 2 | 0.0 | 0.0 | 0.0 |"
    assert not any(line.startswith("| all of these") for line in lines)
    for seed in range(2):
        for split in range(3):
            own = ["scalars=all", f"data.split_seed={split}", "condition=corrected"]
            write(tmp_path, own, seed, 0.02)
    (row,) = (line for line in shown().splitlines() if "*all of these*" in line and "7.1" in line)
    assert row == "| *all of these* | — | 7.1 | 1.0 | 0.0 |"
