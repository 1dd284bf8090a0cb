"""Factors of a full factorial design: against a regression, and as tables show them."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from deepset_bench.replicate import Replicate
from deepset_bench.study.collect import Where
from deepset_bench.study.layout import Section
from deepset_bench.study.main_effects import factors
from deepset_bench.study.sections import page
from deepset_bench.study.tables import build
from deepset_bench.sweep.comparisons import Axis, of_axes
from tests.study.folders import write
from tests.study.shipped import asked_for

AXES = (Axis("a", ("0", "1")), Axis("b", ("0", "1")), Axis("c", ("x", "y", "z")))


def errors(seeds: int = 4) -> dict[tuple[str, ...], dict[Replicate, float]]:
    """log error = 0.3 a - 0.2 b + 0.1 a b + (0, 0.05, 0.4)[c] + noise."""
    rng, of_c = np.random.default_rng(0), {"x": 0.0, "y": 0.05, "z": 0.4}
    found = {}
    for a, b, c in product(*(axis.options for axis in AXES)):
        mean = 0.3 * int(a) - 0.2 * int(b) + 0.1 * int(a) * int(b) + of_c[c]
        found[a, b, c] = {
            Replicate(seed): math.exp(mean + rng.normal(0, 0.05)) for seed in range(seeds)
        }
    return found


def test_each_factor_is_that_of_a_regression():
    """Least squares on effect-coded factors, seed by seed, has the same coefficients."""
    values = errors()
    found = {one.name: one.effect for one in factors(AXES, values)}
    assert list(found)[:4] == ["a: 0 → 1", "b: 0 → 1", "c: x → y", "c: x → z"]
    assert len(found) == 4 + 5  # pairs of options of different axes
    cells = list(product(*(axis.options for axis in AXES)))
    half = [[int(a) - 0.5, int(b) - 0.5] for a, b, _ in cells]
    other = [[float(c == "y"), float(c == "z")] for *_, c in cells]
    design = np.array(
        [
            [1.0, *ab, *(of - np.mean(other, axis=0)), ab[0] * ab[1]]
            for ab, of in zip(half, np.array(other), strict=True)
        ]
    )
    for seed in range(4):
        logs = [math.log(values[cell][Replicate(seed)]) for cell in cells]
        _, a, b, y, z, ab = np.linalg.lstsq(design, np.array(logs), rcond=None)[0]
        wanted = {"a: 0 → 1": a, "b: 0 → 1": b, "c: x → y": y, "c: x → z": z,
                  "a: 0 → 1 × b: 0 → 1": ab}  # fmt: skip
        for name, coefficient in wanted.items():
            assert found[name].changes[seed] == pytest.approx(coefficient, abs=1e-12)


def test_only_seeds_that_every_combination_has():
    values = errors()
    del values["0", "1", "z"][Replicate(2)]
    values["1", "1", "x"][Replicate(3)] = 0.0
    assert {one.effect.n for one in factors(AXES, values)} == {2}
    assert factors(AXES, {}) == []
    assert factors(AXES[:1], {("0",): {Replicate(0): 1.0}, ("1",): {Replicate(0): 2.0}}) == []


def test_a_table_of_axes_shows_its_factors(tmp_path):
    """Twice the width halves the error, whatever the scalars are."""
    typed = ["width=8,16", "scalars=none,cub_sqrt"]
    for seed in range(3):
        for width, scalars in product((8, 16), ("none", "cub_sqrt")):
            write(tmp_path, [f"width={width}", f"scalars={scalars}"], seed, 0.02 * 8 / width)
    table = build(of_axes(typed), [""], Where((), tmp_path))
    blocks: dict[str, Section] = {one.heading: one for one in page(table, "mev", ["mean"]).blocks}
    rows = {row[0].plain: row[1:] for row in blocks["energy MAE: what each factor changes"].rows}
    assert rows["width: 8 → 16"][1].plain.startswith("−50.0 %")
    assert rows["scalars: none → cub_sqrt"][1].plain.startswith("+0.0 %")
    assert [row[0].plain for row in rows.values()] == ["3"] * 3
    listed = page(build(asked_for("moe"), [""], Where((), tmp_path)), "mev", ["mean"])
    assert not any("factor" in one.heading for one in listed.blocks)


def test_factors_of_runs_that_carry_looks_are_judged_by_looks(tmp_path):
    """An effect that a test with this number of seeds finds, and the first look does not."""
    typed = ["width=8,16", "scalars=none,cub_sqrt"]
    stamp = {"study": "s", "hash": "h", "time": "2026-01-01T08:00:00+00:00"}
    for rule, marked in (
        ({"seeds": 3}, "bold"),
        ({"looks": [3, 5]}, "open"),
        ({"looks": [3]}, "(3)"),
    ):
        mark = {"registered": [stamp | {"rule": rule}], "started": "2026-01-01T09:00:00+00:00"}
        for seed, noise in enumerate((0.9, 1.0, 1.1)):
            for width, scalars in product((8, 16), ("none", "cub_sqrt")):
                error = 0.02 * (noise * 1.9 if width == 16 else 1.0)
                forces = 0.02 * (1.0 + 0.3 * seed * (width == 16))
                write(
                    tmp_path, [f"width={width}", f"scalars={scalars}"], seed, error, forces, **mark
                )
        table = build(of_axes(typed), [""], Where((), tmp_path))
        shown = page(table, "mev", ["mean"])
        (block,) = [one for one in shown.blocks if one.heading.startswith("energy MAE: what")]
        cell = block.rows[0][2]
        assert cell.plain.startswith("+89 %")
        assert cell.bold == (marked != "open")
        assert cell.plain.endswith("(3)") == (marked == "(3)")
        note = next(line for line in shown.notes if line.startswith("Factors:"))
        assert ("found by the look at n seeds" in note) == (marked != "bold")


def test_the_flaws_are_every_combination():
    sweep = asked_for("flaws_factorial")
    assert [len(axis.options) for axis in sweep.axes] == [2, 2, 2, 2]
    assert len({row.options(sweep.axes) for row in sweep.runs}) == len(sweep.runs) == 16
    assert sweep.runs[0].label == sweep.baseline
