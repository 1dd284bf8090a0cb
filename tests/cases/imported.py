"""What is read, and what is refused in one line: S1 to S8, R1 to R17, C5."""

from tests.cases.case import Case

CASES = [
    Case(
        "R9",
        ("data import it {files}/R9/A10_periodic.extxyz",),
        says=("A10_periodic.extxyz: frame 1.*periodic",),
        status=2,
    ),
    Case(
        "R9",
        ("data import it {files}/R9/A10c_mixedpbc.extxyz",),
        says=("A10c_mixedpbc.extxyz: frame 1.*periodic",),
        status=2,
    ),
    Case(
        "R10",
        ("data import it {files}/R10/A05_nan.extxyz",),
        says=(r"A05_nan.extxyz: frame \d+, line \d+",),
        status=2,
    ),
]
