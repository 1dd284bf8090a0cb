"""What `bench data check` finds, and what it leaves in peace: C1 to C5, S7, S8."""

from tests.cases.case import Case


def examined(id: str, file: str, verdict: str, *says: str, silent: tuple[str, ...] = ()) -> Case:
    """The verdict on a file, which is also the exit status."""
    return Case(
        id,
        (f"data check {{files}}/{file}",),
        says=(rf"frames of .*: {verdict}", *says),
        status=int(verdict == "defect"),
        silent=silent,
        needs=("tblite", "rdkit"),
    )


CASES = [
    examined("C5", "C5/A24_h2scan.extxyz", "ok"),
    examined("S8", "S8/A26_charges.extxyz", "defect", "defect +charge and spin", "charge 1"),
]
