"""Verdicts: the rule on its own, and each claim from run folders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepset_bench.study.claimed import Claim, claimed
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where
from deepset_bench.study.verdict import HOLDS, REVERSED, SMALLER, UNDECIDED, effect, judge
from tests.study.folders import write
from tests.study.shipped import PRINTED, REPORT, asked_for


def of(*differences: float, comparisons: int = 1):
    """An effect against a baseline of 1 in every seed."""
    baseline = dict.fromkeys(range(len(differences)), 1.0)
    variant = {seed: 1 + value for seed, value in enumerate(differences)}
    return effect("a against b", variant, baseline, comparisons, relative=True)


CLAIMS = [one for one in claimed(REPORT) if isinstance(one, Claim)]
UP, DOWN, NEITHER = of(0.4, 0.42, 0.41), of(-0.4, -0.42, -0.41), of(-0.5, 0.4, 0.2)


@pytest.mark.parametrize(
    ("effects", "direction", "size", "expected"),
    [
        ([UP], 1, None, HOLDS),
        ([UP], 1, 0.41, HOLDS),
        ([UP], 1, 2.0, SMALLER),
        ([UP], -1, None, REVERSED),
        ([UP], -1, 2.0, REVERSED),
        ([DOWN], -1, 0.41, HOLDS),
        ([NEITHER], 1, None, UNDECIDED),
        ([NEITHER], 1, 99.0, SMALLER),
        ([UP, DOWN], 1, None, REVERSED),
        ([UP, NEITHER], 1, None, UNDECIDED),
        ([UP, UP], 1, 0.3, HOLDS),
        ([of(0.4)], 1, 99.0, UNDECIDED),
        ([of()], 1, None, UNDECIDED),
        ([UP, of()], 1, None, UNDECIDED),
    ],
)
def test_rule(effects, direction, size, expected):
    assert judge(effects, direction, size) == expected


@given(st.lists(st.floats(-0.9, 2), min_size=2, max_size=8), st.floats(0.5, 3))
def test_per_cent_and_difference_agree_on_zero(differences, size):
    """A claim in per cent of the baseline is decided by the same interval as the table's bold."""
    baseline = {seed: size * (1 + 0.1 * seed) for seed in range(len(differences))}
    variant = {seed: baseline[seed] + d for seed, d in enumerate(differences)}
    relative, absolute = (effect("", variant, baseline, 1, relative=r).usual for r in (True, False))
    mean = np.mean(list(baseline.values()))
    assert relative.mean * mean == pytest.approx(absolute.mean, abs=1e-12)
    assert relative.excludes_zero == absolute.excludes_zero or np.ptp(differences) < 1e-9


def test_comparisons_widen_the_interval_that_speaks_against():
    one, many = of(0.1, 0.2, 0.3), of(0.1, 0.2, 0.3, comparisons=10)
    assert one.usual == many.usual == one.strict
    assert many.strict.half > one.strict.half


def test_claims_name_runs_that_exist():
    every = {v for claim in CLAIMS for v, _ in claim.pairs if claim.size == 0.17}
    assert every == {
        r.label for r in asked_for("report").runs if r.label[:3] in ("SAG", "EDG", "GAT")
    }


def test_claimed_sizes_are_those_of_the_printed_numbers():
    improvement, layers, alone, _, _, conflict, gat, *_ = CLAIMS
    printed = PRINTED.printed
    assert improvement.size == pytest.approx(0.391, abs=5e-4)
    assert conflict.size + 1 == pytest.approx(8.29391 / 0.027451, rel=1e-3)
    ratio = printed("EDGE no scalar")["energy", "mean"] / printed("GAT x3 sqrt")["energy", "mean"]
    assert ratio - 1 == pytest.approx(0.63, abs=5e-3)
    assert gat.size == pytest.approx(1 - 1 / ratio, abs=5e-4)

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
    assert set(frame.verdict) <= {HOLDS, SMALLER, REVERSED, UNDECIDED}
    assert frame.evidence.str.len().min() > 0


def test_a_claim_that_holds_and_is_reversed(frame):
    assert verdict(frame, "Cube", "report").verdict == HOLDS
    row = verdict(frame, "Cube", "corrected")
    assert row.verdict == REVERSED
    assert "x3 sqrt against No scalars +" in row.evidence
    assert "(n=3); claimed −39.1 %" in row.evidence
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


def test_run_time_is_in_seconds(frame):
    assert "0.0 ± 0.0 s" in verdict(frame, "Scalars cost", "report").evidence


def test_offset_follows_from_the_reference_alone(frame):
    assert verdict(frame, "On pent", "report").verdict == HOLDS
    assert "+3.19" in verdict(frame, "On pent", "report").evidence
    assert verdict(frame, "On pent", "corrected").verdict == SMALLER


def test_no_run_at_all(tmp_path):
    frame = claims(REPORT, ["report"], Where((), tmp_path))
    assert set(frame.verdict[:-1]) == {UNDECIDED}
    assert all(frame.command[:-1].str.contains(r"condition=report .*--seeds 3"))
