"""What `bench data check` finds, and what it leaves in peace: C1 to C3, S7, S8."""

from tests.cases.case import Case

CASES: list[Case] = []
