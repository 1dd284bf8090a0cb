"""What overrides list is bounded, whatever their ranges are."""

import pytest

from deepset_bench.errors import UserError
from deepset_bench.sweep.axes import combinations


@pytest.mark.parametrize(
    "lines", [["cutoff=range(4,1000000000)"], ["seed=range(0,999)", "cutoff=range(1,999)"]]
)
def test_too_many(lines):
    with pytest.raises(UserError, match="over 100000 combinations"):
        combinations(lines)
