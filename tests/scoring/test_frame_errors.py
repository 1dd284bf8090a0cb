"""Errors over frames: blocks know that neighbours in time are alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.scoring.frame_errors import (
    FrameErrors,
    block_length,
    compared,
    standard_error,
)
from deepset_bench.scoring.scored import Labels, Predictions
from tests import toy


def autoregressive(phi: float, n: int, series: int, seed: int = 0) -> np.ndarray:
    """(series, n) with unit variance, x_t = phi x_(t-1) + noise, stationary from the start."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, series))
    for t in range(1, n):
        x[t] = phi * x[t - 1] + math.sqrt(1 - phi**2) * x[t]
    return x.T


def of_mean(phi: float, n: int) -> float:
    """The exact standard error of the mean of `autoregressive`."""
    lags = np.arange(1, n)
    return math.sqrt((1 + 2 * ((1 - lags / n) * phi**lags).sum()) / n)


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.9])
def test_the_error_of_a_mean_of_a_series_is_found(phi):
    n = 2000
    found = [standard_error(x, block_length(x)) for x in autoregressive(phi, n, 40)]
    naive = [standard_error(x, 1) for x in autoregressive(phi, n, 40)]
    truth = of_mean(phi, n)
    assert np.mean(found) == pytest.approx(truth, rel=0.2)
    assert np.mean(naive) == pytest.approx(1 / math.sqrt(n), rel=0.1)
    if phi == 0.9:
        assert np.mean(naive) < 0.3 * truth


def test_blocks_of_one_give_the_usual_error():
    values = np.random.default_rng(1).normal(size=50)
    assert standard_error(values, 1) == pytest.approx(values.std(ddof=1) / math.sqrt(50))
    assert standard_error(values[:1], 1) is None


def test_it_is_what_many_resamples_give():
    """Drawn: blocks on the circle, as many as make the series."""
    values = np.abs(autoregressive(0.7, 120, 1, seed=2)[0])
    rng, block = np.random.default_rng(3), 8
    starts = rng.integers(0, 120, (20_000, 120 // block))
    rows = (starts[:, :, None] + np.arange(block)) % 120
    drawn = values[rows].mean(axis=(1, 2)).std()
    assert standard_error(values, block) * math.sqrt(1 - block / 120) == pytest.approx(
        drawn, rel=0.02
    )


def test_blocks_grow_with_the_correlation_and_stay_below_a_third():
    lengths = [
        np.mean([block_length(x) for x in autoregressive(phi, 2000, 20)]) for phi in (0.0, 0.6, 0.9)
    ]
    assert lengths[0] < 10 < lengths[1] < lengths[2]
    assert block_length(np.arange(30.0)) <= 10
    assert block_length(np.ones(30)) == block_length(np.zeros(2)) == 1


def frame_errors(energy: np.ndarray, forces: np.ndarray, atoms: int = 3) -> FrameErrors:
    n = len(energy)
    whole = np.arange(n), np.zeros(n, dtype=int), np.arange(n), np.full(n, atoms)
    return FrameErrors(*whole, energy.astype(np.float32), forces.astype(np.float32))


@pytest.mark.parametrize("scored", [0, 1, 2, 3, 24, 60, 200])
def test_few_energies_of_many_frames_have_an_error(scored):
    """The blocks are those of the forces, and may be longer than all energies that there are."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 319))
    forces = 3 + np.convolve(noise[0], np.full(20, 0.25), "valid")
    energy = np.where(np.arange(300) < scored, noise[1, :300], np.nan)
    zeros = np.zeros(300, dtype=np.int64)
    found = FrameErrors(np.arange(300), zeros, np.arange(300), zeros + 9, energy, forces)
    uncertainty = found.uncertainty()
    assert uncertainty["block"] > 20
    error = uncertainty["energy_mae_ev"]
    usual = np.abs(energy[:scored]).std() / np.sqrt(scored) if scored > 1 else 0
    assert error is None if scored < 2 else 0.3 * usual < error < 3 * usual


def test_a_difference_leaves_out_what_is_hard_for_both():
    """Frames are as hard as a series says; one of the runs is a tenth better, and differs by noise
    that is a series, too."""
    n = 3000
    hard = 1 + 0.3 * np.abs(autoregressive(0.95, n, 1)[0])
    own = 0.05 * autoregressive(0.9, n, 40, seed=1)
    found = [compared(frame_errors(0.9 * hard + x, hard), frame_errors(hard, hard)) for x in own]
    energies = [each[ENERGY_MAE] for each in found]
    spread = np.std([one.difference for one in energies], ddof=1)
    claimed = np.mean([one.error for one in energies])
    # A tenth of the frames' hardness adds little to the scatter of its own.
    assert claimed == pytest.approx(0.05 * of_mean(0.9, n), rel=0.2)
    assert spread == pytest.approx(claimed, rel=0.3)
    assert claimed < 0.5 * frame_errors(hard, hard).uncertainty()[ENERGY_MAE]
    assert energies[0].log_ratio == pytest.approx(math.log(0.9), abs=0.02)
    assert energies[0].log_error == pytest.approx(energies[0].error / (0.95 * hard.mean()), rel=0.3)
    same = found[0][FORCES_MAE]
    assert (same.difference, same.error, same.log_ratio, same.log_error) == (0, 0, 0, 0)


def test_frames_are_paired_by_their_row():
    a = frame_errors(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4))
    b = FrameErrors(
        *(np.array([3, 1, 9]), np.array([0, 0, 1]), np.array([3, 1, 0]), np.full(3, 3)),
        *(np.array([1.0, 1.0, 7.0]), np.ones(3)),
    )
    found = compared(a, b)[ENERGY_MAE]
    assert (found.frames, found.difference) == (2, 2.0)
    with pytest.raises(UserError, match="no held-out frame in common"):
        compared(a, FrameErrors(*(getattr(b, name)[2:] for name in vars(b))))


def test_errors_of_frames_come_from_predictions(tmp_path):
    """Of molecules of several sizes, in the order of their frames, however they come."""
    frames = Frames.concatenate([toy.frames(3, 20), toy.frames(2, 10)])
    rows = np.random.default_rng(0).permutation(30)
    chosen = frames.select(rows)
    rng = np.random.default_rng(1)
    energy, forces = rng.normal(size=30), rng.normal(size=chosen.forces.shape)
    energy[rows == 4] = np.nan  # not scored
    truth = Labels(np.zeros(30), chosen.forces, chosen)
    found = FrameErrors.of(rows, Predictions(energy, chosen.forces + forces), truth)
    assert found.frame.tolist() == [*range(20, 30), *range(20)]  # C2H4 before C3H6
    assert np.isnan(found.energy[found.frame == 4]).all()
    first = int(np.flatnonzero(rows == 20)[0])
    assert found.energy[0] == pytest.approx(energy[first])
    own = np.abs(forces[chosen.frame_of_atom == first]).mean()
    assert found.forces[0] == pytest.approx(own)
    assert np.average(found.forces, weights=found.atoms) == pytest.approx(np.abs(forces).mean())
    found.save(tmp_path / "held_out.npz")
    back = FrameErrors.load(tmp_path / "held_out.npz")
    for name in vars(found):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
    assert back.uncertainty() == found.uncertainty()
    assert found.uncertainty()["frames"] == 30


def test_a_damaged_file_is_one_line(tmp_path):
    path = tmp_path / "held_out.npz"
    with pytest.raises(UserError, match="no such file"):
        FrameErrors.load(path)
    path.write_bytes(b"bad")
    with pytest.raises(UserError, match="not readable errors of frames"):
        FrameErrors.load(path)
