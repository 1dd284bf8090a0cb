"""`python -m benchmarks.detection [--write]`: from which size on `bench data check` finds a flaw.

Flaws of growing size are planted in blocks of 1,000 frames of the shipped but-2-ene, and sound
blocks of both shipped sets are turned and reordered; the tables go to docs/data_check.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.tables import Table, replace_section
from benchmarks.timing import machine
from deepset_bench.data import catalogue
from deepset_bench.data.checks import reference
from deepset_bench.data.checks.cheap import cheap_checks, examine
from deepset_bench.data.checks.finding import Finding, worst
from deepset_bench.data.checks.full import FRAMES
from deepset_bench.data.checks.sample import samples
from deepset_bench.data.checks.subject import Subject
from deepset_bench.data.frames import FloatArray, Frames

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data_check.md"
BLOCK, BLOCKS, SAMPLE = 1000, 5, 20
KELVIN = {"electronic_temperature_kelvin": 5000.0}

Plant = Callable[[Frames, float, np.random.Generator], Frames]


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    given = parser.parse_args()
    content = "\n".join(table.markdown() for table in (detection(), false_alarms()))
    content += f"\n{speed()} {machine()}; {date.today():%Y-%m-%d}."
    print(content)
    if given.write:
        replace_section(PAGE, "detection", content)


def detection() -> Table:
    """For each flaw and size, in how many blocks it is seen: defect / suspect / nothing."""
    rows = []
    for name, plant, unit, sizes, checks in FLAWS:
        for size in sizes:
            alone, with_xtb = [], []
            for frames, rng in _blocks():
                subject = Subject(plant(frames, size, rng), sheet=KELVIN)
                findings = examine(subject, FRAMES)
                alone.append(_verdict(findings, checks))
                with_xtb.append(_verdict(_against_xtb(subject), None))
            rows.append([name, f"{size:g} {unit}".strip(), _count(alone), _count(with_xtb)])
    note = (
        f"In how many of {BLOCKS} blocks of {BLOCK:,} frames it is a defect + a suspicion; the "
        f"relabelled sample has {SAMPLE} frames."
    )
    header = ["flaw", "size", "frames alone", "GFN-xTB"]
    return Table("What is found.", note, header, rows)


def false_alarms() -> Table:
    """Sound blocks, turned, shifted, their atoms reordered."""
    rows = []
    for name in ("but-2-ene", "pent-2-ene"):
        frames = replace(catalogue.load(name), bias_forces=None)
        for size in (50, 200, 1000, 6000):
            seen: dict[str, int] = {"defect": 0, "suspect": 0}
            trials = min(20, len(frames) // size)
            for trial in range(trials):
                rng = np.random.default_rng(trial)
                block = frames.select(slice(trial * size, (trial + 1) * size))
                subject = Subject(_turned(block, rng), name, sheet=KELVIN)
                # A random split of a trajectory leaks, and is said to.
                findings = [f for f in examine(subject, FRAMES) if f.check != "random split"]
                verdict = worst([*findings, *_against_xtb(subject)])
                if verdict in seen:
                    seen[verdict] += 1
            rows.append([name, f"{size:,}", f"{trials}", *(f"{count}" for count in seen.values())])
    header = ["set", "frames", "blocks", "with a defect", "with a suspicion"]
    return Table("What is not found where nothing is.", "", header, rows)


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


def _blocks() -> Iterator[tuple[Frames, np.random.Generator]]:
    frames = catalogue.load("but-2-ene")
    for number in range(BLOCKS):
        rng = np.random.default_rng(number)
        yield frames.select(slice(number * BLOCK, (number + 1) * BLOCK)), rng


def _against_xtb(subject: Subject) -> list[Finding]:
    return reference.findings(subject, samples(subject, SAMPLE)[0])


def _verdict(findings: list[Finding], checks: tuple[str, ...] | None) -> str:
    return worst(f for f in findings if checks is None or f.check in checks)


def _count(verdicts: list[str]) -> str:
    return f"{verdicts.count('defect')} + {verdicts.count('suspect')}"


def _labels(frames: Frames, energy: FloatArray | None, forces: FloatArray | None) -> Frames:
    return replace(
        frames,
        energy=frames.energy if energy is None else energy,
        forces=frames.forces if forces is None else forces,
        bias_forces=None,
    )


def _bias(frames: Frames, size: float, rng: np.random.Generator) -> Frames:
    """The set's own metadynamics, scaled to a share of the mean absolute true force."""
    assert frames.bias_forces is not None
    scale = size * np.abs(frames.forces).mean() / np.abs(frames.bias_forces).mean()
    return _labels(frames, None, frames.forces + scale * frames.bias_forces)


def _noise(frames: Frames, size: float, rng: np.random.Generator) -> Frames:
    noise = rng.normal(0, size, frames.forces.shape)
    return _labels(frames, None, frames.forces + noise)


def _force_scale(frames: Frames, size: float, rng: np.random.Generator) -> Frames:
    return _labels(frames, None, size * frames.forces)


def _energy_scale(frames: Frames, size: float, rng: np.random.Generator) -> Frames:
    return _labels(frames, size * frames.energy, None)


def _one_energy(frames: Frames, size: float, rng: np.random.Generator) -> Frames:
    energy = frames.energy.copy()
    energy[rng.integers(len(energy))] += size
    return _labels(frames, energy, None)


def _other_frames(frames: Frames, size: float, rng: np.random.Generator) -> Frames:
    """A share of the frames have the forces of the frame after the next."""
    forces = frames.forces.reshape(len(frames), -1, 3).copy()
    chosen = rng.choice(len(frames), max(1, round(size * len(frames))), replace=False)
    forces[chosen] = np.roll(forces, 2, axis=0)[chosen]
    return _labels(frames, None, forces.reshape(-1, 3))


def _copies(frames: Frames, size: float, rng: np.random.Generator) -> Frames:
    """A share of the frames are turned copies of others."""
    rows = np.arange(len(frames))
    number = max(1, round(size * len(frames)))
    rows[rng.choice(len(rows), number, replace=False)] = rng.integers(len(rows), size=number)
    copied = _turned(_labels(frames.select(rows), None, None), rng)
    return replace(copied, index=frames.index)


def _stretched(frames: Frames, size: float, rng: np.random.Generator) -> Frames:
    """In one frame the methyl group of the last carbon is moved off along its bond."""
    positions = frames.positions.reshape(len(frames), -1, 3).copy()
    row = rng.integers(len(frames))
    bond = positions[row, 3] - positions[row, 2]
    positions[row, [3, 9, 10, 11]] += (size - 1) * bond
    return replace(_labels(frames, None, None), positions=positions.reshape(-1, 3))


def _turned(frames: Frames, rng: np.random.Generator) -> Frames:
    m = len(frames)
    turns = Rotation.random(m, rng=rng).as_matrix()
    order = rng.permutation(int(frames.n_atoms[0]))
    rows = (frames.offsets[:-1, None] + order).ravel()
    turned = [
        np.einsum("mij,maj->mai", turns, values[rows].reshape(m, -1, 3)).reshape(-1, 3)
        for values in (frames.positions, frames.forces)
    ]
    numbers = frames.numbers[rows]
    return replace(frames, numbers=numbers, positions=turned[0], forces=turned[1], bias_forces=None)


WORK = ("work and energy",)
FLAWS: tuple[tuple[str, Plant, str, tuple[float, ...], tuple[str, ...]], ...] = (
    ("bias force", _bias, "of the true force", (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.7), WORK),
    ("force noise", _noise, "eV/Å", (0.003, 0.01, 0.03, 0.1), ("net force", "net torque")),
    (
        "forces in another unit",
        _force_scale,
        "times",
        (1.05, 1.1, 1.2, 1.3, 1.8897, 0.5292),
        ("force unit", *WORK),
    ),
    ("energies in another unit", _energy_scale, "times", (1.1, 1.3, 4.184, 27.21), WORK),
    (
        "energy of one frame",
        _one_energy,
        "eV",
        (0.2, 0.5, 1.0, 3.0, 10.0),
        ("labels of single frames", "outliers"),
    ),
    (
        "forces of other frames",
        _other_frames,
        "of the frames",
        (0.001, 0.1, 1.0),
        ("net torque", "labels of single frames", *WORK),
    ),
    ("copies of frames", _copies, "of the frames", (0.001, 0.02), ("duplicates",)),
    ("one bond of one frame", _stretched, "times its length", (1.3, 1.5, 1.8), ("molecule whole",)),
)
"""Name, how it is planted, unit of the size, sizes, and the checks that are to find it."""


if __name__ == "__main__":
    main()
