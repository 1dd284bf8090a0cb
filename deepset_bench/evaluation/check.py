"""`bench check RUN`: whether a trained model is a function of a molecule, and of its configuration.

Every parameter and prediction must be a finite number. An energy must not change with the company
in a batch, the order of atoms, or a rotation; its gradient must be the force; it must not jump
where a pair of atoms crosses the cutoff; and every key of the configuration that was set must be
read by something.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from deepset_bench.checks.finding import Finding, agreement_text, energy_text, graded
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import Trained, load_trained
from deepset_bench.evaluation.unread import unknown_keys, unread_keys
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.runs import RunFolder
from deepset_bench.scoring.metrics import predict

FRAMES = 20
"""Frames of the test part that a model is asked about, in one batch."""
_SUSPECT, _DEFECT = 1e-6, 1e-4  # eV, in float64
_STEP = 1e-3  # angstrom, of a finite difference
_ACROSS = 1e-6  # angstrom on either side of the cutoff
_SCALE = 0.02  # of a slope of forces on the gradient


def check_run(run: Path) -> list[Finding]:
    """Examine a trained run; frames are those of its test part.

    Raises:
        UserError: no trained run there, or its data set is gone.
    """
    folder = RunFolder(run)
    unknown = unknown_keys(folder.config)
    trained = load_trained(run, "cpu", unknown, finite=False)
    trained.potential.double()
    frames = _test_frames(folder, trained)
    model = _Model(trained)
    return [
        parameters(model),
        batch(model, frames),
        order(model, frames),
        rotation(model, frames),
        gradient(model, frames),
        cutoff(model),
        _keys(unknown, trained),
        _split(folder),
        _data(folder),
    ]


class _Model:
    """Energies (B,) in eV relative to the reference and forces (A, 3) in eV/angstrom, float64.

    What is infinite is NaN, too, so that any arithmetic with it is.
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        self.cutoff = trained.config.cutoff
        self.species: list[int] = trained.potential.species.tolist()

    def __call__(self, frames: Frames) -> tuple[FloatArray, FloatArray]:
        """All frames as one batch."""
        tables = self.trained.tables(frames, len(frames))
        found = predict(self.trained.potential, tables, len(frames))[:2]
        energy, forces = (x.nan_to_num(torch.nan, torch.nan, torch.nan) for x in found)
        return energy.numpy(), forces.numpy()


def parameters(model: _Model) -> Finding:
    """Whether every parameter is a finite number."""
    check, advice = "parameters", "best.pt is damaged, or its training diverged: --fresh trains it"
    stored = model.trained.potential.state_dict()
    wrong = {name: int((~tensor.isfinite()).sum()) for name, tensor in stored.items()}
    names, total = [name for name, count in wrong.items() if count], sum(wrong.values())
    if names:
        text = f"{total} numbers are NaN or infinite, in {', '.join(names[:3])}"
        text += f" and {len(names) - 3} more" if len(names) > 3 else ""
        return Finding(check, "defect", text, total, "", (), (), advice)
    return Finding(check, "ok", "every one is a finite number", 0.0)


def batch(model: _Model, frames: Frames) -> Finding:
    """The energy of a frame alone and among others."""
    together, _ = model(frames)
    alone = np.array([model(frames.select([m]))[0][0] for m in range(len(frames))])
    advice = "pairs of atoms are lost or mixed up in batches; condition.edges=all keeps every one"
    return _same("batch", frames, "in a batch and alone", together - alone, advice)


def order(model: _Model, frames: Frames) -> Finding:
    """The energy with the atoms in another order."""
    rng = np.random.default_rng(0)
    orders = [start + rng.permutation(n) for start, n in zip(frames.offsets, frames.n_atoms)]  # noqa: B905
    other = np.concatenate(orders)
    permuted = replace(frames, numbers=frames.numbers[other], positions=frames.positions[other])
    advice = "the sum over neighbours must not know which atom comes first"
    difference = model(permuted)[0] - model(frames)[0]
    return _same("order of atoms", frames, "in two orders of the atoms", difference, advice)


def rotation(model: _Model, frames: Frames) -> Finding:
    """The energy of the turned and of the mirrored molecule."""
    turn = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    energy, _ = model(frames)
    others = [
        model(replace(frames, positions=frames.positions @ m.T, cell=frames.cell @ m.T))[0]
        for m in (turn, -turn)
    ]
    advice = "a feature depends on the axes: components of vectors as scalars?"
    difference = np.abs(np.array(others) - energy).max(axis=0)
    return _same("rotation", frames, "before and after turning", difference, advice)


def _same(check: str, frames: Frames, what: str, difference: FloatArray, advice: str) -> Finding:
    """On (M,) differences between energies that should be none."""
    if np.isnan(difference).any():
        return _not_finite(check, frames, difference, "energies")
    number = float(np.abs(difference).max())
    verdict = graded(number, _SUSPECT, _DEFECT)
    text = f"energies {what} {agreement_text(number)}"
    return Finding(check, verdict, text, number, "eV", (), (), "" if verdict == "ok" else advice)


def _not_finite(check: str, frames: Frames, values: FloatArray, what: str) -> Finding:
    """A defect: some of (M,) values of the frames are NaN."""
    rows = np.isnan(values)
    concerned = tuple(frames.index[rows].tolist())
    text = f"{what} of {len(concerned)} of {len(frames)} frames are NaN or infinite"
    advice = "no number of this run means anything before that is understood"
    return Finding(check, "defect", text, len(concerned), "", concerned, (), advice)


def gradient(model: _Model, frames: Frames) -> Finding:
    """Forces against central differences of the energy along random directions."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=frames.positions.shape)
    ahead, behind = (
        model(replace(frames, positions=frames.positions + s * _STEP * direction))[0]
        for s in (1, -1)
    )
    expected = -(ahead - behind) / (2 * _STEP)
    along = (model(frames)[1] * direction).sum(axis=1)
    found = np.bincount(frames.frame_of_atom, along)
    if np.isnan(found + expected).any():
        return _not_finite("forces", frames, found + expected, "forces or energies")
    if not expected.any():
        verdict, are = ("defect", "are not") if found.any() else ("ok", "are")
        text = f"the energy is the same for every geometry, and the forces {are} zero"
        return Finding("forces", verdict, text)
    slope = float((found * expected).sum() / (expected**2).sum())
    rest = np.abs(found - slope * expected).max() / np.abs(expected).max()
    text = f"forces are {slope:.4f} times the negative gradient of the energy"
    if abs(slope - 1) > _SCALE or rest > _SCALE:
        text += f", to {rest:.1%}" if rest > _SCALE else ""
        advice = "hartree/bohr and hartree/angstrom mixed? condition.units=consistent"
        return Finding("forces", "defect", text, slope, "", (), (), advice)
    return Finding("forces", "ok", text, slope)


def cutoff(model: _Model) -> Finding:
    """The energy of three atoms when the outer pair crosses the cutoff, for each pair of elements.

    The atom between them stays within the cutoff of both.
    """
    jumps = {}
    for one, other in combinations_with_replacement(model.species, 2):
        inside, outside = (
            model(_probe(one, other, model.cutoff + s * _ACROSS))[0][0] for s in (-1, 1)
        )
        jumps[f"atomic numbers {one} and {other}"] = abs(float(outside - inside))
    # NaN, which is neither more nor less than any number, before all.
    pair = max(jumps, key=lambda name: (math.isnan(jumps[name]), jumps[name]))
    number = jumps[pair]
    if math.isnan(number):
        text = f"the energy is NaN or infinite where {pair} cross {model.cutoff:g} angstrom"
        return Finding("cutoff", "defect", text)
    text = f"the energy jumps by {energy_text(number)} where {pair} cross {model.cutoff:g} angstrom"
    if number < _DEFECT:
        return Finding("cutoff", "ok", f"no jump over {energy_text(_DEFECT)} where pairs cross it")
    advice = "envelope=message takes messages to zero; a graph layer jumps with its neighbours"
    return Finding("cutoff", "defect", text, number, "eV", (), (), advice)


def _probe(one: int, other: int, distance: float) -> Frames:
    """Three atoms in a plane: `one` with a neighbour of its own kind, `other` at a distance."""
    positions = np.array([[0.0, 0.0, 0.0], [0.5, 1.0, 0.0], [distance, 0.0, 0.0]])
    return Frames(
        numbers=np.array([one, one, other]),
        positions=positions,
        n_atoms=np.array([3]),
        energy=np.zeros(1),
        forces=np.zeros((3, 3)),
        bias_forces=None,
        molecule=np.array(["probe"]),
        index=np.zeros(1, dtype=np.int64),
    )


def _keys(unknown: list[str], trained: Trained) -> Finding:
    check, advice = "configuration keys", "what was meant by it did not happen: mend the name"
    if unknown:
        text = f"nothing reads {', '.join(unknown)}: this version has no such key"
        return Finding(check, "defect", text, len(unknown), "", (), (), advice)
    try:
        unread = unread_keys(trained.config)
    except UserError as error:
        return Finding(check, "not run", str(error))
    if unread:
        text = f"nothing read {', '.join(unread)}, though changed from the default"
        advice = "the run is the same as without it: leave it out, or choose what it belongs to"
        return Finding(check, "defect", text, len(unread), "", (), (), advice)
    return Finding(check, "ok", "every key that was changed from the default is read", 0.0)


def _split(folder: RunFolder) -> Finding:
    check = "split"
    try:
        split = Split.load(folder.split)
    except UserError as error:
        return Finding(check, "not run", str(error))
    seen = set(split.train.tolist())
    shared = sorted(seen & {*split.val.tolist(), *split.test.tolist()})
    text = f"{len(shared)} frames of validation and test are in training"
    verdict = "defect" if shared else "ok"
    return Finding(check, verdict, text, len(shared), "", tuple(shared))


def _data(folder: RunFolder) -> Finding:
    verdict = folder.result().get("data_verdict")
    if verdict is None:
        return Finding("training data", "not run", "the run has not ended")
    advice = "" if verdict["verdict"] == "ok" else "bench data check says more"
    found = verdict["findings"]
    text = found[0] if found else "the checks before training found nothing"
    text += f"; {len(found) - 1} more" if len(found) > 1 else ""
    return Finding("training data", verdict["verdict"], text, None, "", (), (), advice)


def _test_frames(folder: RunFolder, trained: Trained) -> Frames:
    """Up to FRAMES frames of the test part, of the molecules that the run knows."""
    frames = catalogue.load(trained.config.data.name)
    test = Split.load(folder.split).test
    if len(test) == 0 or test.max() >= len(frames):
        raise UserError(
            f"{folder.split}: its test part does not fit data={trained.config.data.name}"
        )
    return frames.select(test[:FRAMES])
