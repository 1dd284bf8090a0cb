"""Flaws that the benchmark plants are in the frames, and the obvious ones are found from frames."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detection import LABELS
from benchmarks.flaws import FLAWS, Planted
from deepset_bench.checks.cheap import examine
from deepset_bench.checks.subject import Subject
from tests.checks.toy import frames, geometries, labels


def planted() -> Planted:
    positions = geometries(30)
    return Planted(frames(positions, *labels(positions)), 300.0)


@pytest.mark.parametrize("flaw", FLAWS, ids=[flaw[0] for flaw in FLAWS])
def test_each_flaw_changes_the_set(flaw) -> None:
    pytest.importorskip("tblite")
    _, plant, _, sizes = flaw
    sound = planted()
    changed = plant(sound, sizes[-1], np.random.default_rng(0))
    same = [
        np.array_equal(getattr(changed, name), getattr(sound.frames, name))
        for name in ("energy", "forces", "positions")
    ]
    assert not all(same)
    assert len(changed) == len(sound.frames)


@pytest.mark.parametrize(
    "name",
    [
        "restraint in the forces",
        "forces times a factor",
        "positions of all frames",
        "energy step",
        "energies rounded",
    ],
)
def test_the_largest_of_each_is_found_without_a_method(name: str) -> None:
    _, plant, _, sizes = next(flaw for flaw in FLAWS if flaw[0] == name)
    flawed = plant(planted(), sizes[-1], np.random.default_rng(0))
    verdicts = {f.verdict for f in examine(Subject(flawed), LABELS)}
    assert "defect" in verdicts


def test_the_sound_set_has_none() -> None:
    assert {f.verdict for f in examine(Subject(planted().frames), LABELS)} <= {"ok", "not run"}
