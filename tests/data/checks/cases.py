"""Real frames (the shipped but-2-ene), and what may be done to them, with or without harm."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from deepset_bench.data import catalogue
from deepset_bench.data.checks.cheap import CHEAP, examine
from deepset_bench.data.checks.finding import Finding
from deepset_bench.data.checks.subject import Subject
from deepset_bench.data.frames import FloatArray, Frames

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
    order = np.random.default_rng(seed).permutation(A)
    rows = (np.arange(len(frames))[:, None] * A + order).ravel()
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


def find(frames: Frames, check: str, **facts: object) -> Finding:
    """What the cheap checks say under one name."""
    findings = examine(Subject(frames, **facts), CHEAP)  # type: ignore[arg-type]
    (found,) = [finding for finding in findings if finding.check == check]
    return found


def defects(frames: Frames) -> set[str]:
    """Names of the cheap checks that find a defect."""
    findings = examine(Subject(frames), CHEAP)
    return {finding.check for finding in findings if finding.verdict == "defect"}
