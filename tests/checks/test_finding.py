"""Verdicts and the words for numbers."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from deepset_bench.checks.finding import (
    Finding,
    as_dict,
    energy_text,
    force_text,
    graded,
    ranges,
    worst,
)


def test_the_worst_verdict_decides() -> None:
    def some(*verdicts: str) -> str:
        return worst(Finding("a", verdict, "") for verdict in verdicts)

    assert some() == some("not run") == some("ok", "not run") == "ok"
    assert some("ok", "suspect", "not run") == "suspect"
    assert some("defect", "suspect") == "defect"


def test_grades() -> None:
    assert [graded(x, 1.0, 2.0) for x in (1.0, 1.5, 3.0)] == ["ok", "suspect", "defect"]


@given(st.sets(st.integers(0, 60), min_size=1))
def test_ranges_name_every_number_once(numbers: set[int]) -> None:
    named = []
    for part in ranges(sorted(numbers), most=100).split(", "):
        first, _, last = part.partition("-")
        named += range(int(first), int(last or first) + 1)
    assert named == sorted(numbers)


def test_long_lists_are_cut() -> None:
    assert ranges([0, 2, 4, 6, 8, 10], most=2) == "0, 2, ..."
    assert ranges([]) == ""


def test_units_stand_beside_numbers() -> None:
    assert energy_text(0.0272114) == "0.0272 eV (1 mHa)"
    assert force_text(51.4221) == "51.4 eV/angstrom (1 Ha/bohr)"
    assert force_text(1e-9) == "below 1e-6 eV/angstrom"


def test_json_takes_what_is_not_finite() -> None:
    content = as_dict(Finding("a", "ok", "t", float("inf"), "eV", (1, 2)))
    assert json.loads(json.dumps(content, allow_nan=False))["number"] is None
    assert content["frames"] == (1, 2)
