"""`python -m benchmarks identities [--write]`: from which size on wrong geometries are found.

Flaws in what the frames are, not in their labels, planted in sound sets of several molecules; the
table goes to docs/data_check.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.sampling import Sound
from benchmarks.sound import FOLDER
from benchmarks.tables import Table, replace_section
from benchmarks.timing import machine
from deepset_bench.checks.cheap import examine
from deepset_bench.checks.finding import worst
from deepset_bench.checks.full import FRAMES
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import Frames

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data_check.md"
TRIALS, M = 5, 200
MD20 = "md 300 20"

Plant = Callable[[Frames, Frames | None, float, np.random.Generator], Frames]


def main(words: Sequence[str]) -> None:
    """Plant, examine, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks identities", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="keeps the sets (%(default)s)")
    given = parser.parse_args(words)
    content = found(given.folder).markdown() + f"\n{machine()}; {date.today():%Y-%m-%d}."
    print(content)
    if given.write:
        replace_section(PAGE, "identities", content)


def found(folder: Path) -> Table:
    """For each flaw, molecule and size, in how many trials it is a defect + a suspicion."""
    rows = []
    for name, plant, cases, unit, sizes, said in FLAWS:
        for smiles, other, sampling in cases:
            frames = Sound("planted", (smiles,), sampling, M).frames_from(folder)
            more = other and Sound("planted", (other,), sampling, M).frames_from(folder)
            assert _verdict(frames, smiles if said else None) == "ok"
            for size in sizes:
                verdicts = [
                    _verdict(
                        plant(frames, more or None, size, np.random.default_rng(trial)),
                        smiles if said else None,
                    )
                    for trial in range(TRIALS)
                ]
                seen = f"{verdicts.count('defect')} + {verdicts.count('suspect')}"
                what = f"{smiles} / {other}" if other else smiles
                rows.append([name, what, sampling, f"{size:g} {unit}", seen])
    note = (
        f"In how many of {TRIALS} trials of {M} frames it is a defect + a suspicion, of a check "
        "that says nothing of the set as it was, from the frames alone. `md 300 20` is a "
        "trajectory at 300 K, a frame each 20 fs."
    )
    header = ["flaw", "molecule", "frames", "size", "found"]
    return Table("Wrong geometries and names.", note, header, rows)


def _verdict(frames: Frames, said: str | None) -> str:
    findings = examine(Subject(frames, "planted", smiles=said), FRAMES)
    return worst(finding for finding in findings if finding.check in CHECKS)


CHECKS = (
    "molecule whole",
    "new contacts",
    "one molecule",
    "charge and spin",
    "duplicates",
    "near duplicates",
    "elements",
    "molecule and name",
    "cis and trans",
    "path in time",
)


def _mixed(frames: Frames, other: Frames | None, size: float, rng: np.random.Generator) -> Frames:
    """A share of the frames are of another molecule."""
    assert other is not None
    count = max(1, round(size * len(frames)))
    rows = np.sort(rng.choice(len(frames), count, replace=False))
    parts = [other.select([m]) if m in rows else frames.select([m]) for m in range(len(frames))]
    return replace(Frames.concatenate(parts), index=np.arange(len(frames)))


def _relabelled(
    frames: Frames, other: Frames | None, size: float, rng: np.random.Generator
) -> Frames:
    """In a share of the frames one carbon that bears hydrogen is called nitrogen."""
    n = int(frames.n_atoms[0])
    numbers = frames.numbers.reshape(-1, n).copy()
    rows = rng.choice(len(frames), max(1, round(size * len(frames))), replace=False)
    numbers[rows, 0] = 7
    return replace(frames, numbers=numbers.ravel())


def _moved(frames: Frames, other: Frames | None, size: float, rng: np.random.Generator) -> Frames:
    """Every coordinate of one frame is displaced."""
    positions = frames.positions.reshape(len(frames), -1, 3).copy()
    positions[rng.integers(5, len(frames) - 5)] += rng.normal(0, size, positions.shape[1:])
    return replace(frames, positions=positions.reshape(-1, 3))


def _as_ions(frames: Frames, other: Frames | None, size: float, rng: np.random.Generator) -> Frames:
    """A share of the geometries are there again, with energies of ions and no word of a charge."""
    rows = rng.choice(len(frames), max(1, round(size * len(frames))), replace=False)
    ions = frames.select(np.sort(rows))
    ions = replace(ions, energy=ions.energy + rng.normal(9.0, 0.2, len(ions)))
    return replace(Frames.concatenate([frames, ions]), index=np.arange(len(frames) + len(ions)))


def _nearly_again(
    frames: Frames, other: Frames | None, size: float, rng: np.random.Generator
) -> Frames:
    """A share of the geometries are there again, displaced by 0.001 angstrom."""
    rows = rng.choice(len(frames), max(1, round(size * len(frames))), replace=False)
    again = frames.select(np.sort(rows))
    jitter = rng.normal(0, 0.001, again.positions.shape)
    again = replace(again, positions=again.positions + jitter)
    return replace(Frames.concatenate([frames, again]), index=np.arange(len(frames) + len(again)))


def _one_after_the_other(
    frames: Frames, other: Frames | None, size: float, rng: np.random.Generator
) -> Frames:
    """After a share of the frames another trajectory of the same molecule goes on."""
    half = len(frames) // 2
    cut = rng.integers(10, half - 10)
    rows = np.concatenate([np.arange(cut), np.arange(half + cut, len(frames))])
    return replace(frames.select(rows), index=np.arange(len(rows)))


ISOMERS = (("CC=CC", "C=CCC"), ("CCO", "COC"))
FLAWS: tuple[
    tuple[str, Plant, tuple[tuple[str, str, str], ...], str, tuple[float, ...], bool], ...
] = (
    *(
        (
            f"another isomer{', molecule said' if said else ''}",
            _mixed,
            tuple((*pair, MD20) for pair in ISOMERS),
            "of the frames",
            (0.005, 0.05),
            said,
        )
        for said in (False, True)
    ),
    (
        "cis among trans",
        _mixed,
        (("C/C=C/C", "C/C=C\\C", MD20),),
        "of the frames",
        (0.005, 0.05),
        False,
    ),
    (
        "C labelled N",
        _relabelled,
        tuple((smiles, "", MD20) for smiles in ("CC=CC", "CCO")),
        "of the frames",
        (0.05, 1.0),
        False,
    ),
    (
        "positions of one frame",
        _moved,
        tuple(("CC=CC", "", f"md 300 {dt}") for dt in (0.5, 1, 2, 5, 20)),
        "Å",
        (0.02, 0.05),
        False,
    ),
    (
        "two trajectories joined",
        _one_after_the_other,
        tuple(("CC=CC", "", f"md 300 {dt}") for dt in (1, 2, 5, 20)),
        "cut",
        (1.0,),
        False,
    ),
    (
        "geometries again as ions",
        _as_ions,
        (("CCO", "", MD20),),
        "of the frames",
        (0.005, 0.5),
        False,
    ),
    (
        "geometries nearly again",
        _nearly_again,
        (("CCO", "", MD20), ("O", "", MD20)),
        "of the frames",
        (0.05, 0.5),
        False,
    ),
)
"""Name, how it is planted, molecules and sampling, unit of the size, sizes, whether it is said."""
