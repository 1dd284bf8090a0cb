"""Homes, terminals, rights and disks that are not the developer's: X1 to X6.

More of them is in `tests/surroundings`.
"""

import gzip
from pathlib import Path

from tests.cases.case import FILES, Case
from tests.cases.trained import TINY
from tests.surroundings.processes import AS_STRANGER, on_small_disk

SET = "{files}/R11/A01_nonl.extxyz"
IMPORT = f"data import it {SET}"
FEW = f"{TINY} data.train_size=3 data.val_size=1 data.test_size=1"
TRAIN = f"train data=it {FEW}"

RUN = "runs/it/corrected/gating.experts-2+rbf.size-8+trainer.epochs-1+width-8/seed-0"


def home(name: str) -> Case:
    """A set is imported, shown and composed by a user with a home of this name."""
    return Case(
        "X1",
        (IMPORT, "config data=it"),
        says=("name: it", "# data: .*it"),
        environment={"BENCH_DATA": None, "XDG_DATA_HOME": None, "HOME": "{here}/" + name},
        prepare=lambda folder: Path(folder / name).mkdir(parents=True),
    )


def theirs(command: str, *says: str, status: int = 0) -> Case:
    """What another user, who may only read, does with a set and a run, in a folder of theirs."""
    return Case(
        "X3",
        (IMPORT, TRAIN, command),
        says=says,
        status=status,
        prepare=lambda folder: folder.chmod(0o755),
        within=AS_STRANGER,
    )


def logged(mode: str, *says: str, files: str) -> Case:
    """A run that W&B is asked to log, with its own variable set; W&B's files are counted."""
    return Case(
        "X4",
        (IMPORT, f"{TRAIN} logger=wandb"),
        says=("best epoch 1 of 1", f"{files} files of W&B", *says),
        silent=("W&B: ",) if mode == "disabled" else ("W&B: .*login", "https?://"),
        environment={"WANDB_MODE": mode},
        found=lambda folder: f"{len(list(folder.rglob('*.wandb')))} files of W&B",
    )


def full(commands: tuple[str, ...], *says: str, size: str, **variables: str) -> Case:
    """The last command has no more room than this in the folder `disk`."""

    def prepare(folder: Path) -> None:
        (folder / "disk").mkdir()
        packed = gzip.compress((FILES / "R12/A29_md17.npz").read_bytes())
        (folder / "packed.npz.gz").write_bytes(packed)

    return Case(
        "X6",
        commands,
        says=(r"error: .*No space left on device; make room", *says),
        status=1,
        prepare=prepare,
        environment=variables,
        within=on_small_disk(size, "{here}/disk"),
    )


CASES = [
    home("José (Cardiff), lab #2"),
    Case(
        "X1",
        (IMPORT, "config data=it"),
        says=("name: it",),
        environment={"BENCH_DATA": "{here}/a=b [c], 'd' & ~e! é"},
    ),
    Case("X2", ("--help",), says=("Train variants",), environment={"HOME": None}),
    theirs("status", "1 run: 1 done"),
    theirs(f"evaluate {RUN}", "not kept in files: .*Permission denied"),
    theirs(f"{TRAIN} seed=1", "error: .*/seed-1: Permission denied; get the right", status=1),
    theirs(f"tables 2 data=it {FEW} --out out", "error: .*: Permission denied", status=1),
    theirs(f"data import other {SET}", "error: .*: Permission denied; get the right", status=1),
    logged("disabled", files="0"),
    logged("offline", "W&B: recorded offline", files="1"),
    Case(
        "X5",
        ("data show but-2-ene",),
        says=("eV/angstrom",),
        within=("env", "PYTHONIOENCODING=ascii", "LC_ALL=C", "PYTHONUTF8=0"),
    ),
    Case(
        "X6",
        ("data check {files}/C3/ok.extxyz --sample 0 --json /dev/full",),
        says=("error: /dev/full: No space left on device; make room",),
        status=1,
    ),
    full((IMPORT, f"{TRAIN} runs_dir={{here}}/disk"), "error: .*/disk/", size="64k"),
    full((IMPORT,), "error: .*/disk/", size="4k", BENCH_DATA="{here}/disk"),
    full(
        ("data import it {here}/packed.npz.gz",), "error: .*/disk/", size="4k", TMPDIR="{here}/disk"
    ),
]
