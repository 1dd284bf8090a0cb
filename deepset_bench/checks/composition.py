"""What the compositions of a set can tell: the energy of each element, and of which molecules."""

from __future__ import annotations

import numpy as np

from deepset_bench.checks.finding import Finding, graded
from deepset_bench.checks.subject import Subject

_MIXED = 10.0  # eV: compositions explain the energies of one method to a few eV


def rank(subject: Subject) -> Finding:
    """Whether an energy for each element is identified; if not, for which molecules it serves."""
    frames, check = subject.frames, "composition rank"
    kinds = np.unique(frames.composition(frames.species), axis=0)
    found, elements = int(np.linalg.matrix_rank(kinds)), len(frames.species)
    several = "compositions" if len(kinds) > 1 else "composition"
    text = f"{len(kinds)} {several} of rank {found} for {elements} elements"
    if found == elements:
        return Finding(check, "ok", f"{text}: energies of the elements are identified", found)
    text += "; reference energies serve their combinations alone"
    return Finding(check, "ok", text, found)


def row_space(subject: Subject) -> Finding | None:
    """Whether another set's compositions are combinations of this one's; None without another."""
    if subject.against is None:
        return None
    frames, other = subject.frames, subject.against
    species = np.union1d(frames.species, other.species)
    kinds = np.unique(frames.composition(species), axis=0)
    others = np.unique(other.composition(species), axis=0)
    weights = np.linalg.lstsq(kinds.T, others.T, rcond=None)[0]
    away = np.abs(kinds.T @ weights - others.T).max(axis=0)
    outside = int((away > 1e-6).sum())
    text = (
        f"of the other set's {len(others)} compositions, {outside} are not a linear "
        "combination of these"
    )
    if not outside:
        return Finding("the other set's composition", "ok", text, 0.0)
    new = np.setdiff1d(other.species, frames.species)
    if len(new):
        text += f"; atomic number {new[0]} does not occur here"
    advice = "total energies of the other set are undetermined: train on more compositions"
    return Finding("the other set's composition", "defect", text, outside, "", (), (), advice)


def one_level(subject: Subject) -> Finding:
    """Whether energies of different molecules are of one method: residual of the element sums."""
    frames, check = subject.frames, "one energy scale"
    counts = frames.composition(frames.species)
    kinds, which = np.unique(counts, axis=0, return_inverse=True)
    if len(kinds) <= np.linalg.matrix_rank(kinds) + 1:
        return Finding(check, "not run", "too few compositions to compare")
    mean = np.bincount(which, frames.energy) / np.bincount(which)
    weight = 1 / kinds.sum(axis=1)
    fit, *_ = np.linalg.lstsq(kinds * weight[:, None], mean * weight, rcond=None)
    rest = np.abs(mean - kinds @ fit)
    number = float(rest.max())
    text = f"sums over elements miss the mean energy of a composition by up to {number:.3g} eV"
    bad = np.isin(which, np.flatnonzero(rest > _MIXED))
    where = tuple(sorted(frames.index[bad].tolist()))
    advice = "energies of several methods, or in several units?" if len(where) else ""
    verdict = graded(number, _MIXED, 10 * _MIXED)
    return Finding(check, verdict, text, number, "eV", where, (), advice)
