"""What a random split leaks, by how far frames are apart in time: distances, and a regression.

`python -m benchmarks random_split [--write]`: dynamics of but-2-ene at 300 K, a frame each 0.5 to
20 fs. Beside the number of the check `random split` stands what it is to predict: the error of
kernel ridge regression of the energy on frames held out at random, over that on frames with no
training frame within 50.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks.tables import Table, replace_section
from benchmarks.timing import machine
from deepset_bench.checks.leakage import nearness
from deepset_bench.checks.subject import Subject
from deepset_bench.data.splits import GAP
from deepset_bench.generation.recipe import Recipe
from deepset_bench.generation.simulation import Simulation
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.geometry import distances, pairs
from deepset_bench.molecules.molecule import Molecule

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data_check.md"
_STEPS, _STEP, _BEFORE = 40_000, 0.5, 2_000  # recorded; fs; left out at the beginning
_APART = (1, 2, 3, 4, 6, 10, 20, 40)  # steps between frames
_FRAMES, _TRAIN, _BLOCK, _REPEATS, _BLOCKS = 1000, 600, 10, 3, 8
_WIDTHS, _RIDGES = (2.0, 4.0), (1e-3, 1e-5, 1e-7)  # of the median distance; the best of each


def main(words: Sequence[str]) -> None:
    """Print the table, or write it to the page of the checks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks random_split", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    given = parser.parse_args(words)
    content = table(*trajectory()).markdown() + f"\n{machine()}; {date.today():%Y-%m-%d}."
    print(content)
    if given.write:
        replace_section(PAGE, "random_split", content)


def trajectory() -> tuple[IntArray, FloatArray, FloatArray]:
    """Atomic numbers (n,), positions (m, n, 3) in angstrom and energies (m,) in eV, each 0.5 fs."""
    molecule = Molecule.from_smiles("C/C=C/C", 1)
    recipe = Recipe(
        "C/C=C/C", _STEPS, sampling="md", interval=_STEP, timestep=_STEP, friction=0.01, seed=1
    )
    simulation = Simulation(molecule, recipe)
    simulation.advance(0, _BEFORE)
    positions, energies = [], []
    for step in range(_BEFORE, _BEFORE + _STEPS):
        simulation.advance(step, step + 1)
        labels = simulation.labels()
        positions.append(labels["positions"].copy())
        energies.append(labels["energy"])
    return molecule.numbers, np.array(positions), np.array(energies)


def table(numbers: IntArray, positions: FloatArray, energy: FloatArray) -> Table:
    """A row for each time between frames."""
    rng = np.random.default_rng(1)
    rows = []
    for apart in _APART:
        found = np.array([_once(numbers, positions, energy, apart, rng) for _ in range(_REPEATS)])
        ratio, random, far = found.mean(axis=0)
        cells = (f"{ratio:.2f}", f"{1000 * random:.2g}", f"{1000 * far:.2g}", f"{random / far:.2f}")
        rows.append([f"{apart * _STEP:g}", *cells])
    return Table(
        "What a random split leaks.",
        f"Dynamics of but-2-ene at 300 K, {_FRAMES:,} frames, {_TRAIN} of them for kernel ridge "
        f"regression of the energy on inverse distances; means of {_REPEATS} parts of it.",
        ["fs between frames", "check", "error at random / meV", f"over {GAP} frames away", "ratio"],
        rows,
    )


def _once(
    numbers: IntArray,
    positions: FloatArray,
    energy: FloatArray,
    apart: int,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """The check's number, and both errors in eV, of one part of a trajectory."""
    last = max(1, len(positions) - _FRAMES * apart)
    rows = np.arange(rng.integers(last), len(positions), apart)[:_FRAMES]
    positions, energy = positions[rows], energy[rows]
    group = Subject(Frames.unlabelled("but-2-ene", numbers, positions)).large[0]
    near = nearness(group, len(group))
    assert near is not None
    features = 1 / distances(positions, *pairs(len(numbers)))
    every = np.arange(len(rows))
    errors: list[tuple[float, float]] = []
    for _ in range(_BLOCKS):
        first = rng.integers(len(rows) - _BLOCK)
        block = every[first : first + _BLOCK]
        away = np.abs(every - first - (_BLOCK - 1) / 2) > GAP + _BLOCK / 2
        held_out = rng.choice(len(rows), _BLOCK, replace=False)
        parts = ((held_out, np.setdiff1d(every, held_out)), (block, every[away]))
        at_random, far = (
            _error(features, energy, rng.choice(rest, _TRAIN, replace=False), test)
            for test, rest in parts
        )
        errors.append((at_random, far))
    at_random, far = np.mean(errors, axis=0)
    return near.ratio, float(at_random), float(far)


def _error(features: FloatArray, energy: FloatArray, train: IntArray, test: IntArray) -> float:
    """Mean absolute error in eV of the best width and ridge."""
    within = cdist(features[train], features[train], "sqeuclidean")
    across = cdist(features[test], features[train], "sqeuclidean")
    mean, median = energy[train].mean(), np.median(within)
    found = []
    for width in _WIDTHS:
        kernel, other = (np.exp(-d / (2 * width**2 * median)) for d in (within, across))
        for ridge in _RIDGES:
            weights = np.linalg.solve(kernel + ridge * np.eye(len(train)), energy[train] - mean)
            found.append(float(np.abs(other @ weights + mean - energy[test]).mean()))
    return min(found)
