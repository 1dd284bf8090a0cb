"""Every case has its right answer."""

import tempfile
from pathlib import Path

import pytest

from tests.cases import CASES
from tests.cases.case import Case


@pytest.mark.parametrize("case", CASES, ids=[f"{c.id}-{c.bench[-1][:80]}" for c in CASES])
def test_case(case: Case):
    if case.missing:
        pytest.skip(", ".join(case.missing))
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        status, output = case.run(Path(folder))
    assert not case.wrong(status, output), output
