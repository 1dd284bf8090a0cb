"""What is trained and what is told about it: T1 to T3, R18 to R20, R22.

What sets of many sizes take (M1) is measured by `python -m benchmarks`.
"""

from tests.cases.case import Case

TINY = "device=cpu threads=1 compile=false width=8 rbf.size=8 gating.experts=2 trainer.epochs=1"


def trained(id: str, file: str, words: str, *says: str, status: int = 0) -> Case:
    """The file is imported as `it` and trained on for an epoch with these overrides."""
    commands = (f"data import it {{files}}/{file}", f"train data=it {TINY} {words}")
    return Case(id, commands, says=says, status=status)


def sizes(train: float, val: float, test: float) -> str:
    """The overrides for a division."""
    return f"data.train_size={train} data.val_size={val} data.test_size={test}"


CASES = [
    trained("T1", "T1/A37_atoms.extxyz", sizes(6, 2, 2), "energy / meV .* —"),
    trained("T2", "T2/A35_No.extxyz", sizes(10, 5, 5), "best epoch 1 of 1"),
    *(
        trained("T3", "T3/A39_rare.extxyz", f"{sizes(20, 5, 5)} seed={seed}", "F", status=2)
        for seed in (0, 3)
    ),
    trained("R18", "C3/ok.extxyz", sizes(40, 0, 20), "val_size", status=2),
    trained("R19", "C3/ok.extxyz", sizes(0.8, 0.1, 0.1), "train_size", status=2),
    trained("R20", "C3/ok.extxyz", "", "50 train, 5 val, 5 test frames"),
    trained("R20", "T1/A37_atoms.extxyz", "", "8 train, 1 val, 1 test frames"),
]
