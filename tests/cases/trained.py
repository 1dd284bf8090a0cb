"""What is trained and what is told about it: T1 to T3, M1, R18 to R20."""

from tests.cases.case import Case

CASES: list[Case] = []
