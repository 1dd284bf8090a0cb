"""What is trained and what is told about it: T1 to T3, M1, R18 to R20."""

from tests.cases.case import Case

_SMALL = (
    "data=it data.train_size={} data.val_size={} data.test_size={} trainer.epochs={} width=8 "
    "rbf.size=8 gating.experts=2 device=cpu compile=false threads=1"
)
_RARE = r"^error: F is in 1 of the 31 frames, too few .*leave these frames out \(frame \d+ is"
_T3 = "data import it {files}/T3/A39_rare.extxyz"
_C3 = "data import it {files}/C3/ok.extxyz"

CASES = [
    Case(
        "T1",
        ("data import it {files}/T1/A37_atoms.extxyz", f"train {_SMALL.format(6, 2, 2, 1)}"),
        says=(r"energy / meV .* —", "best epoch 1 of 1"),
    ),
    Case(
        "T2",
        ("data import it {files}/T2/A35_No.extxyz", f"train {_SMALL.format(8, 2, 2, 1)}"),
        says=("best epoch 1 of 1",),
    ),
    Case(
        "T2",
        (
            "data import it {files}/T2/A35_No.extxyz",
            "train data=it data.train_size=8 data.val_size=2 data.test_size=2 trainer.epochs=1 "
            "model=deepset_x model.width=8 model.basis_size=8 device=cpu compile=false",
            "evaluate {here}/runs/it/corrected/deepset_x+data.test_size-2+data.train_size-8+"
            "data.val_size-2+model.basis_size-8+model.width-8+trainer.epochs-1/seed-0",
        ),
        says=("2 frames",),
    ),
    *(
        Case(
            "T3", (_T3, f"train {_SMALL.format(20, 5, 5, 1)} seed={seed}"), says=(_RARE,), status=2
        )
        for seed in range(4)
    ),
    Case(
        "R18",
        (_C3, f"train {_SMALL.format(9, 0, 2, 1)}"),
        says=("^error: data.val_size=0: at least 1 frame each is needed",),
        status=2,
    ),
    Case(
        "R19",
        (_C3, f"train {_SMALL.format(0.8, 2, 2, 1)}"),
        says=("^error: data.train_size is a number of frames, not a fraction of them",),
        status=2,
    ),
    Case(
        "R20",
        (_C3, f"train {_SMALL.format(9, 2, 2, 1)}", f"train {_SMALL.format(9, 2, 2, 2)}"),
        says=("begun from the start: .*has another number of epochs", "best epoch . of 2"),
    ),
]
