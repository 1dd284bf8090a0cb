"""Forces and energies that cannot be those of an isolated molecule, whatever the method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from deepset_bench.checks.finding import TINY, VERDICTS, Finding, force_text, graded
from deepset_bench.checks.subject import FEW, Subject
from deepset_bench.checks.work import follows
from deepset_bench.molecules.frames import FloatArray

_NOISE = 1e-3  # eV/angstrom: what grids and thresholds of good calculations leave
_SUSPECT, _DEFECT = 0.01, 0.05  # of the root mean square force
_TAILS = ((10.0, 3e-3, 0.003), (20.0, 6e-3, 0.006))
"""A frame is suspect, or has a defect, over so many medians, eV/angstrom and root mean squares."""
_DISPLACED = (0.002, 0.005)  # angstrom: suspect, defect
_BALANCED = 0.1  # net force over torque, as errors of a component, where only positions are wrong
_FAR, _ABSURD = 12.0, 30.0  # robust standard deviations
_MINORITY = 0.05  # of the frames: too many for single failures


def net_force(subject: Subject) -> Finding:
    """The forces on an isolated molecule add up to zero.

    Errors of size s in each component of n atoms leave a net force of size s sqrt(3 n): s is the
    number.
    """
    advice = "forces of atoms are missing, or an external field or a restraint in space acted"
    return _internal("net force", _force_error(subject), subject, advice)


def net_torque(subject: Subject) -> Finding:
    """The forces on an isolated molecule do not turn it.

    Errors of size s in each component leave a torque of size s sqrt(2 sum |r|^2), r from the
    centre: s is the number. Forces of another frame or of atoms in another order are found so; and
    so are positions that were moved after the forces were computed, by d in each coordinate, which
    leave a torque of d sqrt(2 sum |F|^2) and no net force.
    """
    check, frames = "net torque", subject.frames
    frame = frames.frame_of_atom
    forces = frames.labelled_forces(subject.labels)
    centre = _sums(frames.positions, subject) / frames.n_atoms[:, None]
    lever = frames.positions - centre[frame]
    net = np.linalg.norm(_sums(np.cross(lever, forces), subject), axis=1)
    error = _over(net, np.sqrt(2 * _sums((lever**2).sum(axis=1), subject)))
    advice = "are the forces of these frames and atoms, and of an isolated molecule?"
    found = _internal(check, error, subject, advice)
    if _force_error(subject).mean() > _BALANCED * error.mean() or found.verdict == "not run":
        return found
    moved = _over(net, np.sqrt(2 * _sums((forces**2).sum(axis=1), subject)))
    if found.frames and len(found.frames) < len(frames):
        moved = moved[np.isin(frames.index, found.frames)]
    by = float(np.sqrt((moved**2).mean()))
    verdict = max(found.verdict, graded(by, *_DISPLACED), key=VERDICTS.index)
    if verdict == "ok":
        return found
    text = f"{found.text}; no net force, so that the positions may be off by {by:.2g} angstrom"
    advice = "positions rounded, or moved after the forces were computed, or of another frame?"
    return replace(found, verdict=verdict, text=text, advice=advice)


def _force_error(subject: Subject) -> FloatArray:
    """(M,) the error of each component that would leave the net force of each frame."""
    frames = subject.frames
    net = np.linalg.norm(_sums(frames.labelled_forces(subject.labels), subject), axis=1)
    error: FloatArray = net / np.sqrt(3 * frames.n_atoms)
    return error


def _sums(values: FloatArray, subject: Subject) -> FloatArray:
    """Sums over the atoms of each frame."""
    total: FloatArray = np.add.reduceat(values, subject.frames.offsets[:-1])
    return total


def _over(values: FloatArray, by: FloatArray) -> FloatArray:
    """The quotients; 0 where `by` is."""
    return np.divide(values, by, out=np.zeros(len(values)), where=by > 0)


def _internal(check: str, error: FloatArray, subject: Subject, advice: str) -> Finding:
    frames = subject.frames
    scale = float(np.sqrt((frames.labelled_forces(subject.labels) ** 2).mean()))
    number = float(error.mean())
    if scale == 0:
        return Finding(check, "not run", "every force is zero")
    text = f"consistent with force errors {'' if number < TINY else 'of '}{force_text(number)}"
    if number > _NOISE:
        text += f", {number / scale:.2%} of the root mean square force"
    median = float(np.median(error))
    odd, bad = (error > max(m * median, least, part * scale) for m, least, part in _TAILS)
    verdict = "ok" if number < _NOISE else graded(number / scale, _SUSPECT, _DEFECT)
    if odd.any():
        verdict = max(verdict, "defect" if bad.any() else "suspect", key=VERDICTS.index)
        text += f"; {odd.sum():,} of {len(odd):,} frames stand out, up to "
        text += force_text(float(error.max()))
    return Finding(
        check,
        verdict,
        text,
        number,
        "eV/angstrom",
        tuple(sorted(frames.index[odd].tolist())),
        (),
        "" if verdict == "ok" else advice,
    )


def outliers(subject: Subject) -> Finding:
    """Energies and largest forces far from those of the other frames of the same molecule.

    In robust standard deviations, 1.4826 times the median absolute deviation; forces by their
    logarithm. A strained geometry has a high energy and large forces, and rightly so: frames whose
    energy is that of their nearest neighbour plus the work of the forces are left in peace.
    """
    check = "outliers"
    if not subject.large:
        return Finding(check, "not run", f"no molecule has {FEW} frames")
    number, frames, strained, what = 0.0, set[int](), 0, ""
    for group in subject.large:
        force = np.linalg.norm(group.forces, axis=-1).max(axis=1)
        size = robust_score(np.log(force + 1e-6))
        size[force <= np.median(force)] = 0.0  # a relaxed geometry has small ones
        scores = np.stack([robust_score(group.energy), size])
        far = np.flatnonzero(scores.max(axis=0) > _FAR)
        if len(far) and len(group.numbers) > 1:
            explained = far[follows(group, far)]
            scores[:, explained] = 0.0
            strained += len(explained)
        frames |= set(group.index[scores.max(axis=0) > _FAR].tolist())
        if scores.max() > number:
            number = float(scores.max())
            label, row = divmod(int(scores.argmax()), len(group))
            name = ("energy", "largest force")[label]
            what = f"{name} of {group.molecule} frame {group.index[row]} (counted from 0)"
    text = f"the {what} is {number:.1f} robust standard deviations from the median"
    if not what:
        text = "energies and largest forces do not vary"
    if strained:
        text += f"; {strained:,} strained frames, whose energies the forces explain, left out"
    if frames:
        share = len(frames) / len(subject.frames)
        text += f"; {len(frames):,} frames ({share:.1%}) are over {_FAR:.0f}"
    verdict = graded(number, _FAR, _ABSURD)
    advice = "" if verdict == "ok" else "look at these frames; leave out what did not converge"
    if len(frames) > max(2, _MINORITY * len(subject.frames)):
        advice = "so many at once: labels of another method, molecule or unit among them?"
    return Finding(check, verdict, text, number, "", tuple(sorted(frames)), (), advice)


def robust_score(values: FloatArray) -> FloatArray:
    """(m,) distances from the median in robust standard deviations; 0 where nothing varies."""
    away = np.abs(values - np.median(values))
    spread = 1.4826 * np.median(away)
    return np.divide(away, spread, out=np.zeros(len(away)), where=spread > 0)


def known_bias(subject: Subject) -> Finding:
    """What the set itself says of a bias: kept apart, or part of the labels that are asked for."""
    check = "bias kept apart"
    frames = subject.frames
    if frames.bias_forces is None:
        return Finding(check, "not run", "the set does not say whether its forces hold a bias")
    bias, true = np.abs(frames.bias_forces).mean(), np.abs(frames.forces).mean()
    sizes = f"mean absolute component {force_text(bias)}, against {force_text(true)} of the true"
    if subject.labels == "potential" or bias == 0:
        text = f"yes, {sizes} force" if bias else "there is none"
        return Finding(check, "ok", text, 0.0, "eV/angstrom")
    text = f"the labels hold a bias that is not the gradient of the energy: {sizes} force"
    advice = "condition.labels=potential leaves it out"
    return Finding(check, "defect", text, float(bias), "eV/angstrom", (), (), advice)
