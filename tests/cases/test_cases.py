"""Every case has its right answer."""

import pytest

from tests.cases import CASES
from tests.cases.case import Case


@pytest.mark.parametrize("case", CASES, ids=[f"{c.id}-{c.bench[-1][:80]}" for c in CASES])
def test_case(case: Case, tmp_path):
    if case.missing:
        pytest.skip(f"{', '.join(case.missing)} not installed")
    status, output = case.run(tmp_path)
    assert not case.wrong(status, output), output
