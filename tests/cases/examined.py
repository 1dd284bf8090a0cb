"""What `bench data check` finds, and what it leaves in peace: C1 to C5, S3, S7, S8."""

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


def sound(id: str, file: str, sample: int = 20) -> Case:
    """`bench data check` of a file finds no defect, with GFN-xTB and, of no frame, without."""
    line = f"data check {{files}}/{file} --sample {sample}"
    return Case(id, (line,), says=(r"frames? of .*: ok",), silent=("defect",), needs=("tblite",))


CASES = [
    examined("C5", "C5/A24_h2scan.extxyz", "ok"),
    examined("S8", "S8/A26_charges.extxyz", "defect", "defect +charge and spin", "charge 1"),
    sound("C1", "C1/fq_HCN.extxyz"),
    sound("C1", "C1/fq_N2.extxyz"),
    sound("C1", "C1/fq_N2.extxyz", sample=0),
    sound("C2", "C2/A38_one.extxyz"),
    sound("C2", "C2/A40_perm.extxyz"),
    sound("C3", "C3/fq_CO2.extxyz"),
    sound("C3", "C3/fq_PH3.extxyz"),
    sound("C3", "C3/ok.extxyz"),
    sound("S3", "S3/A42_h3o.extxyz"),
    Case(
        "S7",
        ("data check {files}/S7/A34b_huge_f32.extxyz --sample 0",),
        says=("energies are multiples of 0.25 eV", "with all digits"),
        status=1,
    ),
    Case(
        "S7",
        ("data check {files}/S7/A29d_f32.npz --sample 0",),
        says=(r"ok +digits +energies are multiples of 0\.00136 eV", r"0\.3% of their +spread"),
    ),
]
