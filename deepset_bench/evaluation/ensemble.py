"""One trained run or several seeds of one experiment, asked for frames: means and disagreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from deepset_bench.config_file import determinants
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import Trained, load_trained
from deepset_bench.model.potential import INEXACT
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.replicate import KEYS, Replicate
from deepset_bench.schema import flat
from deepset_bench.scoring.metrics import predict

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
BATCH = 200
PIECE = 1000
"""Frames whose tables are held at a time."""


@dataclass(frozen=True)
class EnsemblePredictions:
    """What runs say of M frames with A atoms in all; means over the runs.

    Attributes:
        energy: (M,) eV, the reference included; the sum of the atomic energies.
        forces: (A, 3) eV/angstrom.
        atomic_energies: (A,) eV, the reference included.
        energy_uncertainty: (M,) eV, sample standard deviation over the runs; None for one run.
        forces_uncertainty: (A, 3) eV/angstrom, likewise.
        sum_error: eV, largest difference between the sum over atoms and the molecule's energy as
            the potential states it (rounding, if all is well).
        stress: (M, 3, 3) eV/angstrom^3, as in `Frames`; None where no frame is periodic.
    """

    energy: FloatArray
    forces: FloatArray
    atomic_energies: FloatArray
    energy_uncertainty: FloatArray | None
    forces_uncertainty: FloatArray | None
    sum_error: float
    stress: FloatArray | None = None


class Ensemble:
    """Trained runs that differ in their seeds alone.

    Args:
        runs: run folders.
        device: as in the configuration.
        precision: a key of PRECISIONS.

    Raises:
        UserError: a folder cannot be used, the runs are not seeds of one experiment, a seed is
            there twice, or the device has no float64 and is to compute in it.
    """

    def __init__(
        self, runs: Sequence[Path], device: str = "auto", precision: str = "float32"
    ) -> None:
        if not runs:
            raise UserError("at least one run folder is needed")
        if precision not in PRECISIONS:
            raise UserError(f"precision={precision}: choose from {', '.join(PRECISIONS)}")
        self.members = [load_trained(run, device) for run in runs]
        on = self.members[0].potential.species.device.type
        if precision == "float64" and on in INEXACT:
            raise UserError(f"device={on} has no float64; use device=cpu")
        first: dict[Replicate, Path] = {}
        for run, member in zip(runs, self.members, strict=True):
            difference = _difference(self.members[0], member)
            if difference:
                raise UserError(
                    f"{run} and {runs[0]} differ in {difference}; "
                    "several runs must differ only in their seeds"
                )
            if member.checksums != self.members[0].checksums:
                raise UserError(
                    f"{run} and {runs[0]} were trained on different versions of "
                    f"{' and '.join(member.config.sets)}; name runs of one version, or train the "
                    "others again with --fresh"
                )
            one = Replicate.of(member.config)
            if one in first:  # counted twice, it would make the runs agree better than they do
                raise UserError(
                    f"{run} and {first[one]} are the same run, {one}; name each seed once"
                )
            first[one] = run
            member.potential.to(PRECISIONS[precision])

    def __call__(self, frames: Frames, *, one_by_one: bool = False) -> EnsemblePredictions:
        """Predict every frame.

        Args:
            frames: any.
            one_by_one: for runs that were trained on every second edge of a batch, whose
                predictions depend on the other frames in it: take each frame for itself instead
                of the batches of training. Other runs do not care.

        Raises:
            UserError: an element that was not in training, or a prediction is not finite.
        """
        config = self.members[0].config
        batch = BATCH
        if config.every_second:
            batch = 1 if one_by_one else config.trainer.batch_size
        piece = max(PIECE // batch, 1) * batch
        parts = [
            self._piece(frames.select(slice(start, start + piece)), batch)
            for start in range(0, len(frames), piece)
        ]
        stated, atomic, forces, stress = (
            np.concatenate(x, axis=1) for x in zip(*parts, strict=True)
        )
        frame = frames.frame_of_atom
        _check_finite(frames, atomic, forces)
        energy = np.stack([np.bincount(frame, member, len(frames)) for member in atomic])
        several = len(self.members) > 1
        return EnsemblePredictions(
            energy=energy.mean(axis=0),
            forces=forces.mean(axis=0),
            atomic_energies=atomic.mean(axis=0),
            energy_uncertainty=energy.std(axis=0, ddof=1) if several else None,
            forces_uncertainty=forces.std(axis=0, ddof=1) if several else None,
            sum_error=float(np.abs(energy - stated).max()),
            stress=stress.mean(axis=0) if frames.pbc.any() else None,
        )

    def _piece(self, frames: Frames, batch: int) -> tuple[FloatArray, ...]:
        """(members, M) stated and (members, A) atomic energies, (members, A, 3) forces, stress."""
        # Seeds of one experiment prepare the same tables: nothing in them is learned.
        tables = self.members[0].tables(frames, batch)
        stated, atomic, forces, stress = [], [], [], []
        for member in self.members:
            found = predict(member.potential, tables, batch)
            e, f, a = (x.cpu().double().numpy() for x in found[:3])
            none = np.zeros((len(frames), 3, 3))
            stress.append(none if found.stress is None else found.stress.cpu().double().numpy())
            stated.append(e + member.reference(frames))
            atomic.append(a + member.reference.per_atom(frames))
            forces.append(f)
        return tuple(np.stack(values) for values in (stated, atomic, forces, stress))


def _check_finite(frames: Frames, atomic: FloatArray, forces: FloatArray) -> None:
    """Raise of (members, A) atomic energies and (members, A, 3) forces."""
    wrong = ~(np.isfinite(atomic) & np.isfinite(forces).all(axis=-1)).all(axis=0)
    if wrong.any():
        frame = int(frames.frame_of_atom[np.argmax(wrong)])
        raise UserError(
            f"what is predicted for {frames.called(frame)} is NaN or infinite; bench check RUN "
            "examines the run"
        )


def _difference(one: Trained, other: Trained) -> str:
    """The first key, beside the seeds, in which two runs differ; empty for none."""
    first, second = (flat(determinants(trained.config)) for trained in (one, other))
    for key in first | second:
        if key not in KEYS and first.get(key) != second.get(key):
            return key
    return "" if torch.equal(one.potential.species, other.potential.species) else "their elements"
