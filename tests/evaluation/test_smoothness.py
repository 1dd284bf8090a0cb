"""The largest jump of a force along paths, planted where and as large as it is to be found."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deepset_bench.data import catalogue
from deepset_bench.evaluation import smoothness
from deepset_bench.evaluation.continuity import Break
from deepset_bench.evaluation.paths import Path, starting_molecule
from deepset_bench.evaluation.scans import Curve
from deepset_bench.evaluation.trained import load_trained
from deepset_bench.scoring.scored import ScoredRun
from deepset_bench.scoring.table import chosen
from tests import toy
from tests.training.tiny import UNMOVED, run


class Kinked:
    """Two atoms on a spring, whose force is larger by `jump` from 1.3137 angstrom on."""

    def __init__(self, jump: float) -> None:
        self.jump = jump
        potential = SimpleNamespace(force_unit=1.0, model=None)
        gating = SimpleNamespace(top_k=None)
        config = SimpleNamespace(cutoff=5.0, gating=gating)
        self.members = [SimpleNamespace(potential=potential, config=config)]

    def __call__(self, frames, *, one_by_one: bool = False):
        d = frames.positions.reshape(-1, 2, 3)[:, 1, 0]
        over = np.maximum(d - 1.3137, 0)
        force = -(d - 1.2) - self.jump * (d > 1.3137)
        forces = np.zeros((len(d), 2, 3))
        forces[:, 1, 0], forces[:, 0, 0] = force, -force
        energy = 0.5 * (d - 1.2) ** 2 + self.jump * over
        return SimpleNamespace(energy=energy, forces=forces.reshape(-1, 3))


def stretched(t):
    positions = np.zeros((len(t), 2, 3))
    positions[:, 1, 0] = t
    return positions


STRETCH = Path("H2", "angstrom", np.array([1, 1]), np.linspace(1.0, 1.6, 61), stretched)


@pytest.mark.parametrize("jump", [0.002, 0.25])
def test_a_jump_is_found_to_its_size(jump):
    assert smoothness.largest(Kinked(jump), [STRETCH]) == pytest.approx(jump, abs=1e-8)


def test_none_is_zero():
    assert smoothness.largest(Kinked(0.0), [STRETCH]) == 0.0
    assert smoothness.largest(Kinked(0.25), []) == 0.0


def test_of_a_run_it_is_the_largest_of_its_scans(own_folders, monkeypatch):
    """Of all three of its molecule, each at its own cutoff; the molecule without a C=C has one."""
    sizes = {"torsion": 0.1, "bond": 0.3, "two": 0.2}
    asked = []

    def scanned(label, ensemble, along):
        asked.append(along.title.split()[0])
        assert ensemble.members[0].potential.species.tolist() == [1, 6]
        assert ensemble.members[0].potential.scale.dtype == torch.float64
        one = Break(0.0, 1e-9, 0.0, sizes[asked[-1]])
        return Curve(label, along.grid, along.grid, [one], [""])

    monkeypatch.setattr(smoothness, "scan", scanned)
    catalogue.register("tiny", toy.frames(2, 40), {})
    folder = run("trainer.epochs=1", *UNMOVED, "cutoff=3.0").folder.path
    told = ScoredRun(0, math.nan, load_trained(folder, "cpu").config, folder)
    (metric,) = chosen(["force_jump"])
    assert metric(None, None, told) == 0.3
    assert asked == list(sizes)
    saturated = replace(starting_molecule(toy.frames(2, 40)), double_bonds=())
    monkeypatch.setattr(smoothness, "starting_molecule", lambda _: saturated)
    assert metric(None, None, told) == 0.2
