"""Forces and energies that cannot be those of an isolated molecule, whatever the method."""

from __future__ import annotations

import numpy as np

from deepset_bench.data.checks.finding import Finding, force_text, graded
from deepset_bench.data.checks.subject import FEW, Subject
from deepset_bench.data.frames import FloatArray

_NOISE = 1e-3  # eV/angstrom: what grids and thresholds of good calculations leave
_SUSPECT, _DEFECT = 0.01, 0.05  # of the root mean square force
_TAIL = 6.0  # times the median: more than the tail of even noise
_FAR, _ABSURD = 12.0, 30.0  # robust standard deviations


def net_force(subject: Subject) -> Finding:
    """The forces on an isolated molecule add up to zero.

    Errors of size s in each component of n atoms leave a net force of size s sqrt(3 n): s is the
    number.
    """
    frames = subject.frames
    forces = frames.labelled_forces(subject.labels)
    net = np.linalg.norm(_sums(forces, subject), axis=1)
    error = net / np.sqrt(3 * frames.n_atoms)
    advice = "forces of atoms are missing, or an external field or a restraint in space acted"
    return _internal("net force", error, subject, advice)


def net_torque(subject: Subject) -> Finding:
    """The forces on an isolated molecule do not turn it.

    Errors of size s in each component leave a torque of size s sqrt(2 sum |r|^2), r from the
    centre: s is the number. Forces of another frame or of atoms in another order are found so.
    """
    frames = subject.frames
    frame = frames.frame_of_atom
    centre = _sums(frames.positions, subject) / frames.n_atoms[:, None]
    lever = frames.positions - centre[frame]
    torque = np.cross(lever, frames.labelled_forces(subject.labels))
    size = np.sqrt(2 * _sums((lever**2).sum(axis=1), subject))
    net = np.linalg.norm(_sums(torque, subject), axis=1)
    advice = "are the forces of these frames and atoms, and of an isolated molecule?"
    error = np.divide(net, size, out=np.zeros(len(net)), where=size > 0)
    return _internal("net torque", error, subject, advice)


def _sums(values: FloatArray, subject: Subject) -> FloatArray:
    """Sums over the atoms of each frame."""
    total: FloatArray = np.add.reduceat(values, subject.frames.offsets[:-1])
    return total


def _internal(check: str, error: FloatArray, subject: Subject, advice: str) -> Finding:
    frames = subject.frames
    scale = float(np.sqrt((frames.labelled_forces(subject.labels) ** 2).mean()))
    number = float(error.mean())
    if scale == 0:
        return Finding(check, "not run", "every force is zero")
    text = f"as large as errors of {force_text(number)} a component would make it"
    if number > _NOISE:
        text += f", {number / scale:.2%} of the root mean square force"
    bad = error > max(_DEFECT * scale, _NOISE, _TAIL * float(np.median(error)))
    verdict = "ok" if number < _NOISE else graded(number / scale, _SUSPECT, _DEFECT)
    if bad.any():
        verdict = "defect"
        text += f"; {bad.sum():,} of {len(bad):,} frames have over {_DEFECT:.0%}"
    return Finding(
        check,
        verdict,
        text,
        number,
        "eV/angstrom",
        tuple(sorted(frames.index[bad].tolist())),
        (),
        "" if verdict == "ok" else advice,
    )


def outliers(subject: Subject) -> Finding:
    """Energies and largest forces far from those of the other frames of the same molecule.

    In robust standard deviations, 1.4826 times the median absolute deviation; forces by their
    logarithm.
    """
    check = "outliers"
    if not subject.large:
        return Finding(check, "not run", f"no molecule has {FEW} frames")
    number, frames, what = 0.0, set[int](), ""
    for group in subject.large:
        force = np.linalg.norm(group.forces, axis=-1).max(axis=1)
        for name, values in (("energy", group.energy), ("largest force", np.log(force + 1e-6))):
            score = robust_score(values)
            if name != "energy":  # a relaxed geometry has small forces, and rightly so
                score = np.where(values > np.median(values), score, 0.0)
            frames |= set(group.index[score > _FAR].tolist())
            if score.max() > number:
                number = float(score.max())
                what = f"{name} of {group.molecule} frame {group.index[score.argmax()]}"
    text = f"the {what} is {number:.1f} robust standard deviations from the median"
    if frames:
        text += f"; {len(frames):,} frames are over {_FAR:.0f}"
    verdict = graded(number, _FAR, _ABSURD)
    advice = "" if verdict == "ok" else "look at these frames; leave out what did not converge"
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
