"""Distinct rows, as np.unique finds them."""

import numpy as np
import pytest

from deepset_bench.molecules.distinct import distinct_rows


@pytest.mark.parametrize("most", [3, 10**6, 2**31, 2**40])
def test_rows_are_those_of_unique(most):
    """With numbers so large that their product is no 64-bit number, too."""
    rng = np.random.default_rng(0)
    rows = rng.integers(-most, most, (50, 3))[rng.integers(50, size=400)]
    values, which = distinct_rows(rows)
    expected, inverse = np.unique(rows, axis=0, return_inverse=True)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(which, inverse.ravel())


def test_there_may_be_no_row_or_column():
    assert distinct_rows(np.zeros((0, 3)))[0].shape == (0, 3)
    values, which = distinct_rows(np.zeros((4, 0)))
    assert values.shape == (1, 0)
    assert which.tolist() == [0, 0, 0, 0]
