"""Errors of one run frame by frame: how uncertain their means are, and how two runs differ.

Frames of a trajectory are alike if they are near in time, and so are the errors on them: a mean
over n of them is less certain than one over n independent ones. A block bootstrap accounts for
that: it resamples blocks of consecutive frames instead of frames (Kuensch, Ann. Stat. 17, 1217
(1989)), here on a circle, so that every frame counts alike (Politis and Romano, in Exploring the
Limits of Bootstrap, 263 (1992)). Of a mean, the variance over all resamples is a sum over blocks,
so nothing is drawn. Molecules follow each other on the circle, each in the order of its frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from deepset_bench import file_version
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.scoring.scored import Labels, Predictions
from deepset_bench.surroundings import of_file


@dataclass(frozen=True, eq=False)
class FrameErrors:
    """Of M frames, by molecule, and within one by their number in the source.

    Attributes:
        frame: (M,) rows in the data set.
        molecule: (M,) which one, counted in the order of their names.
        index: (M,) numbers in the source.
        atoms: (M,) how many a frame has.
        energy: (M,) eV, predicted minus labelled, float32; NaN where absolute energies are not
            scored.
        forces: (M,) eV/angstrom, mean absolute error of a frame's components, float32.
    """

    frame: IntArray
    molecule: IntArray
    index: IntArray
    atoms: IntArray
    energy: FloatArray
    forces: FloatArray

    @classmethod
    def of(cls, rows: IntArray, predictions: Predictions, labels: Labels) -> FrameErrors:
        """Of predictions for these rows (M,) of a data set."""
        frames = labels.frames
        molecule = np.unique(frames.molecule, return_inverse=True)[1]
        of_atoms = np.abs(predictions.forces - labels.forces).mean(axis=1)
        forces = np.bincount(frames.frame_of_atom, of_atoms, len(rows)) / frames.n_atoms
        order = np.lexsort((frames.index, molecule))
        return cls(
            rows[order],
            molecule[order].astype(np.int32),
            frames.index[order],
            frames.n_atoms[order].astype(np.int32),
            (predictions.energy - labels.energy)[order].astype(np.float32),
            forces[order].astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.frame)

    def save(self, path: Path) -> None:
        """Write held_out.npz, whole or not at all."""
        file_version.save_arrays(path, {f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> FrameErrors:
        """Read what `save` wrote.

        Raises:
            UserError: no such file, or not one of errors.
        """
        try:
            stored = file_version.arrays(path)
            found = cls(**{f.name: stored[f.name] for f in fields(cls)})
            lengths = {getattr(found, f.name).shape for f in fields(cls)}
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; a run writes it when it ends") from None
        except Exception as error:
            said = of_file(path, error)
            raise UserError(f"{path}: not readable errors of frames ({said})") from None
        if lengths != {(len(found),)}:
            raise UserError(f"{path}: not readable errors of frames (of several lengths)")
        return found

    def uncertainty(self) -> dict[str, Any]:
        """For result.json: `frames`, frames in a `block`, and standard errors of the two MAE.

        A standard error is None where fewer than two frames are scored.
        """
        each = {ENERGY_MAE: _parts(*self._energies()), FORCES_MAE: _parts(*self._forces())}
        block = max(map(block_length, each.values()))
        errors = {key: standard_error(parts, block) for key, parts in each.items()}
        return {"frames": len(self), "block": block, **errors}

    def _energies(self) -> tuple[FloatArray, FloatArray]:
        """Absolute errors and weights of the frames whose energies are scored."""
        scored = np.abs(self.energy[~np.isnan(self.energy)]).astype(np.float64)
        return scored, np.ones_like(scored)

    def _forces(self) -> tuple[FloatArray, FloatArray]:
        return self.forces.astype(np.float64), self.atoms.astype(np.float64)


@dataclass(frozen=True)
class Difference:
    """Of the mean absolute errors of one run and another, on the frames that both have.

    Attributes:
        frames: how many.
        block: frames in a block.
        difference: the one minus the other, in eV or eV/angstrom.
        error: its standard error over frames; None for one frame.
        log_ratio: the natural logarithm of the one over the other; None where either is zero.
        log_error: its standard error.
    """

    frames: int
    block: int
    difference: float
    error: float | None
    log_ratio: float | None
    log_error: float | None


def compared(one: FrameErrors, other: FrameErrors) -> dict[str, Difference]:
    """Key of result.json -> how the two runs differ, frame by frame.

    What makes a frame hard for both is no difference, so the error is smaller than those of the two
    means suggest.

    Raises:
        UserError: no frame is of both.
    """
    _, mine, theirs = np.intersect1d(one.frame, other.frame, return_indices=True)
    order = np.argsort(mine)  # by molecule and index
    mine, theirs = mine[order], theirs[order]
    scored = ~(np.isnan(one.energy[mine]) | np.isnan(other.energy[theirs]))
    if not scored.any():
        raise UserError("the two runs have no held-out frame in common")
    energies = (np.abs(one.energy[mine][scored]), np.abs(other.energy[theirs][scored]))
    forces = one.forces[mine], other.forces[theirs]
    weights = np.ones(int(scored.sum())), one.atoms[mine]
    return {
        key: _difference(*(values.astype(np.float64) for values in (*pair, weight)))
        for key, pair, weight in zip(
            (ENERGY_MAE, FORCES_MAE), (energies, forces), weights, strict=True
        )
    }


def _difference(a: FloatArray, b: FloatArray, weights: FloatArray) -> Difference:
    mean_a, mean_b = (float(np.average(values, weights=weights)) for values in (a, b))
    parts = _parts(a, weights) - _parts(b, weights)
    block = block_length(parts)
    log_ratio = log_error = None
    if mean_a > 0 and mean_b > 0:
        log_ratio = math.log(mean_a / mean_b)
        log_error = standard_error(_parts(a, weights) / mean_a - _parts(b, weights) / mean_b, block)
    error = standard_error(parts, block)
    return Difference(len(a), block, mean_a - mean_b, error, log_ratio, log_error)


def _parts(values: FloatArray, weights: FloatArray) -> FloatArray:
    """What each frame adds to a weighted mean's deviation, to first order; their mean is zero."""
    if not len(values):
        return values
    return weights / weights.mean() * (values - np.average(values, weights=weights))


def standard_error(values: FloatArray, block: int) -> float | None:
    """Of the mean of a series, by the circular block bootstrap.

    Args:
        values: (n,) in their order.
        block: how many consecutive ones are resampled together; of a series of which n / 3 are
            fewer, as where few energies of many frames are scored, so many.

    Returns:
        The standard deviation over all resamples, without the bias of order block / n that the
        mean of the series itself brings; with blocks of one, the usual standard error. None for
        fewer than two values.
    """
    n = len(values)
    if n < 2:
        return None
    block = max(1, min(block, n // 3))
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: block - 1]]))])
    means = (sums[block:] - sums[:-block]) / block  # (n,) of the blocks that begin at each value
    return math.sqrt(block / (n - block) * float(((means - values.mean()) ** 2).mean()))


def block_length(values: FloatArray) -> int:
    """Values in a block, by the series' own autocorrelation.

    Politis and White, Econom. Rev. 23, 53 (2004), as corrected by Patton, Politis and White,
    Econom. Rev. 28, 372 (2009), of the circular bootstrap: (2 G^2 / D)^(1/3) n^(1/3), where
    G = sum |k| R(k) and D = 4/3 (sum R(k))^2 over the autocovariances R(k) that are not noise, by
    a flat-top window.

    Args:
        values: (n,) in their order.
    """
    n = len(values)
    if n < 3:
        return 1
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * n)
    covariance = np.fft.irfft(spectrum * spectrum.conj(), 2 * n)[:n] / n
    if not covariance[0] > 0:
        return 1
    together = max(5, math.ceil(math.sqrt(math.log10(n))))
    longest = min(math.ceil(math.sqrt(n)) + together, n - 1)
    noise = 2 * math.sqrt(math.log10(n) / n)
    significant = np.flatnonzero(np.abs(covariance[1 : longest + 1] / covariance[0]) >= noise) + 1
    # Up to the first lag that so many others follow without any that is more than noise.
    gaps = np.diff(np.concatenate([[0], significant, [longest + together + 1]]))
    last = int(np.concatenate([[0], significant])[np.argmax(gaps > together)])
    window = min(2 * max(last, 1), longest)
    lags = np.arange(1, window + 1)
    weighted = np.minimum(1.0, 2 * (1 - lags / window)) * covariance[1 : window + 1]
    total = covariance[0] + 2 * weighted.sum()
    if total <= 0:
        return 1
    slope = 2 * (lags * weighted).sum()
    length = (1.5 * (slope / total) ** 2 * n) ** (1 / 3)
    return max(1, min(math.ceil(length), math.ceil(3 * math.sqrt(n)), n // 3))
