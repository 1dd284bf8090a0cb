"""Any value is a cell and comes back; no cell is a formula or steers a terminal."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepset_bench.results.cells import cell, value

NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8")) | st.from_regex(r"[=+\-@'\"\[{0-9.eE \t\r\n]+")
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXTS, v, max_size=3), max_leaves=5
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_a_value_comes_back_to_the_last_digit(given_value):
    back = value(cell(given_value))
    assert repr(back) == repr(given_value)


@given(TEXTS)
def test_text_is_no_formula_no_number_and_one_line(text):
    written = cell(text)
    assert written
    assert written[0] not in "=+-@"
    assert written.isprintable()
    with pytest.raises(ValueError):  # noqa: PT011
        float(written)


@pytest.mark.parametrize(
    ("given_value", "written"),
    [
        ("but-2-ene", "but-2-ene"),
        ("2-methylbut-2-ene", "2-methylbut-2-ene"),
        ("Å", "Å"),
        ("", '""'),
        ("=1+1", '"=1+1"'),
        ("-x", '"-x"'),
        ("007", '"007"'),
        ("1e5", '"1e5"'),
        ("nan", '"nan"'),
        ("null", '"null"'),
        (" x", '" x"'),
        ("a\nb", '"a\\nb"'),
        (0.1 + 0.2, "0.30000000000000004"),
        (-0.0, "-0.0"),
        (None, "null"),
        (True, "true"),
        ([], "[]"),
        ({"a": [1, "b"]}, '{"a":[1,"b"]}'),
    ],
)
def test_what_a_person_sees(given_value, written):
    assert cell(given_value) == written
    assert repr(value(written)) == repr(given_value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("NaN", "'NaN' is not a number"),
        ("inf", "'inf' is not a number"),
        ("1e999", "'1e999' is not a number"),
        ("007", "'007' is not a number"),
        ("1" * 5000, "is too large a number"),
        (str(2**64), "is too large a number"),
        ("=1+1", "'=1+1' is not a number"),
        ("[1", "is not JSON"),
        ('{"a": NaN}', "holds NaN"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_is_no_cell(written, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        value(written)
    assert len(str(error.value)) < 200


def test_the_largest_numbers():
    for number in (2**63 - 1, -(2**63) + 1, 1.7976931348623157e308, 5e-324):
        assert value(cell(number)) == number
    assert math.copysign(1, value("-0.0")) == -1
