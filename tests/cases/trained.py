"""What is trained and what is told about it: T1 to T3, R18 to R20, R22, M1."""

from pathlib import Path

import numpy as np

from deepset_bench.molecules.frames import Frames
from tests import toy
from tests.cases.case import Case

TINY = "device=cpu threads=1 compile=false width=8 rbf.size=8 gating.experts=2 trainer.epochs=1"


def trained(id: str, file: str, words: str, *says: str, status: int = 0) -> Case:
    """The file is imported as `it` and trained on for an epoch with these overrides."""
    commands = (f"data import it {{files}}/{file}", f"train data=it {TINY} {words}")
    return Case(id, commands, says=says, status=status)


def chains(folder: Path) -> None:
    """A few chains of 192 atoms among many molecules of three."""
    toy.write(folder / "sizes.xyz", Frames.concatenate([toy.frames(1, 120), toy.frames(64, 4)]))


def work(folder: Path) -> str:
    """What the tables of `it` hold, padding and all, against those of each size alone.

    Memory and time go with it; `python -m benchmarks sizes` measures both.
    """
    from deepset_bench.data import catalogue
    from deepset_bench.model.buckets import ROW, Buckets, table_shapes

    def held(frames: Frames) -> int:
        cutoff, batch_size = 5.0, 20
        tables = Buckets.build(frames, cutoff, table_shapes(frames, cutoff, batch_size)).tables
        return sum(part.pair.numel() + ROW * part.numbers.numel() for part in tables)

    frames = catalogue.load("it")
    alone = [
        held(frames.select(np.flatnonzero(frames.n_atoms == n))) for n in np.unique(frames.n_atoms)
    ]
    return f"{held(frames) / sum(alone):.2f} times the work of each size alone"


def lone_atoms(folder: Path) -> None:
    """C3H6 and, as other programs mark them, its free atoms."""
    toy.write(folder / "atoms.xyz", toy.frames(3, 60))
    with (folder / "atoms.xyz").open("a") as stream:
        for symbol, energy in (("H", -13.5), ("C", -1031.0)):
            stream.write(
                "1\nProperties=species:S:1:pos:R:3:forces:R:3 config_type=IsolatedAtom "
                f'energy={energy} pbc="F F F"\n{symbol} 0 0 0 0 0 0\n'
            )


def reference(folder: Path) -> str:
    """The energies of free atoms that a run counts from."""
    from deepset_bench.evaluation.trained import load_trained

    (run,) = (folder / "runs").rglob("seed-0")
    found = load_trained(run).reference
    return f"free atoms: {dict(zip(found.species.tolist(), found.energies.tolist(), strict=True))}"


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
    Case(
        "R20",
        (
            "data import it {files}/C3/ok.extxyz",
            f"train data=it {TINY} trainer.schedule.warmup_steps=1",
            f"train data=it {TINY.replace('epochs=1', 'epochs=2')} trainer.schedule.warmup_steps=1",
        ),
        says=("begun from the start: .* has another number of epochs",),
    ),
    Case(
        "R22",
        ("data import it {here}/atoms.xyz",),
        says=("62 frames", "2 of lone atoms, for reference=isolated_atoms and in no part"),
        prepare=lone_atoms,
    ),
    Case(
        "R22",
        ("data import it {here}/atoms.xyz", f"train data=it {TINY} reference=isolated_atoms"),
        says=("50 train, 5 val, 5 test", r"^free atoms: {1: -13\.5, 6: -1031\.0}"),
        silent=("GFN1",),
        prepare=lone_atoms,
        found=reference,
    ),
    Case(
        "R22",
        (
            "data import it {files}/C3/ok.extxyz --relabel gfn2 --frames 1-12",
            f"train data=it {TINY} reference=isolated_atoms",
        ),
        says=("energies of GFN1-xTB for H and C, but the labels of it are of GFN2-xTB; give",),
        status=2,
        needs=("tblite",),
    ),
    Case(
        "M1",
        ("data import it {here}/sizes.xyz", f"train data=it {TINY} {sizes(100, 12, 12)}"),
        says=("best epoch 1 of 1", r"^1\.[0-4]\d times the work of each size alone"),
        prepare=chains,
        found=work,
    ),
]
