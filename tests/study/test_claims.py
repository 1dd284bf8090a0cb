"""Verdicts: the rule on its own, and each claim from run folders."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deepset_bench.replicate import Replicate
from deepset_bench.scoring.table import chosen
from deepset_bench.study.claimed import Claim, claimed
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where
from deepset_bench.study.effect import effect
from deepset_bench.study.verdict import (
    AS_CLAIMED,
    EQUAL,
    HOLDS,
    IN_DIRECTION,
    LARGER,
    NO,
    NOT_ALL,
    REVERSED,
    SMALLER,
    UNDECIDED,
    WORDS,
    YES,
    Claimed,
    is_equal,
    judge,
)
from deepset_bench.sweep import studies
from tests.study.folders import write, write_times
from tests.study.shipped import PRINTED, REPORT, asked_for


def seeds(*values: float) -> dict[Replicate, float]:
    return {Replicate(seed): value for seed, value in enumerate(values)}


def of(*changes: float):
    """An effect against a baseline of 1 in every seed, in fractions of it."""
    variant = seeds(*(1 + value for value in changes))
    return effect("a against b", variant, dict.fromkeys(variant, 1.0))


CLAIMS = [one for one in claimed(REPORT) if isinstance(one, Claim)]
UP, DOWN, NEITHER = of(0.4, 0.42, 0.41), of(-0.4, -0.42, -0.41), of(-0.5, 0.4, 0.2)
SAME = of(0.001, -0.001, 0.0005)
MARGIN = 0.05


@pytest.mark.parametrize(
    ("effects", "way", "size", "direction", "of_size", "matters", "word"),
    [
        ([UP], 1, None, YES, "", YES, HOLDS),
        ([UP], 1, 0.41, YES, AS_CLAIMED, YES, HOLDS),
        ([UP], 1, 2.0, YES, SMALLER, YES, SMALLER),
        ([UP], 1, 0.2, YES, LARGER, YES, LARGER),
        ([of(0.2, 0.9, 0.5, 0.4)], 1, 0.5, YES, UNDECIDED, YES, IN_DIRECTION),
        ([UP], -1, None, REVERSED, "", UNDECIDED, REVERSED),
        ([UP], -1, 0.5, REVERSED, SMALLER, UNDECIDED, REVERSED),
        ([DOWN], -1, 0.41, YES, AS_CLAIMED, YES, HOLDS),
        ([NEITHER], 1, None, UNDECIDED, "", UNDECIDED, UNDECIDED),
        ([NEITHER], 1, 99.0, UNDECIDED, SMALLER, UNDECIDED, SMALLER),
        ([SAME], 1, None, UNDECIDED, "", NO, EQUAL),
        ([of(0.011, 0.01, 0.009)], 1, None, YES, "", NO, HOLDS),
        ([UP, DOWN], 1, None, REVERSED, "", UNDECIDED, REVERSED),
        ([UP, NEITHER], 1, None, UNDECIDED, "", UNDECIDED, UNDECIDED),
        ([UP, SAME], 1, None, UNDECIDED, "", NOT_ALL, NOT_ALL),
        ([SAME, SAME], 1, None, UNDECIDED, "", NO, EQUAL),
        ([UP, UP], 1, 0.3, YES, LARGER, YES, LARGER),
        ([of(0.4)], 1, 99.0, UNDECIDED, UNDECIDED, UNDECIDED, UNDECIDED),
        ([of()], 1, None, UNDECIDED, "", UNDECIDED, UNDECIDED),
        ([UP, of()], 1, None, UNDECIDED, "", UNDECIDED, UNDECIDED),
        ([], 1, None, UNDECIDED, "", UNDECIDED, UNDECIDED),
    ],
)
def test_direction_size_and_margin_are_judged_apart(
    effects, way, size, direction, of_size, matters, word
):
    found = judge(effects, Claimed(way, size), MARGIN)
    assert (found.direction, found.size, found.matters) == (direction, of_size, matters)
    assert found.word == word
    assert found.at == (0 if direction == UNDECIDED else 3 if len(effects[0].changes) == 3 else 4)


def test_at_least_is_met_by_more():
    assert judge([UP], Claimed(1, 0.2, at_least=True), MARGIN).word == HOLDS
    assert judge([UP], Claimed(1, 0.5, at_least=True), MARGIN).word == SMALLER
    assert judge([UP], Claimed(1, 0.41, at_least=True), MARGIN).word == IN_DIRECTION


@pytest.mark.parametrize(
    ("effects", "direction"),
    [([SAME], YES), ([SAME, SAME], YES), ([UP], REVERSED), ([SAME, DOWN], REVERSED),
     ([NEITHER], UNDECIDED), ([SAME, NEITHER], UNDECIDED), ([of(0.0)], UNDECIDED)],
)  # fmt: skip
def test_equality_is_a_verdict(effects, direction):
    assert judge(effects, Claimed(0), MARGIN).direction == direction


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8), st.floats(0.01, 0.3))
def test_equality_is_two_one_sided_tests(logarithms, margin):
    if np.ptp(logarithms) < 1e-3:
        return
    variant = seeds(*map(math.exp, logarithms))
    one = effect("", variant, dict.fromkeys(variant, 1.0))
    bound = math.log1p(margin)
    p = max(
        stats.ttest_1samp(logarithms, -bound, alternative="greater").pvalue,
        stats.ttest_1samp(logarithms, bound, alternative="less").pvalue,
    )
    if abs(p - 0.05) > 1e-6:
        assert is_equal(one, margin) == (p < 0.05)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=8), st.floats(0.1, 10))
def test_twice_and_half_are_as_far_from_no_change(values, base):
    """A ratio does not depend on which of the two is called the baseline."""
    a, b = seeds(*values), seeds(*[base] * len(values))
    there, back = effect("", a, b), effect("", b, a)
    assert there.p == pytest.approx(back.p, abs=1e-9)
    assert 1 + there.change().mean == pytest.approx(1 / (1 + back.change().mean), rel=1e-9)


def test_what_is_not_positive_is_a_difference():
    one = effect("", seeds(1.0, -1.0, 4.0), seeds(1.0, 1.0, 1.0, 9.0))
    assert (one.changes, one.relative) == ((0.0, -2.0, 3.0), False)
    assert judge([one], Claimed(1, 0.5), MARGIN).size == UNDECIDED


def test_comparisons_widen_the_interval_that_speaks_against():
    low = of(-0.1, -0.2, -0.15)
    assert judge([low], Claimed(1), MARGIN).direction == REVERSED
    assert judge([low] + 9 * [NEITHER], Claimed(1), MARGIN).direction == UNDECIDED


def test_claims_name_runs_that_exist():
    every = {v for claim in CLAIMS for v, _ in claim.pairs if claim.claimed.size == 0.17}
    assert every == {
        r.label for r in asked_for("report").runs if r.label[:3] in ("SAG", "EDG", "GAT")
    }


def test_claimed_sizes_are_those_of_the_printed_numbers():
    improvement, layers, alone, _, _, conflict, gat, *_ = CLAIMS
    printed = PRINTED.printed
    assert improvement.claimed.size == pytest.approx(0.391, abs=5e-4)
    assert conflict.claimed.size + 1 == pytest.approx(8.29391 / 0.027451, rel=1e-3)
    ratio = printed("EDGE no scalar")["energy", "mean"] / printed("GAT x3 sqrt")["energy", "mean"]
    assert ratio - 1 == pytest.approx(0.63, abs=5e-3)
    assert gat.claimed.size == pytest.approx(1 - 1 / ratio, abs=5e-4)

    def changes(claim):
        each = ((printed(v), printed(base)) for v, base in claim.pairs)
        return [ours["energy", "mean"] / theirs["energy", "mean"] - 1 for ours, theirs in each]

    assert min(changes(layers)) == pytest.approx(0.177, abs=5e-4)
    assert sum(change < 0 for change in changes(alone)) == 2


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """The report's best scalars help by 40 % as it did, and do harm once corrected."""
    root = tmp_path_factory.mktemp("runs")
    for condition, factor, forces in (("report", 0.6, 0.027), ("corrected", 1.3, 0.001)):
        for run in asked_for("report").runs:
            for seed in range(3):
                energy = (0.02 + 0.001 * seed) * (factor if run.label == "x3 sqrt" else 1.0)
                shift = 0.0003 * ((seed + len(run.label)) % 3)
                lines = [*run.overrides, f"condition={condition}"]
                write(root, lines, seed, energy + shift, forces)
    return claims(REPORT, ["report", "corrected"], Where((), root))


def verdict(frame, start: str, condition: str):
    rows = frame[frame.claim.str.startswith(start) & (frame.condition == condition)]
    return rows.iloc[0]


def test_each_claim_under_each_condition(frame):
    assert len(frame) == 2 * len(claimed(REPORT))
    assert set(frame.verdict) <= set(WORDS)
    assert frame.evidence.str.len().min() > 0


def test_a_claim_that_holds_and_is_reversed(frame):
    assert verdict(frame, "Cube", "report").verdict == HOLDS
    row = verdict(frame, "Cube", "corrected")
    assert row.verdict == REVERSED
    assert "x3 sqrt against No scalars +" in row.evidence
    assert row.evidence.startswith("less: reversed; ")
    assert row.evidence.endswith("] (n=3)")
    assert row.command == ""


def test_force_error_against_zero_force(frame):
    assert verdict(frame, "The force error", "report").verdict == HOLDS
    assert verdict(frame, "The force error", "corrected").verdict == REVERSED
    assert "91 %" in verdict(frame, "The force error", "report").evidence


def test_runs_that_are_missing_leave_it_open_with_a_command(frame):
    row = verdict(frame, "The gate", "corrected")
    assert row.verdict == UNDECIDED
    assert row.evidence == "no seed with both runs"
    assert "bench sweep sweeps/moe.yaml condition=corrected" in row.command
    assert row.command.endswith("--seeds 3")


def test_seeds_without_the_number_are_not_asked_for_again(tmp_path):
    """Four seeds are done, and one is scored on all held-out frames: two others are wanted."""
    for seed in range(4):
        for overrides in ([], ["scalars=cub_sqrt"]):
            made = write(tmp_path, overrides, seed, 0.02)
            result = made.result()
            if seed == 3:
                result["metrics"]["held_out"] = result["metrics"]["test"]
            made.write_result(result)
    frame = claims(REPORT, ["corrected"], Where((), tmp_path), "held_out")
    assert verdict(frame, "Cube", "corrected").command.endswith("--seeds 6")  # 3, and 3 unscored


def test_the_hours_are_of_the_runs_that_a_claim_compares(tmp_path):
    """Of table 7, whose row without an extended basis is another table's x3 sqrt."""
    for run in asked_for("report").runs:
        for seed in range(3):
            energy = 0.02 + 0.001 * ((seed + len(run.label)) % 3)
            lines = [*run.overrides, "condition=corrected"]
            write(tmp_path, lines, seed, energy, wall_seconds=3600.0)
    row = verdict(claims(REPORT, ["corrected"], Where((), tmp_path)), "Every RBF", "corrected")
    assert row.verdict == UNDECIDED
    assert row.command.startswith("bench sweep sweeps/table_7.yaml condition=corrected")
    seeds, hours = re.fullmatch(r"\w+ (\d+) seeds, (\d+) core-hours", row.needs).groups()
    assert int(hours) == 5 * (int(seeds) - 3)


def test_offset_follows_from_the_reference_alone(frame):
    assert verdict(frame, "On pent", "report").verdict == HOLDS
    assert "+3.19" in verdict(frame, "On pent", "report").evidence
    assert verdict(frame, "On pent", "corrected").verdict == SMALLER


def test_no_run_at_all(tmp_path):
    frame = claims(REPORT, ["report"], Where((), tmp_path))
    assert set(frame.verdict[:-1]) == {UNDECIDED}
    runs = ~frame.claim.str.startswith("Scalars cost")
    assert all(frame.command[runs][:-1].str.contains(r"condition=report .*--seeds 3"))


def of_time(root, ratios, condition="report", **options):
    """The verdict on the claim about wall time, of steps with these ratios to no scalars."""
    if ratios:
        base = [10.0 + n for n in range(len(ratios))]
        ms = {"No scalars": base, "x3 sqrt": [a * r for a, r in zip(base, ratios, strict=True)]}
        write_times(root, asked_for("report"), condition, ms, **options)
    return verdict(claims(REPORT, ["report"], Where((), root)), "Scalars cost", "report")


@pytest.mark.parametrize(
    ("ratios", "word", "evidence"),
    [
        ([2.0, 1.9, 2.1, 2.0, 1.9, 9.0], HOLDS, "more: yes; beyond the margin of 5 %: yes; "),
        ([0.5] * 8, REVERSED, "more: reversed; "),
        ([1.5, 1.4, 1.6, 0.9, 1.5, 1.4], UNDECIDED, "more: undecided; "),
        ([2.0] * 5, UNDECIDED, "more: undecided; "),
        ([1.01, 0.99] * 20, EQUAL, "more: undecided; beyond the margin of 5 %: no; "),
    ],
)
def test_wall_time_is_judged_from_rounds(tmp_path, ratios, word, evidence):
    row = of_time(tmp_path, ratios)
    assert row.verdict == word
    assert row.evidence.startswith(evidence)
    assert row.evidence.endswith(f" ({len(ratios)} rounds, 1 thread of Abacus, 29 November 2026)")
    assert (row.part, row["at"]) == ("", 0)
    command = f"bench time sweeps/table_2.yaml runs_dir={tmp_path} --rounds "
    assert row.command == (f"{command}{2 * len(ratios)}" if word == UNDECIDED else "")


def test_wall_time_that_nobody_measured_is_open(tmp_path):
    for run in asked_for("report").runs:
        for seed in range(3):
            write(tmp_path, [*run.overrides, "condition=report"], seed, 0.02, wall_seconds=1 + seed)
    row = of_time(tmp_path, [2.0] * 8, condition="corrected")
    assert (row.verdict, row.evidence) == (UNDECIDED, "not measured")
    expected = f"bench time sweeps/table_2.yaml runs_dir={tmp_path}"
    assert row.command == expected


def test_damaged_times_are_left_out_of_claims_in_a_line(tmp_path):
    write_times(tmp_path, asked_for("report"), "report", {"x3 sqrt": [1.0]}, threads="x")
    (line,) = claims(REPORT, ["report"], Where((), tmp_path)).attrs["left out"]
    assert line == "left out: times of timed: damaged (threads is 'x')"


def test_runs_without_a_trivial_error_leave_a_claim_open(tmp_path):
    """Such as those on another part than the one that their trivial prediction was scored on."""
    parts = {"held_out": {"energy_mae_ev": 0.1, "forces_mae_ev_per_angstrom": 0.1}}
    for run in asked_for("report").runs:
        write(
            tmp_path,
            [*run.overrides, "condition=report"],
            0,
            0.02,
            metrics={**parts, "test": {}, "val": {}},
        )
    frame = claims(REPORT, ["report"], Where((), tmp_path), "held_out")
    row = verdict(frame, "The force error", "report")
    assert (row.verdict, row.evidence) == (UNDECIDED, "no run")


def test_a_number_that_runs_lack_is_said_and_no_seed_asked_for(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "study.yaml").write_text("title: t\n")
    runs = ", ".join(f"{{label: w{w}, overrides: [width={w}]}}" for w in (8, 16))
    (folder / "widths.yaml").write_text(f"title: t\nruns: [{runs}]\n")
    asked = ("forces_mae_by_element", "forces_mae_by_element.H", "energy_rmse")
    (folder / "claims.yaml").write_text(
        "".join(
            f"- {{claim: {name}, compare: {{w16: w8}}, metric: {name}, change: less}}\n"
            for name in asked
        )
    )
    for width in (8, 16):
        for seed in range(3):
            made = write(tmp_path, [f"width={width}"], seed, 0.01 + seed / 1000)
            result = made.result()
            for part in result["metrics"].values():
                by = {"C": 0.1, "H": (1 + seed / 10) / width}
                part["forces_mae_by_element_ev_per_angstrom"] = by
            made.write_result(result)
    found = claims(studies.read(folder), [""], Where((), tmp_path))
    whole, member, lacking = found.to_dict("records")
    assert whole["evidence"].endswith("several numbers; take one, as in forces_mae_by_element.C")
    assert (whole["needs"], whole["command"]) == ("", "")
    assert member["verdict"] == HOLDS
    assert "w16 against w8 −50.0 % [−50.0, −50.0] (n=3)" in member["evidence"]
    assert lacking["evidence"].endswith("energy_rmse; without a checkpoint it is trained anew, "
                                        "each run as the first")  # fmt: skip
    assert "--seeds" not in lacking["command"]


@pytest.mark.parametrize(
    ("name", "predicted"),
    [("energy_rmse", "mean energy"), ("forces_p95", "zero force"), ("stress_mae", "zero stress")],
)
def test_a_share_is_of_what_the_trivial_baseline_of_the_metric_predicts(tmp_path, name, predicted):
    (tmp_path / "study.yaml").write_text("title: t\n")
    (tmp_path / "one.yaml").write_text("title: t\nruns: [{label: w8, overrides: [width=8]}]\n")
    (tmp_path / "claims.yaml").write_text(
        f"[{{claim: c, metric: {name}, of_trivial: less than 50 %}}]"
    )
    key = chosen([name])[0].key
    usual = {"energy_mae_ev": 1.0, "forces_mae_ev_per_angstrom": 1.0}
    errors, nothing = ({part: {**usual, key: x} for part in ("test", "val")} for x in (0.1, 0.4))
    for seed in range(3):
        write(tmp_path, ["width=8"], seed, 0.01, metrics=errors, baselines=nothing)
    (found,) = claims(studies.read(tmp_path), [""], Where((), tmp_path)).to_dict("records")
    assert found["verdict"] == HOLDS
    assert found["evidence"].endswith(f": 25 % (w8) to 25 % (w8) of predicting {predicted} (n=3)")


def test_a_claim_is_in_the_unit_that_was_asked_for(tmp_path):
    for unit, size in (("hartree", "0.0143 Ha"), ("mev", "388 meV")):
        found = claims(REPORT, ["corrected"], Where((), tmp_path), unit=unit)
        (evidence,) = found[found.claim.str.startswith("On pent-2-ene")].evidence
        assert f"times the report's {size} on but-2-ene" in evidence
        assert f"{size.split()[1]}: " in evidence
        assert unit == "hartree" or " Ha" not in evidence
