"""Homes, terminals, rights and disks that are not the developer's: X1 to X6.

What needs another user, a full disk or a network is in `tests/test_surroundings.py`.
"""

from pathlib import Path

from tests.cases.case import Case

SET = "{files}/R11/A01_nonl.extxyz"


def home(name: str) -> Case:
    """A set is imported, shown and composed by a user with a home of this name."""
    return Case(
        "X1",
        (f"data import it {SET}", "config data=it"),
        says=("name: it", "# data: .*it"),
        environment={"BENCH_DATA": None, "XDG_DATA_HOME": None, "HOME": "{here}/" + name},
        prepare=lambda folder: Path(folder / name).mkdir(parents=True),
    )


CASES = [
    home("José (Cardiff), lab #2"),
    Case(
        "X1",
        (f"data import it {SET}", "config data=it"),
        says=("name: it",),
        environment={"BENCH_DATA": "{here}/a=b [c], 'd' & ~e! é"},
    ),
    Case("X2", ("--help",), says=("Train variants",), environment={"HOME": None}),
    Case(
        "X5",
        ("data show but-2-ene",),
        says=("eV/angstrom",),
        environment={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"},
    ),
]
