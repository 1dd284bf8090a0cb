"""Frames that a run was neither trained nor validated on, scored once it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deepset_bench.model.labelled import Labelled
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.selected import Selected
from deepset_bench.scoring.metrics import compare
from deepset_bench.scoring.scored import Labels, Predictions
from deepset_bench.scoring.unseen import Scorer

PIECE = 2_000
"""Frames whose tables of geometry are in memory at once."""


@dataclass(frozen=True)
class HeldOut:
    """M frames that cost nothing before they are scored.

    Attributes:
        frames: they, none copied out of the set yet.
        label: makes tables of some of them, with their labels, on the device.
        scorer: of some of them, where they are scored in detail, else None.
        mean: eV, the mean training energy relative to the energy reference.
    """

    frames: Selected
    label: Callable[[Frames], Labelled]
    scorer: Callable[[Frames], Scorer | None]
    mean: float

    def compare(self, potential: Potential, batch_size: int) -> tuple[Predictions, Labels]:
        """As `scoring.metrics.compare`, a piece of whole batches at a time."""
        size = max(PIECE // batch_size, 1) * batch_size
        predictions, labels = [], []
        for start in range(0, len(self.frames), size):
            piece = self.frames.select(slice(start, start + size))
            predicted, truth = compare(potential, self.label(piece), piece, batch_size)
            predictions.append(predicted)
            labels.append(truth)
        return _joined(predictions), Labels(
            np.concatenate([part.energy for part in labels]),
            np.concatenate([part.forces for part in labels]),
            Frames.concatenate([part.frames for part in labels]),
        )


def _joined(parts: list[Predictions]) -> Predictions:
    """Of all pieces; zero stress in one without periodic frames, unless none has any."""
    stress = None
    if any(part.stress is not None for part in parts):
        open_ones = (np.zeros((len(part.energy), 3, 3)) for part in parts)
        found = zip((part.stress for part in parts), open_ones, strict=True)
        stress = np.concatenate([zero if own is None else own for own, zero in found])
    return Predictions(
        np.concatenate([part.energy for part in parts]),
        np.concatenate([part.forces for part in parts]),
        stress,
    )
