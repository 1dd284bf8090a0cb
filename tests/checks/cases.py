"""Real frames (the shipped but-2-ene), and what may be done to them, with or without harm."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deepset_bench.checks.cheap import CHEAP, examine
from deepset_bench.checks.finding import Finding
from deepset_bench.checks.subject import Subject
from deepset_bench.data import catalogue
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.molecule import Molecule

A = 12
"""Atoms of but-2-ene: four carbons, then hydrogens."""


@cache
def _all() -> Frames:
    return catalogue.load("but-2-ene")


def clean(n_frames: int = 400, first: int = 0) -> Frames:
    """Consecutive frames, potential forces, bias forces forgotten."""
    return replace(_all().select(slice(first, first + n_frames)), bias_forces=None)


def bias(n_frames: int = 400, first: int = 0) -> FloatArray:
    """(frames * A, 3) what metadynamics added to the same frames, eV/angstrom."""
    found = _all().select(slice(first, first + n_frames)).bias_forces
    assert found is not None
    return found


def cubes(values: FloatArray) -> FloatArray:
    """(m * A, 3) -> (m, A, 3), to be written to."""
    return values.reshape(-1, A, 3).copy()


def turned(frames: Frames, seed: int) -> Frames:
    """Each frame turned and shifted on its own, forces with it."""
    turns = Rotation.random(len(frames), rng=np.random.default_rng(seed)).as_matrix()
    shift = np.random.default_rng(seed).normal(0, 10, (len(frames), 1, 3))
    positions = np.einsum("mij,maj->mai", turns, cubes(frames.positions)) + shift
    forces = np.einsum("mij,maj->mai", turns, cubes(frames.forces))
    return replace(frames, positions=positions.reshape(-1, 3), forces=forces.reshape(-1, 3))


def reordered(frames: Frames, seed: int) -> Frames:
    """The atoms of all frames in one other order."""
    order = np.random.default_rng(seed).permutation(int(frames.n_atoms[0]))
    rows = (frames.offsets[:-1, None] + order).ravel()
    return replace(
        frames,
        numbers=frames.numbers[rows],
        positions=frames.positions[rows],
        forces=frames.forces[rows],
    )


def shuffled(frames: Frames, seed: int) -> Frames:
    """The frames in another order, numbered anew."""
    order = np.random.default_rng(seed).permutation(len(frames))
    return replace(frames.select(order), index=np.arange(len(frames)))


def of_smiles(smiles: str, n_frames: int, noise: float = 0.02, seed: int = 0) -> Frames:
    """Displaced geometries of another molecule, without labels; a dot parts two of one frame."""
    pytest.importorskip("rdkit")
    parts = [Molecule.from_smiles(part, 1) for part in smiles.split(".")]
    numbers = np.concatenate([part.numbers for part in parts])
    rest = np.concatenate([part.positions + 4.0 * k for k, part in enumerate(parts)])
    positions = rest + np.random.default_rng(seed).normal(0, noise, (n_frames, *rest.shape))
    return Frames.unlabelled("x", numbers, positions)


def joined(*sets: Frames) -> Frames:
    """One set under one name, numbered anew."""
    frames = Frames.concatenate([replace(part, bias_forces=None) for part in sets])
    m = len(frames)
    return replace(frames, index=np.arange(m), molecule=np.full(m, "x"))


def permuted(frames: Frames, seed: int) -> Frames:
    """The atoms of each frame in an order of its own."""
    rng = np.random.default_rng(seed)
    ends = zip(frames.offsets[:-1], frames.offsets[1:], strict=True)
    rows = np.concatenate([rng.permutation(np.arange(start, end)) for start, end in ends])
    return replace(
        frames,
        numbers=frames.numbers[rows],
        positions=frames.positions[rows],
        forces=frames.forces[rows],
    )


def find(frames: Frames, check: str, **facts: object) -> Finding:
    """What the cheap checks say under one name."""
    findings = examine(Subject(frames, **facts), CHEAP)  # type: ignore[arg-type]
    (found,) = [finding for finding in findings if finding.check == check]
    return found


def defects(frames: Frames) -> set[str]:
    """Names of the cheap checks that find a defect."""
    findings = examine(Subject(frames), CHEAP)
    return {finding.check for finding in findings if finding.verdict == "defect"}
