"""`python -m benchmarks detection [--write]`: from which size on wrong labels are found.

Flaws of growing size are planted in sound sets of several molecules, and the sets are examined as
they were, turned and their atoms reordered; the table goes to docs/data_check.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.flaws import FLAWS, Planted
from benchmarks.sampling import Sound
from benchmarks.sound import FOLDER
from benchmarks.tables import Table, replace_section
from benchmarks.timing import machine
from deepset_bench.checks import agreement, digits, work
from deepset_bench.checks import beside_xtb as reference
from deepset_bench.checks import isolation as labels
from deepset_bench.checks import unit_sizes as units
from deepset_bench.checks.cheap import cheap_checks, examine
from deepset_bench.checks.finding import VERDICTS, Finding
from deepset_bench.checks.sample import samples
from deepset_bench.checks.subject import Subject
from deepset_bench.data import catalogue
from deepset_bench.molecules.frames import Frames

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data_check.md"
SAMPLE = 30
SETS = (
    Sound("planted", ("CCO",), "md 300 20", 200),
    Sound("planted", ("NCC(=O)O",), "rattled 0.05", 60),
    Sound("planted", ("C#N",), "rattled 0.05", 60),
    Sound("planted", ("[NH4+]",), "md 300 20", 60),
)
LABELS = (
    labels.known_bias,
    work.conservative,
    agreement.smooth,
    labels.net_force,
    labels.net_torque,
    units.bond_lengths,
    units.force_scale,
    labels.outliers,
    digits.digits,
)
"""The checks of labels that need nothing but the frames."""


def main(words: Sequence[str]) -> None:
    """Plant, examine, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks detection", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="keeps the sets (%(default)s)")
    given = parser.parse_args(words)
    content = found(sets(given.folder)).markdown()
    content += f"\n{speed()} {machine()}; {date.today():%Y-%m-%d}."
    print(content)
    if given.write:
        replace_section(PAGE, "detection", content)


def sets(folder: Path) -> list[Planted]:
    """The sound sets: a part of the shipped but-2-ene, and those made for this."""
    shipped = catalogue.load("but-2-ene").select(slice(0, 200))
    made = [Planted(sound.frames_from(folder), 300.0) for sound in SETS]
    return [Planted(replace(shipped, bias_forces=None), 5000.0), *made]


def found(planted: list[Planted]) -> Table:
    """For each flaw and size, in how many sets it is a defect + a suspicion."""
    sound = [_verdicts(one.frames, one.kelvin) for one in planted]
    rows = [["none", "", *_counts(sound, [({}, {})] * len(sound))]]
    for name, plant, unit, sizes in FLAWS:
        for size in sizes:
            verdicts = []
            for number, one in enumerate(planted):
                frames = plant(one, size, np.random.default_rng(number))
                verdicts.append(_verdicts(frames, one.kelvin))
            rows.append([name, f"{size:g} {unit}".strip(), *_counts(verdicts, sound)])
            print(rows[-1], flush=True)
    n = [f"{len(one.frames)} of {one.frames.molecule[0]}" for one in planted[:1]]
    n += [f"{sound.frames} of {sound.smiles[0]}" for sound in SETS]
    note = (
        f"In how many of {len(planted)} sets of GFN1-xTB labels ({', '.join(n)}) it is a defect + "
        "a suspicion, of a check that says nothing of the set as it was. With GFN-xTB, "
        f"{SAMPLE} frames are computed anew."
    )
    header = ["flaw", "size", "frames alone", "GFN-xTB"]
    return Table("Wrong labels.", note, header, rows)


def _verdicts(frames: Frames, kelvin: float) -> tuple[dict[str, str], dict[str, str]]:
    """The verdict of each check, from the frames alone and with GFN-xTB."""
    subject = Subject(frames, "planted", sheet={"electronic_temperature_kelvin": kelvin})
    alone = {finding.check: finding.verdict for finding in examine(subject, LABELS)}
    computed: list[Finding] = []
    for sample in samples(subject, SAMPLE):
        computed += reference.findings(subject, sample)
    return alone, {finding.check: finding.verdict for finding in computed}


def _counts(
    verdicts: list[tuple[dict[str, str], dict[str, str]]],
    sound: list[tuple[dict[str, str], dict[str, str]]],
) -> list[str]:
    """`defects + suspicions` that were not there, from the frames alone and with GFN-xTB."""
    counts = []
    for kind in (0, 1):
        worst = []
        for seen, before in zip(verdicts, sound, strict=True):
            new = [
                verdict
                for check, verdict in seen[kind].items()
                if VERDICTS.index(verdict) > VERDICTS.index(before[kind].get(check, "ok"))
            ]
            worst.append(max(new, key=VERDICTS.index, default="ok"))
        counts.append(f"{worst.count('defect')} + {worst.count('suspect')}")
    return counts


def speed() -> str:
    """How long the checks before training take; the median of five."""
    frames, seconds = catalogue.load("pent-2-ene"), []
    for _ in range(5):
        before = time.process_time()
        cheap_checks(frames, "potential")
        seconds.append(time.process_time() - before)
    return (
        f"The checks before training take {np.median(seconds):.2f} s of processor time for "
        f"{len(frames):,} frames of {frames.n_atoms[0]} atoms."
    )
