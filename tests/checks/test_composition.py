"""Rank, row space and mixed levels of theory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deepset_bench.checks.composition import one_level, rank, row_space
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import Frames
from tests import toy


def molecules(formulas: list[dict[int, int]], energies: list[float]) -> Frames:
    numbers = [np.repeat(list(f), list(f.values())) for f in formulas]
    total = sum(map(len, numbers))
    return Frames(
        numbers=np.concatenate(numbers),
        positions=np.random.default_rng(0).normal(0, 5, (total, 3)),
        n_atoms=np.array([len(n) for n in numbers]),
        energy=np.array(energies),
        forces=np.zeros((total, 3)),
        bias_forces=None,
        molecule=np.array([f"m{k}" for k in range(len(formulas))]),
        index=np.arange(len(formulas)),
    )


ALKANES = [{6: n, 1: 2 * n + 2} for n in range(1, 8)]


def test_alkenes_alone_do_not_tell_carbon_from_hydrogen() -> None:
    alkenes = Frames.concatenate([toy.frames(2, 3), toy.frames(3, 3)])
    found = rank(Subject(alkenes))
    assert (found.number, found.verdict) == (1, "ok")
    assert "combinations alone" in found.text
    assert rank(Subject(molecules(ALKANES, [0.0] * 7))).number == 2


def test_another_set_inside_and_outside() -> None:
    butene, pentene = toy.frames(4, 3), toy.frames(5, 3)
    inside = row_space(Subject(butene, against=pentene))
    assert inside is not None
    assert inside.verdict == "ok"
    for other in (molecules(ALKANES[:1], [0.0]), molecules([{8: 1, 1: 2}], [0.0])):
        outside = row_space(Subject(butene, against=other))
        assert outside is not None
        assert outside.verdict == "defect"
        assert outside.number == 1
    assert row_space(Subject(butene)) is None


@pytest.mark.parametrize(("shift", "verdict"), [(0.5, "ok"), (40.0, "suspect"), (5000.0, "defect")])
def test_one_molecule_of_another_method(shift: float, verdict: str) -> None:
    energies = [-1030.0 * f[6] - 16.0 * f[1] for f in ALKANES]
    energies[2] += shift
    assert one_level(Subject(molecules(ALKANES, energies))).verdict == verdict


def test_two_compositions_cannot_contradict_each_other() -> None:
    frames = molecules(ALKANES[:2], [-1.0, 50.0])
    assert one_level(Subject(replace(frames))).verdict == "not run"
