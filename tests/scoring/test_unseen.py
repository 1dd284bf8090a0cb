"""Errors out of distribution against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from deepset_bench.molecules.frames import Frames
from deepset_bench.scoring.unseen import Scorer
from tests import toy

TRAIN = toy.frames(2, 5, noise=0.02)
FRAMES = Frames.concatenate([toy.frames(3, 4, 1, noise=0.02), toy.frames(2, 6, 2, noise=0.02)])
A = len(FRAMES.numbers)


def scorer(reference: str = "composition") -> Scorer:
    return Scorer.after(TRAIN, FRAMES, reference, "potential")


def test_offset_and_shape():
    rng = np.random.default_rng(0)
    offset = np.repeat([3.0, -1.0], [4, 6])
    shape = rng.normal(0.0, 0.1, 10)
    shape -= np.repeat([shape[:4].mean(), shape[4:].mean()], [4, 6])
    forces = rng.normal(0.0, 0.2, (A, 3))
    found = scorer().scores(offset + shape, forces)
    assert found["energy_mae_ev"] == pytest.approx(np.abs(offset + shape).mean())
    assert found["relative_energy_mae_ev"] == pytest.approx(np.abs(shape).mean())
    assert found["relative_energy_rmse_ev"] == pytest.approx(np.sqrt((shape**2).mean()))
    assert found["forces_mae_ev_per_angstrom"] == pytest.approx(np.abs(forces).mean())
    assert found["molecules"]["c3h6"]["energy_offset_ev"] == pytest.approx(3.0)
    assert found["molecules"]["c2h4"]["energy_offset_ev"] == pytest.approx(-1.0)
    of_propene = forces[FRAMES.molecule[FRAMES.frame_of_atom] == "c3h6"]
    own = found["molecules"]["c3h6"]["forces_mae_ev_per_angstrom"]
    assert own == pytest.approx(np.abs(of_propene).mean())


def test_first_shells_that_were_not_in_training():
    """Of C3H6, the middle carbon and its hydrogens, and the carbons next to it."""
    forces = np.zeros((A, 3))
    new = ~scorer().seen
    atoms = np.arange(4 * 9) % 9
    np.testing.assert_array_equal(new[: 4 * 9], np.isin(atoms, [0, 1, 2, 4, 7]))
    assert not new[4 * 9 :].any()
    forces[new] = 0.5
    found = scorer().scores(np.zeros(10), forces)["environments"]
    assert found["unseen"] == {"atoms": 4 * 5, "forces_mae_ev_per_angstrom": 0.5}
    assert found["seen"] == {"atoms": A - 4 * 5, "forces_mae_ev_per_angstrom": 0.0}


def test_molecules_that_the_reference_says_nothing_about():
    assert scorer().note == ""  # C2H4 and C3H6 are collinear
    of_mean = scorer("molecule_mean")
    assert of_mean.note.startswith("c3h6: absolute energy undetermined")
    found = of_mean.scores(np.repeat([3.0, -1.0], [4, 6]), np.zeros((A, 3)))
    assert found["energy_mae_ev"] == pytest.approx(1.0)  # of C2H4 alone
    assert found["frames_scored"] == 6
    assert found["molecules"]["c3h6"]["energy_mae_ev"] is None
    assert found["molecules"]["c3h6"]["relative_energy_mae_ev"] == 0.0
    one_frame = Scorer.after(TRAIN, FRAMES.select(slice(3, 10)), "composition", "potential")
    forces = np.zeros((9 + 6 * 6, 3))
    found = one_frame.scores(np.array([3.0, *[1.0, 2.0] * 3]), forces)
    assert found["molecules"]["c3h6"]["relative_energy_mae_ev"] is None  # it is its own mean
    assert found["molecules"]["c3h6"]["energy_offset_ev"] == pytest.approx(3.0)
    assert found["relative_energy_mae_ev"] == pytest.approx(0.5)
    nothing = Scorer.after(TRAIN, FRAMES.select(slice(0, 4)), "molecule_mean", "potential")
    assert nothing.scores(np.ones(4), np.zeros((36, 3)))["energy_mae_ev"] is None
